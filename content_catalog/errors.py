"""Errors of the catalogue, and the base of every error xuelu raises on purpose.

::

    XueluError
    ├── CatalogError
    │   ├── FileUnreadableError    a file is missing, empty, of an unknown format or without the needed columns
    │   ├── StrictJsonError        a text is not strict JSON
    │   ├── MappingError           a named mapping is unknown or does not fit the file
    │   ├── TaxonomyError          a taxonomy file is broken, or a code is asked for that it does not hold
    │   └── PrerequisiteCycleError items would have to be finished before themselves
    ├── ModelError                 recommender/errors.py
    ├── OutsideError               infra/errors.py, api/errors.py
    └── SimulationError            simulator/errors.py
"""


class XueluError(Exception):
    """Base of all errors raised on purpose; the message says in one line what is wrong, the value, and what to do."""


class CatalogError(XueluError):
    """A fault in the catalogue or in an input file."""


class FileUnreadableError(CatalogError):
    """A file cannot be read in its format."""


class StrictJsonError(CatalogError):
    """A text is not strict JSON: RFC 8259 and RFC 7493."""


class MappingError(CatalogError):
    """A mapping of foreign columns is unknown or does not fit."""


class TaxonomyError(CatalogError):
    """A taxonomy is invalid or lacks a code."""


class PrerequisiteCycleError(CatalogError):
    """Prerequisites form a cycle; the message names the items on it."""


def why_unreadable(error: Exception) -> str:
    """Return why a file cannot be read, for a message that names the file.

    >>> why_unreadable(FileNotFoundError(2, "No such file or directory", "x.toml"))
    'No such file or directory'
    """
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
