"""Import of the statements of a record store, page by page, from where the last import ended."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.ingest.import_log import ImportCounts
from infra.lrs import remote
from infra.lrs.remote import Page, RecordStore, Statement
from infra.settings.settings import Settings
from jobs.ingest.ingest import COUNTED, ImportResult, audit_import, ingest

BATCH_STATEMENTS: Final = 10_000
"""Statements of one transaction, at least, where there are as many."""
SMALL_BATCH: Final = 100
"""Statements up to which a batch is not refused: a few bad ones would be most of a quiet day, and stop each pull."""
OVERLAP: Final = timedelta(seconds=1)
"""Pulled again at the next start: some stores round the time of storing, so a page may end between equal times."""


@dataclass(slots=True)
class PullResult:
    """Sums over the batches of a pull: ``figures`` by the names of those of an import."""

    url: str
    pulled_until: datetime | None
    figures: Counter[str] = field(default_factory=Counter)
    rejects_files: list[Path] = field(default_factory=list)

    def add(self, result: ImportResult) -> None:
        """Add the counts of a batch."""
        self.figures.update({name: result.figures[name] for name in ("lines", *COUNTED)})
        self.rejects_files += [result.rejects_file] if result.rejects_file else []


def pull(engine: Engine, settings: Settings, url: str, *, now: datetime, actor: str) -> PullResult:
    """Import the statements that a record store has stored since the last pull of this organisation.

    Each batch is one transaction with the position that it leads to, so a pull that stops goes on from there. What is
    pulled twice is stored once.

    Raises
    ------
    ImportRefusedError
        More than ``max_reject_share`` of a batch of over 100 is bad; the batches before it are stored.
    RemoteError
        The record store does not answer, or not as xAPI demands.
    SettingsError
        The address is none of a record store.
    """
    address = remote.statements_url(url)
    with transaction(engine) as session:
        organisation_key = organisations.ensure(session, settings.organisation, now=now)
        position = remote.pulled_until(session, organisation_key, address)
    result = PullResult(address, position)
    since = None if position is None else position - OVERLAP
    store = RecordStore(address, user=settings.lrs_user, password=settings.lrs_password)
    with closing(store), TemporaryDirectory(prefix="xuelu-") as folder:
        for number, (statements, complete_until) in enumerate(_batches(store.pages(since)), start=1):
            path = Path(folder) / f"{urlsplit(address).hostname}-{number}.jsonl"
            path.write_bytes(b"".join(json.dumps(statement).encode() + b"\n" for statement in statements))

            def at_end(
                session: Session, key: int, counts: ImportCounts, moment: datetime | None = complete_until
            ) -> None:
                if moment is not None and (result.pulled_until is None or moment > result.pulled_until):
                    remote.set_pulled_until(session, key, address, moment)
                    result.pulled_until = moment
                audit_import(session, key, counts, actor=actor, now=now)

            share = 1.0 if len(statements) <= SMALL_BATCH else settings.max_reject_share
            bounded = settings.model_copy(update={"max_reject_share": share})
            result.add(ingest(engine, bounded, path, "xapi", now=now, at_end=at_end))
            path.unlink()
    return result


def _batches(pages: Iterator[Page]) -> Iterator[tuple[list[Statement], datetime | None]]:
    """Yield pages joined to batches, each with the time up to which none is missing."""
    batch: list[Statement] = []
    complete_until: datetime | None = None
    for page in pages:
        batch += page.statements
        complete_until = page.complete_until
        if len(batch) >= BATCH_STATEMENTS:
            yield batch, complete_until
            batch = []
    if batch:
        yield batch, complete_until
