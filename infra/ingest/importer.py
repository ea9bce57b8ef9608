"""Import of files in chunks: validate, store, count, and report rejects line by line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk
from content_catalog.io.mapping import Mapping
from content_catalog.io.readers import read_chunks
from content_catalog.io.validation import check_rows, joined_rejects
from content_catalog.prerequisites import check_acyclic
from content_catalog.references import Deduplicator, check_codes
from content_catalog.schema import ITEMS, Schema
from features.events import check_events
from features.schema import EVENTS, MEMBERS, UNITS, VOIDED
from features.xapi.reader import read_statements
from infra.catalog import organisations, units
from infra.catalog import store as catalog
from infra.catalog.taxonomies import code_columns
from infra.errors import ImportRefusedError
from infra.events import store as events
from infra.ingest.import_log import ImportCounts

SCHEMAS: Final[dict[str, Schema]] = {
    "events": EVENTS,
    "members": MEMBERS,
    "items": ITEMS,
    "units": UNITS,
    "xapi": EVENTS,
}


class ImportFile:
    """A file of ``events``, ``members``, ``items``, ``units`` or ``xapi``, read as chunks in canonical columns."""

    def __init__(
        self, path: Path, kind: str, *, mapping: Mapping | None = None, home_page: str | None = None, name: str = ""
    ) -> None:
        self.kind, self.name = kind, name or path.name
        self._path, self._mapping, self._home_page = path, mapping, home_page
        self.of_events = kind in {"events", "xapi"}
        self.unused: set[str] = set()

    def chunks(self) -> Iterator[Chunk]:
        """Yield the file's chunks.

        Raises
        ------
        FileUnreadableError
            The file cannot be read, or lacks a column.
        """
        if self.kind == "xapi":
            yield from read_statements(self._path, home_page=self._home_page)
            return
        names = SCHEMAS[self.kind].names
        for chunk in read_chunks(self._path):
            frame = self._mapping.apply(chunk.frame) if self._mapping else chunk.frame
            self._check_columns(list(frame.columns))
            self.unused.update(set(frame.columns) - set(names))
            yield Chunk(frame, chunk.rejects, chunk.rows, chunk.done)

    def _check_columns(self, columns: list[str]) -> None:
        lacking = [name for name in SCHEMAS[self.kind].required if name not in columns]
        if lacking and columns:
            raise FileUnreadableError(
                f"{self.name}: {self.kind} need the column {', '.join(lacking)}; the file has: {', '.join(columns)}; "
                "rename the columns or name a --mapping"
            )


class Importer:
    """Imports one file into the database, inside the session's transaction.

    Attributes
    ----------
    counts : ImportCounts
        Line counts so far.
    unresolved : int
        Events whose member or item does not exist yet.
    """

    def __init__(self, session: Session, organisation_key: int, file: ImportFile) -> None:
        self._session, self._organisation_key, self._file = session, organisation_key, file
        taxonomies = organisations.taxonomies(session, organisation_key)
        self._codes = code_columns(file.kind, taxonomies)
        self._deduplicator = Deduplicator(SCHEMAS[file.kind].names[0])
        self._existing = catalog.existing_ids(session, organisation_key) if file.of_events else {}
        self.counts = ImportCounts(file.kind, file.name)
        self.unresolved = 0

    def run(
        self,
        *,
        max_reject_share: float,
        reject: Callable[[pd.DataFrame], None],
        see: str,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """Import the whole file.

        Parameters
        ----------
        reject : callable
            Called with the rejects of each chunk: ``line, field, value, reason``.
        see : str
            Place of the rejects, for the message.

        Raises
        ------
        ImportRefusedError
            More than ``max_reject_share`` of the lines are bad: the transaction must not be committed.
        """
        for chunk in self._file.chunks():
            stored, duplicates, rejects = self._store(chunk.frame)
            rejects = joined_rejects([chunk.rejects, rejects])
            reject(rejects)
            self.counts.rows += chunk.rows
            self.counts.stored += stored
            self.counts.duplicates += duplicates
            self.counts.rejected += rejects["line"].nunique()
            self.counts.reasons.update(f"{field or 'line'}: {reason}" for field, reason in _reason_groups(rejects))
            progress(chunk.done)
        if self.counts.reject_share > max_reject_share:
            raise _too_many(self.counts, max_reject_share, see)
        if self._file.kind == "items":
            check_acyclic(catalog.prerequisites(self._session, self._organisation_key))

    def _store(self, frame: pd.DataFrame) -> tuple[int, int, pd.DataFrame]:
        """Return how many rows were stored, how many were duplicates, and the rejects."""
        if self._file.of_events:
            sound, rejects = check_events(frame)
            stored = events.store(self._session, self._organisation_key, sound)
            resolved = np.logical_and.reduce(
                [ids.get_indexer(sound[name]) >= 0 for name, ids in self._existing.items()]
            )
            self.unresolved += int((~resolved & (sound["verb"] != VOIDED)).sum())
            return stored.stored, stored.duplicates, joined_rejects([rejects, stored.rejects])
        schema, of_units = SCHEMAS[self._file.kind], self._file.kind == "units"
        rows, rejects = check_rows(frame, schema)
        rows, wrong = units.check_paths(rows) if of_units else check_codes(rows, self._codes)
        new, repetitions, contradictions = self._deduplicator.split(rows)
        new = new[[name for name in schema.names if name in frame]]
        if of_units:
            stored_rows = units.store(self._session, self._organisation_key, new)
        else:
            stored_rows = catalog.store(self._session, self._organisation_key, self._file.kind, new)
        return stored_rows, repetitions, joined_rejects([rejects, wrong, contradictions])


def _reason_groups(rejects: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield field and reason of each reject, the reason without its value-specific part."""
    for field, reason in zip(rejects["field"], rejects["reason"], strict=True):
        yield field, reason.split(";")[0].split(" '")[0].split(" (")[0].split(", ")[0]


def _too_many(counts: ImportCounts, max_reject_share: float, see: str) -> ImportRefusedError:
    return ImportRefusedError(
        f"{counts.file_name}: {counts.rejected} of {counts.rows} lines are bad ({counts.reject_share:.1%}, at most "
        f"{max_reject_share:.1%} by max_reject_share); nothing was imported; see {see}"
    )
