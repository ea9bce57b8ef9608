"""What the routes of items and members share: reading, paging, writing and bodies of many lines."""

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
from api.dependencies import NowDep, SessionDep
from api.errors import UnsupportedBodyError
from api.protocol.etags import Preconditions, PreconditionsDep
from api.protocol.pagination import link_next
from api.schemas.records import Reject, Taken
from content_catalog.errors import FileUnreadableError
from content_catalog.io.validation import joined_rejects
from infra.access import audit
from infra.catalog import records
from infra.catalog.records import Record
from infra.errors import ImportRefusedError, NotFoundError
from infra.ingest import import_log
from infra.ingest.importer import File, Intake
from infra.settings.settings import Settings

MOST_REJECTS: Final = 1_000
BODIES: Final = {"text/csv": ".csv", "application/x-ndjson": ".jsonl"}
MERGE_PATCH: Final = "application/merge-patch+json"


Change = Callable[[Record | None], Record]


@dataclass(frozen=True, slots=True)
class Writing:
    """A request that writes: its session, its moment and what it expects."""

    session: Session
    now: datetime
    expected: Preconditions
    response: Response

    def note(self, caller: Caller, action: str, *, member: str | None = None, **detail: Any) -> None:
        """Write what was done into the audit log."""
        audit.append(
            self.session,
            caller.organisation_key,
            actor=caller.actor,
            action=action,
            subject=member,
            now=self.now,
            detail=detail or None,
        )

    def write(self, caller: Caller, kind: str, record_id: str, change: Change) -> tuple[Record, bool]:
        """Write what a change makes of an item or member; return it, and whether it is new."""
        before = records.locked(self.session, caller.organisation_key, kind, record_id)
        self.expected.check(None if before is None else records.etag(before))
        records.write(self.session, caller.organisation_key, kind, change(before))
        after = records.read(self.session, caller.organisation_key, kind, record_id)
        self.response.headers["ETag"] = records.etag(after)
        if before is None:
            self.response.status_code = 201
        return after, before is None


def _writing(session: SessionDep, now: NowDep, expected: PreconditionsDep, response: Response) -> Writing:
    return Writing(session, now, expected, response)


WritingDep = Annotated[Writing, Depends(_writing)]


def changed(body: BaseModel, unknown: type[NotFoundError], record_id: str) -> Change:
    """Return the change that merges a body into what is there (RFC 7396): what the body does not name stays."""

    def change(before: Record | None) -> Record:
        if before is None:
            raise unknown(f"nothing of your own is called {record_id!r}; create it first, or check the id")
        return before | body.model_dump(exclude_unset=True)

    return change


def shown(record: Record, expected: Preconditions, response: Response) -> Any:
    """Return a record with its entity tag, or nothing with 304 where the reader has it already."""
    etag = records.etag(record)
    if expected.unchanged(etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return record


def paged(found: list[Record], key: str, *, limit: int, request: Request, response: Response) -> list[Record]:
    """Return a page of records of which one more than ``limit`` was asked for, with a link to the next one."""
    page = found[:limit]
    if len(found) > limit:
        link_next(request, response, page[-1][key])
    return page


async def _body(request: Request) -> tuple[bytes, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in BODIES:
        raise UnsupportedBodyError(
            f"Content-Type {kind[:100]!r} is none of a body of lines; send {' or '.join(BODIES)}"
        )
    return await request.body(), BODIES[kind]


LinesDep = Annotated[tuple[bytes, str], Depends(_body)]


def lines(csv: str, ndjson: str) -> dict[str, Any]:
    """Return how OpenAPI tells of a body of lines, with an example of each type."""
    examples = {"text/csv": csv, "application/x-ndjson": ndjson}
    content = {kind: {"schema": {"type": "string"}, "example": example} for kind, example in examples.items()}
    return {"requestBody": {"required": True, "content": content}}


@contextmanager
def on_disk(body: tuple[bytes, str]) -> Iterator[Path]:
    """Open a body as a file, for the readers of files."""
    content, suffix = body
    with tempfile.TemporaryDirectory(prefix="xuelu-") as folder:
        path = Path(folder, f"body{suffix}")
        path.write_bytes(content)
        yield path


def take_lines(
    session: Session, caller: Caller, settings: Settings, kind: str, body: tuple[bytes, str], *, now: datetime
) -> Taken:
    """Take a body of items, members or units through the checks of ``xuelu ingest``, and note it in the audit log.

    Raises
    ------
    FileUnreadableError, ImportRefusedError
        Nothing was taken.
    """
    rejects: list[pd.DataFrame] = []
    with on_disk(body) as path:
        file = File(path, kind, name="the body")
        intake = Intake(session, caller.organisation_key, file)
        try:
            intake.take(max_reject_share=settings.max_reject_share, reject=rejects.append, see="errors")
        except FileUnreadableError as error:
            raise FileUnreadableError(str(error).replace(str(path), "the body")) from error
        except ImportRefusedError as error:
            error.errors = _told(rejects)
            raise
    import_log.record(session, caller.organisation_key, intake.tally, status="imported", now=now)
    taken = Taken(
        lines=intake.tally.rows,
        stored=intake.tally.stored,
        duplicates=intake.tally.duplicates,
        rejected=intake.tally.rejected,
        rejects=[Reject(**reject) for reject in _told(rejects)],
        unused_columns=sorted(file.unused),
    )
    told = taken.model_dump(include={"lines", "stored", "rejected"})
    key, action = caller.organisation_key, f"{kind}.take"
    audit.append(session, key, actor=caller.actor, action=action, subject=None, now=now, detail=told)
    return taken


def _told(rejects: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the first rejects as JSON has them."""
    return joined_rejects(rejects).head(MOST_REJECTS).to_dict("records")
