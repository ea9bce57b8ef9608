"""Temporary file of checked rows, so that a file is read whole before any of it is written."""

import pickle
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SLICE_ROWS: Final = 20_000
"""Rows of one transaction: SQLite has one writer, and others wait some tenths of a second for so many."""
MEMORY_BYTES: Final = 16_000_000

Slice = tuple[pd.DataFrame, NDArray[np.bool_] | None]
"""Checked rows, and which of their values the lines name; None: all of them."""


class Spool:
    """Slices of rows in the order of their lines, in memory or in a file without a name that no crash leaves behind."""

    def __init__(self, slice_rows: int = SLICE_ROWS) -> None:
        self._slice_rows = slice_rows
        self._file = SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed at the end of its `with`
        self._length = 0

    def append(self, rows: pd.DataFrame, present: NDArray[np.bool_] | None = None) -> None:
        """Append rows."""
        for start in range(0, len(rows), self._slice_rows):
            part = slice(start, start + self._slice_rows)
            pickle.dump((rows.iloc[part], None if present is None else present[part]), self._file)
            self._length += 1

    def __len__(self) -> int:
        """Return the number of slices."""
        return self._length

    def __iter__(self) -> Iterator[Slice]:
        """Yield the slices."""
        self._file.seek(0)
        for _ in range(self._length):
            yield pickle.load(self._file)  # noqa: S301 - we wrote it, and no other process can open it

    def __enter__(self) -> Self:
        """Return the spool."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file."""
        self._file.close()
