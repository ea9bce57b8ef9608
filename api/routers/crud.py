"""Shared parts of the record routes: conditional reads, pages, writes and bulk bodies."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
from fastapi import Depends, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.auth.auth import Caller
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.errors import BodyTooLargeError, UnsupportedBodyError
from api.protocol.conditions import Preconditions, PreconditionsDep
from api.protocol.pagination import link_next
from api.schemas.records import BulkResult, Reject
from content_catalog.errors import FileUnreadableError
from content_catalog.io.readers import Format
from content_catalog.io.validation import joined_rejects
from infra.access import audit
from infra.catalog import organisations, records
from infra.catalog.past_dates import warning_of
from infra.catalog.records import Record
from infra.errors import ImportRefusedError, NotFoundError
from infra.ingest import import_log
from infra.ingest.importer import Importer, ImportFile
from infra.settings.settings import Settings

MAX_REJECTS: Final = 1_000
BULK_TYPES: Final[dict[str, Format]] = {"text/csv": "csv", "application/x-ndjson": "jsonl"}
MAX_BULK_LINES: Final = 100_000
"""Lines of a bulk body: what is written at once, while others who write to SQLite wait."""
MERGE_PATCH: Final = "application/merge-patch+json"


Change = Callable[[Record | None], Record]


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Session, time, preconditions, response and settings of a request that writes."""

    session: Session
    now: datetime
    expected: Preconditions
    response: Response
    settings: Settings

    def audit(self, caller: Caller, action: str, *, member: str | None = None, **detail: Any) -> None:
        """Append the action to the audit log."""
        audit.append(
            self.session,
            caller.organisation_key,
            actor=caller.actor,
            action=action,
            subject=member,
            now=self.now,
            detail=detail or None,
        )

    def before(self, caller: Caller, kind: str, record_id: str) -> Record | None:
        """Return a record as it is before the write, locked and with the preconditions checked; None without it.

        Raises
        ------
        PreconditionFailedError
        """
        before = records.read_for_update(self.session, caller.organisation_key, kind, record_id)
        self.expected.check(None if before is None else records.etag(before))
        return before

    def warnings(self, kind: str, record: Record) -> list[str]:
        """Return the warnings about a record that was written."""
        return [warning] if (warning := warning_of(kind, record, self.now)) else []

    def write(self, caller: Caller, kind: str, record_id: str, change: Change) -> tuple[Record, bool]:
        """Apply a change to a record; return it as stored, and whether it was created."""
        before = self.before(caller, kind, record_id)
        own = organisations.local_settings(self.session, caller.organisation_key, self.settings)
        records.write(self.session, caller.organisation_key, kind, change(before), zone=own.timezone)
        after = records.read(self.session, caller.organisation_key, kind, record_id)
        self.response.headers["ETag"] = records.etag(after)
        if before is None:
            self.response.status_code = 201
        return after, before is None


def _write_request(
    session: SessionDep, now: NowDep, expected: PreconditionsDep, response: Response, settings: SettingsDep
) -> WriteRequest:
    return WriteRequest(session, now, expected, response, settings)


WriteDep = Annotated[WriteRequest, Depends(_write_request)]


def merge_patch(body: BaseModel, unknown: type[NotFoundError], record_id: str) -> Change:
    """Return the change that merges a body into the stored record (RFC 7396): fields it does not name stay."""

    def change(before: Record | None) -> Record:
        if before is None:
            raise unknown(f"your organisation has no {record_id!r}; create it first, or check the id")
        return before | body.model_dump(exclude_unset=True)

    return change


def conditional(record: Record, expected: Preconditions, response: Response) -> Any:
    """Return a record with its entity tag, or 304 where the caller's copy is current."""
    etag = records.etag(record)
    if expected.unchanged(etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return record


def page_of(rows: list[Record], key: str, *, limit: int, request: Request, response: Response) -> list[Record]:
    """Return the first ``limit`` of ``limit + 1`` queried records, with a link to the next page."""
    page = rows[:limit]
    if len(rows) > limit:
        link_next(request, response, page[-1][key])
    return page


async def _bulk_body(request: Request) -> tuple[bytes, Format]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in BULK_TYPES:
        raise UnsupportedBodyError(
            f"Content-Type {kind[:100]!r} is not supported for a bulk body; send {' or '.join(BULK_TYPES)}"
        )
    content = await request.body()
    if content.count(b"\n") > MAX_BULK_LINES:
        raise BodyTooLargeError(f"the body has more than {MAX_BULK_LINES:,} lines; send it in parts")
    return content, BULK_TYPES[kind]


BulkBodyDep = Annotated[tuple[bytes, Format], Depends(_bulk_body)]


def bulk_body_openapi(csv: str, ndjson: str) -> dict[str, Any]:
    """Return the OpenAPI request body of a bulk route, with an example of each type."""
    examples = {"text/csv": csv, "application/x-ndjson": ndjson}
    content = {kind: {"schema": {"type": "string"}, "example": example} for kind, example in examples.items()}
    return {"requestBody": {"required": True, "content": content}}


@contextmanager
def temporary_file(body: bytes) -> Iterator[Path]:
    """Write a body to a temporary file for the file readers."""
    with tempfile.TemporaryDirectory(prefix="xuelu-") as folder:
        path = Path(folder, "body")
        path.write_bytes(body)
        yield path


def bulk_upsert(
    session: Session, caller: Caller, settings: Settings, kind: str, body: tuple[bytes, Format], *, now: datetime
) -> BulkResult:
    """Import a body of items, members or units as ``xuelu ingest`` imports a file, and write the audit log.

    Raises
    ------
    FileUnreadableError, ImportRefusedError
        Nothing was imported.
    """
    rejects: list[pd.DataFrame] = []
    content, file_format = body
    with temporary_file(content) as path:
        file = ImportFile(path, kind, name="the body", file_format=file_format)
        importer = Importer(session, caller.organisation_key, file, now=now, timezone=settings.timezone)
        try:
            importer.run(max_reject_share=settings.max_reject_share, reject=rejects.append, see="errors")
        except FileUnreadableError as error:
            raise FileUnreadableError(str(error).replace(str(path), "the body")) from error
        except ImportRefusedError as error:
            error.errors = _first_rejects(rejects)
            raise
    import_log.record(session, caller.organisation_key, importer.counts, status="imported", now=now)
    result = BulkResult(
        lines=importer.counts.rows,
        stored=importer.counts.stored,
        duplicates=importer.counts.duplicates,
        rejected=importer.counts.rejected,
        rejects=[Reject(**reject) for reject in _first_rejects(rejects)],
        unused_columns=sorted(file.unused),
        warnings=importer.warnings,
    )
    detail = result.model_dump(include={"lines", "stored", "rejected"})
    key, action = caller.organisation_key, f"{kind}.bulk_upsert"
    audit.append(session, key, actor=caller.actor, action=action, subject=None, now=now, detail=detail)
    return result


def _first_rejects(rejects: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the first rejects as JSON objects."""
    return joined_rejects(rejects).head(MAX_REJECTS).to_dict("records")
