"""Errors of the outside: settings, database, runs.

::

    XueluError (content_catalog/errors.py)
    └── OutsideError
        ├── SettingsError            the settings file or the environment holds something wrong
        ├── DatabaseError            the database cannot be reached, or is not at the newest migration
        ├── StatementConflictError   a statement of this id is there and says something else
        ├── ImportRefusedError       too many lines of a file are bad: nothing of it was taken
        └── NotFoundError            what was asked for does not exist
            ├── UnknownOrganisationError
            ├── UnknownMemberError
            ├── UnknownItemError
            ├── UnknownStatementError
            └── NoPublishedRunError  no night has published lists yet
"""

from content_catalog.errors import XueluError


class OutsideError(XueluError):
    """A fault between xuelu and what is around it."""


class SettingsError(OutsideError):
    """A setting is unknown, missing or out of range."""


class DatabaseError(OutsideError):
    """The database cannot be used as it is."""


class ImportRefusedError(OutsideError):
    """A file was refused whole; the message says why."""


class StatementConflictError(OutsideError):
    """A statement has the id of a stored one that says something else; nothing of its batch was taken."""


class NotFoundError(OutsideError):
    """Something that was asked for does not exist."""


class UnknownOrganisationError(NotFoundError):
    """No organisation of this name has any data."""


class UnknownMemberError(NotFoundError):
    """The organisation has no such member."""


class UnknownItemError(NotFoundError):
    """The organisation has no such item."""


class UnknownStatementError(NotFoundError):
    """The organisation has no such statement, or it is voided."""


class NoPublishedRunError(NotFoundError):
    """No run of the organisation has been published yet."""
