"""Errors of the features.

::

    XueluError (content_catalog/errors.py)
    └── FeatureError
        └── NoInteractionsError   there is nothing to learn from: no event of a known member and item
"""

from content_catalog.errors import XueluError


class FeatureError(XueluError):
    """A fault in what members did."""


class NoInteractionsError(FeatureError):
    """No evidence of any member for any item."""
