"""Import of files in chunks: validate, store, count, and report rejects line by line."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk, rejects_frame
from content_catalog.io.mapping import Mapping
from content_catalog.io.readers import Format, read_chunks, read_lines
from content_catalog.io.validation import check_rows, joined_rejects
from content_catalog.io.values import without_marks
from content_catalog.prerequisites import check_acyclic, prerequisites_of
from content_catalog.references import Deduplicator, column_groups
from content_catalog.schema import CURATIONS, ITEMS, REQUIREMENTS, Schema
from features.events import check_events, has_local_times
from features.schema import EVENTS, MEMBERS, UNITS, VOIDED
from features.xapi.reader import read_statements
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.past_dates import warning_of
from infra.catalog.references import FAULTS, References
from infra.errors import ImportRefusedError
from infra.events import store as events
from infra.ingest.import_log import ImportCounts
from infra.ingest.spool import Slice, Spool

SCHEMAS: Final[dict[str, Schema]] = {
    "events": EVENTS,
    "members": MEMBERS,
    "items": ITEMS,
    "units": UNITS,
    "xapi": EVENTS,
    "requirements": REQUIREMENTS,
    "curations": CURATIONS,
}
RENAMED: Final = {"members": {"organisation": "units"}, "events": {"voids": "voided_event_id"}}
"""Columns that earlier versions called otherwise."""
TARGET_COLUMNS: Final = [name for name in REQUIREMENTS.names if name.startswith("target_")]
RejectWriter = Callable[[pd.DataFrame], None]
MAX_WARNINGS: Final = 20
VALUE: Final = re.compile(r";| ['\"(]|, ")
"""Beginning of the part of a reject's reason that names its value; reasons are counted without it."""


class ImportFile:
    """A file of a kind of :data:`SCHEMAS`, read as chunks in canonical columns.

    Parameters
    ----------
    file_format : str, optional
        Read the file as this format only, not compressed: for bodies of requests, whose size is bounded.

    Attributes
    ----------
    counts : ImportCounts
        Line counts of its import so far.
    unused : set of str
        Columns of the file that nothing reads.
    missing : set of str
        Columns that the mapping reads and the file lacks.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        *,
        mapping: Mapping | None = None,
        home_page: str | None = None,
        name: str = "",
        encoding: str = "utf-8",
        sheet: str | None = None,
        file_format: Format | None = None,
    ) -> None:
        self.kind, self.name, self.zone = kind, name or path.name, "UTC"
        self.counts = ImportCounts(kind, self.name)
        self.schema = SCHEMAS[kind]
        self._path, self._mapping, self._home_page = path, mapping, home_page
        self._encoding, self._sheet, self._format = encoding, sheet, file_format
        self.of_events = kind in {"events", "xapi"}
        self.unused: set[str] = set()
        self.missing: set[str] = set()
        self._used: set[str] = set()

    @property
    def written_zone(self) -> str:
        """Zone of the file's times without an offset: the mapping's, else the organisation's."""
        return (self._mapping and self._mapping.timezone) or self.zone

    def chunks(self) -> Iterator[Chunk]:
        """Yield the file's chunks.

        Raises
        ------
        FileUnreadableError
            The file cannot be read, or its header lacks a column.
        """
        if self.kind == "xapi":
            yield from read_statements(self._path, home_page=self._home_page)
            return
        for chunk in self._read():
            columns = list(chunk.frame.columns)
            if chunk.has_header:
                self._check_header(columns)
            read = self._mapping.sources() if self._mapping else set(self.schema.names)
            self.unused.update(set(columns) - read)
            frame = self._mapping.apply(chunk.frame, self.schema, zone=self.zone) if self._mapping else chunk.frame
            self.unused.update(set(frame.columns) - set(self.schema.names) if self._mapping else ())
            self._used.update(frame.columns)
            yield replace(chunk, frame=frame)

    def _read(self) -> Iterator[Chunk]:
        if self._format is None:
            return read_chunks(self._path, encoding=self._encoding, sheet=self._sheet)
        return read_lines(self._path, self._format, decompress=False)

    def _check_header(self, columns: list[str]) -> None:
        required = self.schema.required
        if self._mapping:
            needed = [*required, "member_id", "item_id"] if self.of_events else required
            self.missing.update(self._mapping.check_header(columns, needed))
            columns = [*self._mapping.targets(), *self._mapping.constants]
        lacking = [name for name in required if name not in columns]
        if lacking:
            near = "".join(
                f"; {column!r} looks like {name!r}" for column, name in self.schema.similar(columns, lacking).items()
            )
            raise FileUnreadableError(
                f"{self.name}: {self.kind} need the column {', '.join(lacking)}; the file has: {', '.join(columns)}"
                f"{near}; rename the columns or name a --mapping"
            )

    def similar_columns(self) -> dict[str, str]:
        """Return the unused columns that look like a canonical one, with its name."""
        names = [name for name in self.schema.names if name not in self.unused]
        renamed = {old: new for old, new in RENAMED.get(self.kind, {}).items() if old in self.unused}
        return self.schema.similar(sorted(self.unused), names, without=self._used) | renamed

    def mistyped_targets(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rejects of lines with a column that looks like one of targets, of records that hold for all without.

        What is meant for some would be required of all, or banned for all.
        """
        if self.kind not in FAULTS:
            return rejects_frame(())
        near = {name: get_close_matches(name.lower(), TARGET_COLUMNS, n=1) for name in self.unused & set(frame.columns)}
        return rejects_frame(
            (int(line), name, without_marks(value), f"unknown column; known and nearest: {matches[0]}")
            for name, matches in sorted(near.items())
            if matches
            for line, value in frame[name].replace("", None).dropna().items()
        )


class Importer:
    """Imports one file: reads and checks all of it first, then writes it slice by slice.

    Attributes
    ----------
    unresolved : int
        Events whose member or item does not exist yet.
    unknown_ids : dict
        Ids of these members and items, by the name of their column.
    warnings : list of str
        The first warnings about sound lines.
    """

    def __init__(
        self, session: Session, organisation_key: int, file: ImportFile, *, now: datetime, timezone: str = "UTC"
    ) -> None:
        file.zone = organisations.timezone(session, organisation_key) or timezone
        self._session, self._organisation_key, self._file = session, organisation_key, file
        self._references = References(session, organisation_key, file.kind)
        self._deduplicator = Deduplicator(file.schema.names[0])
        self._existing = catalog.existing_ids(session, organisation_key) if file.of_events else {}
        self._prerequisites = catalog.prerequisites(session, organisation_key) if file.kind == "items" else {}
        self.unresolved, self.has_local_times = 0, False
        self.unknown_ids: dict[str, set[str]] = {}
        self._now = now
        self.warnings: list[str] = []

    def run(self, *, max_reject_share: float, reject: RejectWriter, see: str) -> None:
        """Import the whole file inside the session's transaction; parameters and errors as of :meth:`read`."""
        with Spool() as slices:
            self.read(slices, max_reject_share=max_reject_share, reject=reject, see=see)
            for part in slices:
                self.write(self._session, part, reject=reject)

    def read(
        self,
        slices: Spool,
        *,
        max_reject_share: float,
        reject: RejectWriter,
        see: str,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """Read and check the whole file, and append its sound rows to slices; the database is only read.

        Parameters
        ----------
        reject : callable
            Called with the rejects of each chunk: ``line, field, value, reason``.
        see : str
            Place of the rejects, for the message.

        Raises
        ------
        ImportRefusedError
            More than ``max_reject_share`` of the lines are bad: the slices must not be written.
        """
        for chunk in self._file.chunks():
            rejects = self._check(chunk.frame, slices)
            self._file.counts.rows += chunk.rows
            self._count(joined_rejects([chunk.rejects, rejects]), reject)
            progress(chunk.done)
        if self._file.counts.reject_share > max_reject_share:
            raise _too_many(self._file.counts, max_reject_share, see, self._file.similar_columns())
        check_acyclic(self._prerequisites)

    def write(self, session: Session, part: Slice, *, reject: RejectWriter) -> None:
        """Store a slice; events whose id was stored with other content since they were read become rejects."""
        rows, present = part
        if self._file.of_events:
            stored = events.store(session, self._organisation_key, rows)
            self._file.counts.stored += stored.stored
            self._file.counts.duplicates += stored.duplicates
            self._count(stored.rejects, reject)
        elif present is not None:
            for columns, mask in column_groups(pd.DataFrame(present, rows.index, rows.columns)):
                part, zone = rows.loc[mask, columns], self._file.zone
                n = catalog.store(session, self._organisation_key, self._file.kind, part, now=self._now, zone=zone)
                self._file.counts.stored += n
                self._file.counts.duplicates += len(part) - n  # they name a record that is there, and nothing of it

    def _count(self, rejects: pd.DataFrame, reject: RejectWriter) -> None:
        reject(rejects)
        self._file.counts.rejected += rejects["line"].nunique()
        self._file.counts.reasons.update(
            f"{field or 'line'}: {VALUE.split(reason)[0]}"
            for field, reason in zip(rejects["field"], rejects["reason"], strict=True)
        )

    def _check(self, frame: pd.DataFrame, slices: Spool) -> pd.DataFrame:
        """Append the sound rows of a chunk that are new to the slices, count duplicates, and return the rejects."""
        if self._file.of_events:
            return self._check_events(frame, slices)
        rows, rejects = check_rows(frame, self._file.schema, zone=self._file.written_zone)
        mistyped = self._file.mistyped_targets(frame)
        rows = rows.drop(index=mistyped["line"].unique(), errors="ignore")
        present = frame.reindex(index=rows.index, columns=list(rows)).notna()
        if self._file.kind in FAULTS:  # a line is the whole record
            present[:] = True
        rows, wrong = self._references.check(rows, present)
        if self._file.kind in FAULTS:
            self._warn(rows)
        rows, repetitions, contradictions = self._deduplicator.split(rows, present)
        present = present.loc[rows.index]
        if self._file.kind == "items":
            named = rows[present["prerequisites"]].set_index("item_id")
            self._prerequisites |= dict.fromkeys(named.index, ()) | prerequisites_of(named)
        self._file.counts.duplicates += repetitions
        slices.append(rows, present.to_numpy(dtype=bool))
        return joined_rejects([rejects, mistyped, wrong, contradictions])

    def _warn(self, rows: pd.DataFrame) -> None:
        """Note the dates of records that have passed."""
        plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
        warnings = filter(None, (warning_of(self._file.kind, row, self._now) for row in plain))
        self.warnings += islice(warnings, MAX_WARNINGS - len(self.warnings))

    def _check_events(self, frame: pd.DataFrame, slices: Spool) -> pd.DataFrame:
        self.has_local_times |= has_local_times(frame)
        sound, rejects = check_events(frame, zone=self._file.written_zone)
        new, duplicates, clashes = events.without_stored(self._session, self._organisation_key, sound)
        self._note_unresolved(sound[sound["verb"] != VOIDED])
        self._file.counts.duplicates += duplicates
        slices.append(new)
        return joined_rejects([rejects, clashes])

    def _note_unresolved(self, rows: pd.DataFrame) -> None:
        """Count the events of unknown members or items, and collect these."""
        unknown = {name: ids.get_indexer(rows[name]) < 0 for name, ids in self._existing.items()}
        self.unresolved += int(np.logical_or.reduce(list(unknown.values())).sum())
        for name, mask in unknown.items():
            self.unknown_ids.setdefault(name, set()).update(rows.loc[mask, name])


def _too_many(counts: ImportCounts, max_reject_share: float, see: str, similar: dict[str, str]) -> ImportRefusedError:
    hints = "".join(
        f"; column {column!r} was not used: if it is {name!r}, rename it" for column, name in similar.items()
    )
    return ImportRefusedError(
        f"{counts.file_name}: {counts.rejected} of {counts.rows} lines are bad ({counts.reject_share:.1%}, at most "
        f"{max_reject_share:.1%} by max_reject_share); nothing was imported; see {see}{hints}"
    )
