"""Errors of the catalogue, and the root of every error xuelu raises on purpose.

::

    XueluError
    ├── CatalogError
    │   ├── FileUnreadableError    a file is missing, empty, of an unknown format or without the needed columns
    │   ├── MappingError           a named mapping is unknown or does not fit the file
    │   ├── TaxonomyError          a taxonomy file is broken, or a code is asked for that it does not hold
    │   └── PrerequisiteCycleError items would have to be finished before themselves
    ├── ModelError                 recommender/errors.py
    ├── OutsideError               infra/errors.py, api/errors.py
    └── SimulationError            simulator/errors.py
"""


class XueluError(Exception):
    """What went wrong, with the value, and what to do about it, in one line."""


class CatalogError(XueluError):
    """A fault in what can be studied."""


class FileUnreadableError(CatalogError):
    """A file cannot be read as what it is said to be."""


class MappingError(CatalogError):
    """A mapping of foreign columns is unknown or does not fit."""


class TaxonomyError(CatalogError):
    """A taxonomy is broken or does not hold a code."""


class PrerequisiteCycleError(CatalogError):
    """Prerequisites form a cycle; the message names the items on it."""
