"""A file that is imported: its kind, its mapping, its columns and its chunks."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import pandas as pd

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk, rejects_frame
from content_catalog.io.mapping import Mapping
from content_catalog.io.readers import Format, read_chunks, read_lines
from content_catalog.io.values import without_marks
from content_catalog.schema import CURATIONS, ITEMS, REQUIREMENTS, Schema
from features.schema import EVENTS, MEMBERS, UNITS
from features.xapi.reader import read_statements
from infra.catalog.references import FAULTS
from infra.ingest.import_log import ImportCounts

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
