"""Shared parts of the record routes: conditional reads, pages, writes and bulk bodies."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import pandas as pd
from fastapi import Body, Depends, Request, Response
from pydantic import BaseModel

from api.auth.auth import Caller
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.errors import BodyTooLargeError, MalformedBodyError, UnsupportedBodyError
from api.protocol.conditions import PreconditionsDep
from api.protocol.media_types import charset_of, media_type
from api.schemas.records import BulkResult, Reject
from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import codec_of
from content_catalog.io.readers import Format
from content_catalog.io.validation import joined_rejects
from infra.catalog import organisations, records
from infra.catalog.past_dates import warning_of
from infra.catalog.records import Record
from infra.catalog.store import TABLES
from infra.errors import ImportRefusedError
from infra.ingest import import_log
from infra.ingest.import_file import ImportFile
from infra.ingest.importer import Importer

MAX_REJECTS: Final = 1_000
BULK_TYPES: Final[dict[str, Format]] = {"text/csv": "csv", "application/x-ndjson": "jsonl"}
UTF8: Final = ("utf-8", "us-ascii")
CHARSETS: Final = (*UTF8, "gbk", "gb2312", "gb18030")
"""Encodings of bulk bodies."""
MAX_BULK_LINES: Final = 100_000
"""Most lines of a bulk body: they are written in one transaction, and other writers to SQLite wait for it."""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Session, time, preconditions, response and settings of a request that writes."""

    session: SessionDep
    now: NowDep
    expected: PreconditionsDep
    response: Response
    settings: SettingsDep

    def before(self, caller: Caller, kind: str, record_id: str) -> Record | None:
        """Return a record as it is before the write, locked and with the preconditions checked; None without it.

        Raises
        ------
        PreconditionFailedError
        """
        before = records.read_for_update(self.session, caller.organisation_key, kind, record_id)
        self.check(before)
        return before

    def check(self, before: Record | None) -> None:
        """Refuse the write where the preconditions do not hold for a record as it is before it.

        Raises
        ------
        PreconditionFailedError
        """
        self.expected.check(None if before is None else records.etag(before))

    def existing(self, caller: Caller, kind: str, record_id: str) -> Record:
        """Return an own record as it is before the write.

        Raises
        ------
        PreconditionFailedError, NotFoundError
        """
        before = self.before(caller, kind, record_id)
        if before is None:
            raise records.unknown_own(kind, record_id)
        return before

    def put(self, caller: Caller, kind: str, record_id: str, fields: Record) -> Record:
        """Create or replace a record, and return it as stored; fields that are left out become empty."""
        before = self.before(caller, kind, record_id)
        after = self._store(caller, kind, record_id, fields)
        self.record(caller, kind, record_id, "create" if before is None else "replace")
        return self.answer(before, after)

    def patch(self, caller: Caller, kind: str, record_id: str, fields: Record) -> Record:
        """Merge fields into an own record (RFC 7396), and return it as stored."""
        before = self.existing(caller, kind, record_id)
        after = self._store(caller, kind, record_id, before | fields, changed=fields)
        self.record(caller, kind, record_id, "change", fields=sorted(fields))
        return self.answer(before, after)

    def delete(self, caller: Caller, kind: str, record_id: str) -> None:
        """Delete an own record."""
        self.existing(caller, kind, record_id)
        records.remove(self.session, caller.organisation_key, kind, record_id)
        self.record(caller, kind, record_id, "remove")

    def _store(
        self, caller: Caller, kind: str, record_id: str, fields: Record, *, changed: Collection[str] | None = None
    ) -> Record:
        key = caller.organisation_key
        zone = organisations.local_settings(self.session, key, self.settings).timezone
        record = fields | {TABLES[kind][1].names[0]: record_id}
        records.write(self.session, key, kind, record, now=self.now, zone=zone, changed=changed)
        return records.read(self.session, key, kind, record_id)

    def record(self, caller: Caller, kind: str, record_id: str, action: str, **detail: Any) -> None:
        """Append what was done to a record to the audit log, which names members by a hash alone."""
        named = {"member": record_id} if kind == "members" else {TABLES[kind][1].names[0]: record_id}
        caller.record(self.session, f"{kind}.{action}", now=self.now, **named, **detail)

    def answer(self, before: Record | None, after: Record) -> Record:
        """Return a record as stored, for an answer with its entity tag, and with 201 where there was none before."""
        self.response.headers["ETag"] = records.etag(after)
        if before is None:
            self.response.status_code = 201
        return after

    def warnings(self, kind: str, record: Record) -> list[str]:
        """Return the warnings about a record that was written."""
        return [warning] if (warning := warning_of(kind, record, self.now)) else []


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Session, preconditions and response of a request that reads a record."""

    session: SessionDep
    expected: PreconditionsDep
    response: Response

    def record(self, caller: Caller, kind: str, record_id: str) -> Any:
        """Return a record as :meth:`answer` does."""
        return self.answer(records.read(self.session, caller.organisation_key, kind, record_id))

    def answer(self, record: Record) -> Any:
        """Return a record with its entity tag, or 304 where the caller's copy is current."""
        etag = records.etag(record)
        if self.expected.unchanged(etag):
            return Response(status_code=304, headers={"ETag": etag})
        self.response.headers["ETag"] = etag
        return record


ReadDep = Annotated[ReadRequest, Depends()]
WriteDep = Annotated[WriteRequest, Depends()]
BodyModel = TypeVar("BodyModel")
MergePatch = Annotated[BodyModel, Body(media_type="application/merge-patch+json")]

UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Unchanged"}}


def created(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the response of a route that creates records, as FastAPI wants it announced."""
    return {201: {"model": model, "description": "It was new"}}


async def _bulk_body(request: Request) -> tuple[bytes, Format]:
    kind = media_type(content_type := request.headers.get("content-type", ""))
    if kind not in BULK_TYPES:
        raise UnsupportedBodyError(
            f"Content-Type {kind[:100]!r} is not supported for a bulk body; send {' or '.join(BULK_TYPES)}"
        )
    body = await request.body()
    charset = charset_of(content_type) or "utf-8"
    if charset not in CHARSETS:
        raise UnsupportedBodyError(f"charset {charset[:100]!r} is not supported; send {', '.join(CHARSETS)}")
    try:  # UTF-8 is judged line by line
        return body if charset in UTF8 else body.decode(codec_of(charset)).encode(), BULK_TYPES[kind]
    except UnicodeError as error:
        raise MalformedBodyError(f"the body is not {charset}, as its Content-Type says: {error}") from error


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


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """Session, time, settings and body of a bulk request."""

    session: SessionDep
    now: NowDep
    settings: SettingsDep
    body: BulkBodyDep

    def upsert(self, caller: Caller, kind: str) -> BulkResult:
        """Import a body of items, members or units as ``xuelu ingest`` imports a file, and write the audit log.

        Raises
        ------
        BodyTooLargeError, FileUnreadableError, ImportRefusedError
            Nothing was imported.
        """
        rejects: list[pd.DataFrame] = []
        content, file_format = self.body
        if content.count(b"\n") > MAX_BULK_LINES:
            raise BodyTooLargeError(f"the body has more than {MAX_BULK_LINES:,} lines; send it in parts")
        with temporary_file(content) as path:
            file = ImportFile(path, kind, name=import_log.BODY, file_format=file_format)
            importer = Importer(
                self.session, caller.organisation_key, file, now=self.now, timezone=self.settings.timezone
            )
            try:
                importer.run(max_reject_share=self.settings.max_reject_share, reject=rejects.append, see="errors")
            except FileUnreadableError as error:
                raise FileUnreadableError(str(error).replace(str(path), import_log.BODY)) from error
            except ImportRefusedError as error:
                error.errors = _first_rejects(rejects)
                raise
        import_log.record(self.session, caller.organisation_key, file.counts, status="imported", now=self.now)
        result = BulkResult(
            lines=file.counts.rows,
            stored=file.counts.stored,
            duplicates=file.counts.duplicates,
            rejected=file.counts.rejected,
            rejects=[Reject(**reject) for reject in _first_rejects(rejects)],
            unused_columns=sorted(file.unused),
            warnings=importer.warnings,
        )
        caller.record(
            self.session,
            f"{kind}.bulk_upsert",
            now=self.now,
            **result.model_dump(include={"lines", "stored", "rejected"}),
        )
        return result


BulkDep = Annotated[BulkRequest, Depends()]


def _first_rejects(rejects: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the first rejects as JSON objects."""
    return joined_rejects(rejects).head(MAX_REJECTS).to_dict("records")
