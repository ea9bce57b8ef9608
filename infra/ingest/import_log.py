"""Log of imports: line counts and reject reasons of every file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from infra.db.core_tables import imports
from infra.errors import UnknownImportError
from infra.ingest import rejects


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


def record(session: Session, organisation_key: int, counts: ImportCounts, *, status: str, now: datetime) -> None:
    """Append an import to the log."""
    session.execute(
        insert(imports).values(
            organisation_key=organisation_key,
            kind=counts.kind,
            file_name=counts.file_name,
            status=status,
            finished_at=now,
            rows=counts.rows,
            stored=counts.stored,
            duplicates=counts.duplicates,
            rejected=counts.rejected,
            reasons=dict(counts.reasons),
        )
    )


def totals(session: Session, organisation_key: int) -> dict[str, Any]:
    """Return lines, rejects and duplicates over all imports, and the rejects by reason."""
    rows = session.execute(select(imports).where(imports.c.organisation_key == organisation_key)).mappings().all()
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons.update(row["reasons"])
    sums = {name: sum(row[name] for row in rows) for name in ("rows", "stored", "duplicates", "rejected")}
    return {"files": len(rows), **sums, "reasons": dict(reasons.most_common())}


def page(session: Session, organisation_key: int, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return up to ``limit`` imports recorded before the one of a key, the newest first."""
    query = select(imports).where(imports.c.organisation_key == organisation_key)
    if before is not None:
        query = query.where(imports.c.import_key < before)
    rows = session.execute(query.order_by(imports.c.import_key.desc()).limit(limit)).mappings()
    return [dict(row) for row in rows]


def rejects_file(session: Session, organisation_key: int, import_key: int, folders: Sequence[Path]) -> Path:
    """Return the rejects file of an import, from the first of an organisation's folders of rejects that has it.

    Raises
    ------
    UnknownImportError
        There is no such import, it had no rejects, or their file is not here any more: the next import of a file of
        the same name replaces it.
    """
    query = select(imports).where(imports.c.organisation_key == organisation_key, imports.c.import_key == import_key)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownImportError(f"no import {import_key}; list the imports to see those there are")
    if not row["rejected"]:
        raise UnknownImportError(f"import {import_key} of {row['file_name']!r} had no rejects")
    same_name = select(func.max(imports.c.import_key)).where(
        imports.c.organisation_key == organisation_key, imports.c.file_name == row["file_name"]
    )
    newest = session.scalar(same_name)
    if newest != import_key:
        raise UnknownImportError(
            f"the rejects of import {import_key} are gone: import {newest} of a file of the same name replaced them"
        )
    paths = [folder / f"{row['file_name']}{rejects.ENDING}" for folder in folders]
    existing = [path for path, folder in zip(paths, folders, strict=True) if path.parent == folder and path.is_file()]
    if not existing:
        raise UnknownImportError(
            f"the rejects of import {import_key} are in no file of this machine; import {row['file_name']!r} again here"
        )
    return existing[0]
