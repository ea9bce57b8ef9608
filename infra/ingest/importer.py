"""Import of files in chunks: validate, store, count, and report rejects line by line."""

import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.io.validation import check_rows, joined_rejects
from content_catalog.prerequisites import check_acyclic, prerequisites_of
from content_catalog.references import Deduplicator, column_groups
from features.events import check_events, has_local_times
from features.schema import VOIDED
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.past_dates import warning_of
from infra.catalog.references import FAULTS, References
from infra.errors import ImportRefusedError
from infra.events import store as events
from infra.ingest.import_file import ImportFile
from infra.ingest.import_log import ImportCounts
from infra.ingest.spool import Slice, Spool

RejectWriter = Callable[[pd.DataFrame], None]
MAX_WARNINGS: Final = 20
VALUE: Final = re.compile(r";| ['\"(]|, ")
"""Beginning of the part of a reject's reason that names its value; reasons are counted without it."""


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
