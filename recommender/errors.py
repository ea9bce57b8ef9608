"""Errors of the recommender.

::

    XueluError (content_catalog/errors.py)
    └── ModelError
        ├── NotFittedYetError    a model was asked before it had learned anything
        ├── ContractError        a model does not pass a check of the contract of models
        └── EstimateError        logged lists do not allow an estimate
"""

from content_catalog.errors import XueluError


class ModelError(XueluError):
    """A fault in what to study next."""


class NotFittedYetError(ModelError):
    """A model has to be fitted first."""


class ContractError(ModelError):
    """A model does not do what every model has to do."""


class EstimateError(ModelError):
    """Logged lists or counts do not allow an estimate."""
