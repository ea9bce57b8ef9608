"""Log of imports: line counts and reject reasons of every file."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from infra.db.core_tables import imports


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
