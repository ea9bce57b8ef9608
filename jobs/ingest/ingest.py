"""Files into the database: checked, counted, all or nothing."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from content_catalog.io.mapping import load_mapping
from content_catalog.schema import REJECT_COLUMNS
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from infra.events import store as events
from infra.ingest import import_log
from infra.ingest.import_log import Tally
from infra.ingest.importer import File, Intake
from infra.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    tally: Tally
    rejects_file: Path | None
    unused_columns: list[str]
    created_members: int = 0
    created_items: int = 0
    waiting: int = 0


def ingest(
    engine: Engine,
    settings: Settings,
    path: Path,
    kind: str,
    *,
    now: datetime,
    mapping: str | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Imported:
    """Take a file of events, members, items, units or xAPI statements into the organisation of the settings.

    Raises
    ------
    ImportRefusedError
        More than ``max_reject_share`` of the lines are bad; nothing was taken, the rejects file says why.
    """
    found = load_mapping(mapping, kind) if mapping else None
    file = File(path, kind, mapping=found, home_page=settings.xapi_home_page or None)
    rejects_file = settings.rejects_folder / f"{path.name}.rejects.csv"
    try:
        with transaction(engine) as session, _rejects_writer(rejects_file) as reject:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            intake = Intake(session, organisation_key, file)
            tally = intake.tally
            share = settings.max_reject_share
            intake.take(max_reject_share=share, reject=reject, see=str(rejects_file), progress=progress)
            created = (
                events.create_unknown(session, organisation_key) if settings.auto_create and file.of_events else (0, 0)
            )
            import_log.record(session, organisation_key, tally, status="imported", now=now)
    except ImportRefusedError:
        with transaction(engine) as session:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            tally.stored = tally.duplicates = 0
            import_log.record(session, organisation_key, tally, status="refused", now=now)
        raise
    return Imported(
        tally,
        rejects_file if tally.rejected else None,
        sorted(file.unused),
        *created,
        0 if settings.auto_create else intake.waiting,
    )


@contextmanager
def _rejects_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write rejects into a CSV file, which comes into being with the first of them."""
    path.unlink(missing_ok=True)

    def write(rejects: pd.DataFrame) -> None:
        if rejects.empty:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        rejects.to_csv(
            path, mode="a", index=False, header=not path.exists(), columns=REJECT_COLUMNS, quoting=csv.QUOTE_MINIMAL
        )

    yield write
