"""Writers of the three input files, and of the list of the lines that an import must refuse."""

import gzip
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import numpy as np

from content_catalog.schema import ITEMS, Schema
from features.schema import EVENTS, MEMBERS
from simulator.bad_lines import csv_line, mixed

UNITS_FILE = "units.csv"
REJECTS_FILE: Final = "expected_rejects.csv"


class CanonicalFile:
    """A CSV file of one schema; ``rows``, ``bad`` (by kind) and ``duplicates`` count what has been written."""

    def __init__(
        self, name: str, schema: Schema, *, sink: IO[bytes], rejects: IO[bytes], bad_lines_share: float
    ) -> None:
        self.name = name
        self.rows = 0
        self.duplicates = 0
        self.bad: Counter[str] = Counter()
        self._schema = schema
        self._sink = sink
        self._rejects = rejects
        self._bad_lines_share = bad_lines_share
        sink.write(csv_line(schema.names) + b"\n")

    def write(self, lines: list[bytes], rng: np.random.Generator) -> None:
        """Write good lines, with bad ones between them; the first call brings every kind of bad line."""
        mixture = mixed(lines, self._schema, bad_lines_share=self._bad_lines_share, every_kind=not self.bad, rng=rng)
        self._sink.write(b"".join([line + b"\n" for line in mixture.lines]))
        first = self.rows + 2  # lines count from 1, and the first one is the header
        self._rejects.writelines(f"{self.name},{first + at},{kind}\n".encode() for at, kind in mixture.bad)
        self.rows += len(mixture.lines)
        self.duplicates += mixture.duplicates
        self.bad.update(kind for _, kind in mixture.bad)


@dataclass(frozen=True, slots=True)
class Outputs:
    """The inputs of an organisation."""

    items: CanonicalFile
    members: CanonicalFile
    events: CanonicalFile


@contextmanager
def open_outputs(folder: Path, *, bad_lines_share: float) -> Iterator[Outputs]:
    """Return the three inputs and the list of their bad lines, open for writing in ``folder``."""
    with ExitStack() as stack:
        rejects = stack.enter_context((folder / REJECTS_FILE).open("wb"))
        rejects.write(b"file,line,kind\n")

        def opened(name: str, schema: Schema) -> CanonicalFile:
            sink: IO[bytes] = stack.enter_context((folder / name).open("wb"))
            if name.endswith(".gz"):  # no name and no time in the header: equal runs give equal bytes
                packed = gzip.GzipFile("", "wb", compresslevel=1, fileobj=sink, mtime=0)
                sink = cast("IO[bytes]", stack.enter_context(packed))
            return CanonicalFile(name, schema, sink=sink, rejects=rejects, bad_lines_share=bad_lines_share)

        yield Outputs(opened("items.csv", ITEMS), opened("members.csv", MEMBERS), opened("events.csv.gz", EVENTS))


def write_units(folder: Path, units: list[str]) -> None:
    """Write the file of units, which items may target before any member is in them."""
    (folder / UNITS_FILE).write_text("unit\n" + "".join(f"{unit}\n" for unit in units), encoding="utf-8")
