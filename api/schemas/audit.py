"""Models of the audit log."""

from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.queries import NO_NUL, Day, Limit
from infra.access.audit_log import EntryFilter


class AuditQuery(BaseModel):
    """Query parameters of GET /v1/audit."""

    model_config = ConfigDict(extra="forbid")

    actor: str | None = Field(
        None, min_length=1, max_length=300, pattern=NO_NUL, description="Key or token that acted."
    )
    action: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=NO_NUL,
        description="Action such as `lists.read`, or all of a resource: `lists`.",
    )
    member_id: str | None = Field(None, min_length=1, max_length=1_000, pattern=NO_NUL, description="Member concerned.")
    since: Day | None = Field(None, description="First day that counts, UTC.")
    until: Day | None = Field(None, description="First day that does not count any more, UTC.")
    cursor: str | None = Field(
        None, max_length=20_000, description="Where the page begins: the `cursor` of a `next` link, unchanged."
    )
    limit: Limit = 100

    def filter(self) -> EntryFilter:
        """Return the filter of entries."""
        return EntryFilter(self.actor, self.action, self.member_id, _midnight(self.since), _midnight(self.until))


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


class AuditEntry(BaseModel):
    """An entry of the audit log."""

    sequence: int = Field(description="Number of the entry, from 1.")
    at: datetime
    actor: str = Field(description="Id of a key, `oidc:` and the subject of a token, or `command line`.")
    action: str = Field(description="Resource and operation, such as `lists.read`.")
    subject: str | None = Field(description="Keyed hash of the member concerned.")
    detail: dict[str, Any] | None = Field(description="More facts; members stand in it as keyed hashes too.")
    hash: str = Field(description="SHA-256 of the entry and of the hash before it.")


class AuditHead(BaseModel):
    """Last entry of the chain, to be kept outside the database."""

    sequence: int = Field(description="Number of the last entry; 0: there is none.")
    hash: str


class AuditEntries(BaseModel):
    """A page of the audit log, the newest entry first."""

    head: AuditHead
    entries: list[AuditEntry]
