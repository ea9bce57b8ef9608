"""Errors of the outside: settings, database, runs.

::

    XueluError (content_catalog/errors.py)
    └── OutsideError
        ├── SettingsError            the settings file or the environment holds something wrong
        ├── DatabaseError            the database cannot be used as it is, such as before `xuelu init`
        │   └── DatabaseUnavailableError  ... or does not answer now
        ├── EventsRefusedError       an event of a batch is bad: nothing of it was taken
        │   └── EventConflictError   ... or has the id of a stored one that says something else
        ├── BatchTooSlowError        a batch of statements takes longer to store than readers are promised
        ├── RemoteError              a record store or an MLflow server does not answer as it should
        ├── StatementConflictError   a statement of this id is there and says something else
        ├── ImportRefusedError       too many lines of a file are bad: nothing of it was taken
        ├── InvalidRecordError       an item, member, unit or code does not pass the checks: nothing was written
        ├── ReceiptError             a receipt of an erasure does not hold, or its key is not valid
        ├── BackupError              a backup cannot be written or restored
        ├── InUseError               what should be removed is still used
        ├── NightRunningError        another night of the same organisation is at work
        ├── RunStateError            a run, or a night that stopped, is not in the state that an action needs
        │   └── RunDiscardedError    ... or was discarded while it was made
        ├── ExperimentError          an experiment cannot be started or stopped
        ├── EndpointError            an endpoint cannot be added, changed or reached
        │   └── AddressError         ... as its target is no address to push to, or no folder
        ├── DeliveryError            a delivery cannot be sent again or dropped
        └── NotFoundError            what was asked for does not exist
            ├── UnknownOrganisationError
            ├── UnknownMemberError
            ├── UnknownRunError
            ├── ModelsGoneError      the models of a run are not stored any more, or are of other code
            └── NoPublishedRunError  no night has published lists yet
"""

from collections.abc import Sequence
from typing import Any, Self

from content_catalog.errors import XueluError


class OutsideError(XueluError):
    """A fault of the database, a file, a setting, another service or a request."""


class SettingsError(OutsideError):
    """A setting is unknown, missing or out of range."""


class DatabaseError(OutsideError):
    """The database cannot be used as it is.

    Attributes
    ----------
    detail : str
        The message without the database's address, for those who may not know it.
    """

    def __init__(self, message: str, *, address: str = "") -> None:
        super().__init__(f"database {address}: {message}" if address else message)
        self.detail = message


class DatabaseUnavailableError(DatabaseError):
    """The database does not answer now: it is away, locked, or its disk is full."""

    def __init__(self, message: str, *, address: str = "") -> None:
        super().__init__(message, address=address)
        self.detail = "the database does not answer; ask again in a moment"


class ImportRefusedError(OutsideError):
    """A file was refused whole; the message says why, ``errors`` the first lines of a body that are bad."""

    errors: Sequence[object] = ()


class EventsRefusedError(OutsideError):
    """Events of a batch are bad, and nothing of it was taken.

    Attributes
    ----------
    errors : list of dict
        What is wrong: ``row`` (from 0), ``field, value, reason``.
    """

    def __init__(self, message: str, errors: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.errors = errors

    @classmethod
    def of(cls, errors: list[dict[str, Any]], size: int) -> Self:
        """Return the error of a batch of some size."""
        first = errors[0]
        rows = len({fault["row"] for fault in errors})
        return cls(
            f"{rows} of {size} events are bad, the first being row {first['row']}: {first['field'] or 'event'} "
            f"{first['value']!r}: {first['reason']}; nothing was taken: mend them, or send with ?partial=true",
            errors,
        )


class EventConflictError(EventsRefusedError):
    """Events of a batch have ids of stored ones that say something else, and nothing of it was taken."""


class BatchTooSlowError(OutsideError):
    """A batch of statements takes longer to store than its readers are promised; nothing was stored."""


class RemoteError(OutsideError):
    """Another service, a record store or an MLflow server, does not answer, or not as it should."""


class StatementConflictError(OutsideError):
    """A statement has the id of a stored one that says something else; nothing of its batch was taken."""


class InvalidRecordError(OutsideError):
    """A record does not pass the checks; ``errors`` holds ``field, value, reason`` of each fault."""

    def __init__(self, faults: list[tuple[str, str, str]]) -> None:
        super().__init__("; ".join(f"{field} {value!r}: {reason}" for field, value, reason in faults))
        self.errors = [{"field": field, "value": value, "reason": reason} for field, value, reason in faults]


class ReceiptError(OutsideError):
    """A receipt of an erasure does not hold, or its key is not valid."""


class BackupError(OutsideError):
    """A backup cannot be written to its place, the file is no backup, or it cannot be restored."""


class InUseError(OutsideError):
    """Something cannot be removed while others use it; the message says how many."""


class NightRunningError(OutsideError):
    """Another night of the same organisation is at work."""


class RunStateError(OutsideError):
    """A run is not in the state that an action needs, or no night stopped half way that could go on."""


class RunDiscardedError(RunStateError):
    """The run under way was discarded, as a member that it may have read was erased."""


class ExperimentError(OutsideError):
    """An experiment cannot be started or stopped; the message says why."""


class EndpointError(OutsideError):
    """An endpoint cannot be added, changed or reached; the message says why."""


class AddressError(EndpointError):
    """The target of an endpoint is no address to push to, or no folder."""


class DeliveryError(OutsideError):
    """A delivery cannot be sent again or dropped; the message says why."""


class NotFoundError(OutsideError):
    """Something that was asked for does not exist; kinds that are handled apart have an error of their own."""


class UnknownOrganisationError(NotFoundError):
    """No organisation of this name has any data."""


class UnknownMemberError(NotFoundError):
    """The organisation has no such member."""


class UnknownRunError(NotFoundError):
    """The organisation has no such run, or none left of that time."""


class ModelsGoneError(NotFoundError):
    """The fitted models of a run are not stored any more, or were stored by other code."""


class NoPublishedRunError(NotFoundError):
    """No run of the organisation has been published yet."""

    def __init__(self) -> None:
        super().__init__("no lists have been published yet; run `xuelu nightly`")
