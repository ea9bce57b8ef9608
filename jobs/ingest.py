"""Files into the database: checked, counted, all or nothing."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from content_catalog.catalog import Repetitions, check_codes
from content_catalog.checks import check_rows, joined_rejects
from content_catalog.errors import FileUnreadableError
from content_catalog.mapping import Mapping, load_mapping
from content_catalog.prerequisites import check_acyclic, prerequisites_of
from content_catalog.readers import read_chunks
from content_catalog.schema import ITEMS, REJECT_COLUMNS, Schema
from content_catalog.sources import Chunk
from content_catalog.taxonomy import Taxonomy
from features.events import check_events
from features.readers.xapi import read_statements
from features.schema import EVENTS, MEMBERS, VOIDED
from infra import catalog, events, imports, organisations
from infra.db import transaction
from infra.errors import ImportRefusedError
from infra.imports import Tally
from infra.settings import Settings

SCHEMAS: Final[dict[str, Schema]] = {"events": EVENTS, "members": MEMBERS, "items": ITEMS, "xapi": EVENTS}
CODED: Final = {
    "members": {"role": "role", "industry": "industry"},
    "items": {"target_roles": "role", "target_industries": "industry"},
}
"""Columns that hold codes, and the taxonomy they come from."""


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
    """Take a file of ``events``, ``members``, ``items`` or ``xapi`` statements into the organisation of the settings.

    Raises
    ------
    ImportRefusedError
        More than ``max_reject_share`` of the lines are bad; nothing was taken, the rejects file says why.
    """
    tally = Tally(kind, path.name)
    file = _File(path, kind, load_mapping(mapping, kind) if mapping else None, settings.xapi_home_page or None)
    rejects_file = settings.rejects_folder / f"{path.name}.rejects.csv"
    try:
        with transaction(engine) as session, _rejects_writer(rejects_file) as reject:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            store = _Store(session, organisation_key, kind, organisations.taxonomies(session, organisation_key))
            for chunk in file.chunks():
                stored, duplicates, rejects = store.take(chunk.frame)
                rejects = joined_rejects([chunk.rejects, rejects])
                reject(rejects)
                tally.rows += chunk.rows
                tally.stored += stored
                tally.duplicates += duplicates
                tally.rejected += rejects["line"].nunique()
                tally.reasons.update(f"{field or 'line'}: {reason}" for field, reason in _general(rejects))
                progress(chunk.done)
            if tally.reject_share > settings.max_reject_share:
                raise _too_many(tally, settings, rejects_file)
            if kind == "items":
                check_acyclic(prerequisites_of(catalog.read(session, organisation_key, "items")))
            created = (
                events.create_unknown(session, organisation_key) if settings.auto_create and file.of_events else (0, 0)
            )
            imports.record(session, organisation_key, tally, status="taken", now=now)
    except ImportRefusedError:
        with transaction(engine) as session:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            tally.stored = tally.duplicates = 0
            imports.record(session, organisation_key, tally, status="refused", now=now)
        raise
    return Imported(
        tally,
        rejects_file if tally.rejected else None,
        sorted(file.unused),
        *created,
        0 if settings.auto_create else store.waiting,
    )


class _File:
    """A file as chunks of text rows in canonical columns."""

    def __init__(self, path: Path, kind: str, mapping: Mapping | None, home_page: str | None) -> None:
        self._path, self._kind, self._mapping, self._home_page = path, kind, mapping, home_page
        self.of_events = kind in {"events", "xapi"}
        self.unused: set[str] = set()

    def chunks(self) -> Iterator[Chunk]:
        if self._kind == "xapi":
            yield from read_statements(self._path, home_page=self._home_page)
            return
        names = SCHEMAS[self._kind].names
        for chunk in read_chunks(self._path):
            frame = self._mapping.apply(chunk.frame) if self._mapping else chunk.frame
            self._check_columns(list(frame.columns))
            self.unused.update(set(frame.columns) - set(names))
            yield Chunk(frame, chunk.rejects, chunk.rows, chunk.done)

    def _check_columns(self, found: list[str]) -> None:
        lacking = [name for name in SCHEMAS[self._kind].required if name not in found]
        if lacking and found:
            raise FileUnreadableError(
                f"{self._path}: {self._kind} need the column {', '.join(lacking)}; found: {', '.join(found)}; "
                "rename the columns or name a --mapping"
            )


class _Store:
    """Takes chunks of one kind into the database."""

    def __init__(self, session: Session, organisation_key: int, kind: str, taxonomies: dict[str, Taxonomy]) -> None:
        self._session, self._organisation_key, self._kind = session, organisation_key, kind
        self._codes = {column: taxonomies[name] for column, name in CODED.get(kind, {}).items()}
        self._repetitions = Repetitions(SCHEMAS[kind].names[0])
        self._known = catalog.known_ids(session, organisation_key) if kind in {"events", "xapi"} else {}
        self.waiting = 0

    def take(self, frame: pd.DataFrame) -> tuple[int, int, pd.DataFrame]:
        """Return how many rows were stored, how many were known already, and the rejects."""
        if self._kind in {"events", "xapi"}:
            sound, rejects = check_events(frame)
            stored = events.store(self._session, self._organisation_key, sound)
            placed = np.logical_and.reduce([ids.get_indexer(sound[name]) >= 0 for name, ids in self._known.items()])
            self.waiting += int((~placed & (sound["verb"] != VOIDED)).sum())
            return stored.stored, stored.duplicates, joined_rejects([rejects, stored.rejects])
        rows, rejects = check_rows(frame, SCHEMAS[self._kind])
        rows, unknown = check_codes(rows, self._codes)
        new, same, contradictions = self._repetitions.split(rows)
        stored_rows = catalog.store(self._session, self._organisation_key, self._kind, new, given=list(frame.columns))
        return stored_rows, same, joined_rejects([rejects, unknown, contradictions])


def _general(rejects: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield field and reason of each reject, without what differs from value to value."""
    for field, reason in zip(rejects["field"], rejects["reason"], strict=True):
        yield field, reason.split(";")[0].split(" '")[0].split(" (")[0].split(", ")[0]


def _too_many(tally: Tally, settings: Settings, rejects_file: Path) -> ImportRefusedError:
    return ImportRefusedError(
        f"{tally.file_name}: {tally.rejected} of {tally.rows} lines are bad ({tally.reject_share:.1%}, at most "
        f"{settings.max_reject_share:.1%} by max_reject_share); nothing was taken; see {rejects_file}"
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
