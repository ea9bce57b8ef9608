"""Errors of the recommender.

::

    XueluError (content_catalog/errors.py)
    └── ModelError
        └── NotFittedYetError    a model was asked before it had learned anything
"""

from content_catalog.errors import XueluError


class ModelError(XueluError):
    """A fault in what to study next."""


class NotFittedYetError(ModelError):
    """A model has to be fitted first."""
