"""Log of imports: line counts and reject reasons of every file."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Engine, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.catalog.store import NUL
from infra.db.core_tables import imports
from infra.db.engine import transaction
from infra.errors import ImportRefusedError, NotFoundError
from infra.ingest import rejects

BODY: Final = "the body"
"""Name of the body of a request in the log: each is a file of its own."""
LINES: Final = ("rows", "stored", "duplicates", "rejected")
"""Counts of the lines of a file."""


@dataclass
class ImportCounts:
    """Line counts and reject reasons of one file."""

    kind: str
    file_name: str
    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def reject_share(self) -> float:
        """Share of the lines that were bad, 0..1."""
        return self.rejected / self.rows if self.rows else 0.0


def record(session: Session, organisation_key: int, counts: ImportCounts, *, status: str, now: datetime) -> str:
    """Append an import to the log; return its id."""
    import_id = f"im_{uuid4().hex}"
    identity = {"import_id": import_id, "kind": counts.kind, "file_name": counts.file_name}
    values = {"organisation_key": organisation_key, **identity, **_state(counts, status, now)}
    session.execute(insert(imports).values(values))
    return import_id


def _state(counts: ImportCounts, status: str, now: datetime) -> dict[str, Any]:
    lines = {name: getattr(counts, name) for name in LINES}
    return {"status": status, "finished_at": now, **lines, "reasons": dict(counts.reasons)}


@contextmanager
def entry(
    engine: Engine, organisation_key: int, counts: ImportCounts, *, now: datetime
) -> Iterator[Callable[[Session, str], None]]:
    """Log an import as unfinished while its file is read and written, and yield what updates its counts and status.

    An erasure names the file then, as it may bring the member back. Where the import is refused the log says so; where
    it fails otherwise before anything is stored nothing of it stays in the log.
    """
    with transaction(engine) as session:
        import_id = record(session, organisation_key, counts, status="unfinished", now=now)

    def update_entry(session: Session, status: str) -> None:
        values = _state(counts, status, now)
        session.execute(update(imports).where(imports.c.import_id == import_id).values(values))

    try:
        yield update_entry
    except ImportRefusedError:
        counts.duplicates = 0
        with transaction(engine) as session:
            update_entry(session, "refused")
        raise
    except BaseException:
        begun = (imports.c.import_id == import_id) & (imports.c.status == "unfinished") & (imports.c.rows == 0)
        with transaction(engine) as session:
            session.execute(delete(imports).where(begun))
        raise


def totals(session: Session, organisation_key: int) -> dict[str, Any]:
    """Return lines, rejects and duplicates over the newest import of each file, by kind and name, and the reasons."""
    of_organisation = imports.c.organisation_key == organisation_key
    file = imports.c.kind, imports.c.file_name, case((imports.c.file_name == BODY, imports.c.import_key))
    newest = select(func.max(imports.c.import_key)).where(of_organisation).group_by(*file)
    rows = session.execute(select(imports).where(imports.c.import_key.in_(newest))).mappings().all()
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons.update(row["reasons"])
    sums = {name: sum(row[name] for row in rows) for name in LINES}
    return {**sums, "reasons": dict(reasons.most_common())}


def page(
    session: Session,
    organisation_key: int,
    *,
    before: int | None,
    limit: int,
    kind: str | None = None,
    status: str | None = None,
) -> list[dict[str, Any]]:
    """Return up to ``limit`` imports recorded before the one of a key, the newest first."""
    query = select(imports).where(imports.c.organisation_key == organisation_key)
    if before is not None:
        query = query.where(imports.c.import_key < before)
    if kind is not None:
        query = query.where(imports.c.kind == kind)
    if status is not None:
        query = query.where(imports.c.status == status)
    rows = session.execute(query.order_by(imports.c.import_key.desc()).limit(limit)).mappings()
    return [dict(row) for row in rows]


def get(session: Session, organisation_key: int, import_id: str) -> dict[str, Any]:
    """Return an import.

    Raises
    ------
    NotFoundError
        The organisation has none of this id.
    """
    query = select(imports).where(imports.c.organisation_key == organisation_key, imports.c.import_id == import_id)
    row = None if NUL in import_id else session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no import {import_id!r}; list the imports to see those there are")
    return dict(row)


def rejects_file(session: Session, organisation_key: int, import_id: str, places: Sequence[Path]) -> Path:
    """Return the rejects file of an import, from the first of the places for rejects that has it.

    Raises
    ------
    NotFoundError
        There is no such import, it had no rejects, or their file is not here any more: the next import of a file of
        the same name replaces it.
    """
    row = get(session, organisation_key, import_id)
    if not row["rejected"]:
        raise NotFoundError(f"import {import_id} of {row['file_name']!r} had no rejects")
    same_name = select(imports.c.import_id).where(
        imports.c.organisation_key == organisation_key, imports.c.file_name == row["file_name"]
    )
    newest = session.scalar(same_name.order_by(imports.c.import_key.desc()).limit(1))
    if newest != import_id:
        raise NotFoundError(
            f"the rejects of import {import_id} are gone: import {newest} of a file of the same name replaced them"
        )
    organisation = organisations.name_of(session, organisation_key)
    for folder in (rejects.folder_of(place, organisation) for place in places):
        path = folder / f"{row['file_name']}{rejects.ENDING}"
        if path.parent == folder and path.is_file():
            return path
    raise NotFoundError(
        f"the rejects of import {import_id} are in no file of this machine; import {row['file_name']!r} again here"
    )
