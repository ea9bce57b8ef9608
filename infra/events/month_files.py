"""Parquet files of study events, one for each month of an organisation: written whole, read in bounded memory.

Member and item are stored as ids, so that files outlive new members and items. Each row has the checksum that the
database computes of the event (:mod:`infra.events.event_copy`); Parquet adds one for each page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.schema import VERBS
from features.study_time import DAY_MICROSECONDS
from infra.file_modes import FOLDER_MODE, PART, whole_file

FOLDER: Final = "events"
ENDING: Final = ".parquet"
ROW_GROUP_ROWS: Final = 250_000
UNREADABLE: Final = (OSError, pa.ArrowException, ValueError, KeyError)
"""Errors of a file that is missing or damaged, or that another version wrote."""

_CODED: Final = pa.dictionary(pa.int32(), pa.string())
CHECKSUM: Final = "checksum"
SCHEMA: Final = pa.schema(
    [
        ("member_id", _CODED),
        ("item_id", _CODED),
        ("verb", _CODED),
        ("occurred_at", pa.int64()),
        ("duration_seconds", pa.float64()),
        ("progress", pa.float64()),
        ("score", pa.float64()),
        ("session_id", _CODED),
        ("date_only", pa.bool_()),
        (CHECKSUM, pa.int64()),
    ]
)
CODED: Final = [field.name for field in SCHEMA if field.type == _CODED]


def folder_of(artefacts: Path, organisation_key: int) -> Path:
    """Return the folder of an organisation's files."""
    return artefacts / FOLDER / str(organisation_key)


def path_of(folder: Path, month: str) -> Path:
    """Return the file of a month such as ``2026-03``."""
    return folder / f"{month}{ENDING}"


def months_in(folder: Path) -> list[str]:
    """Return the months that have a file, in order."""
    return sorted(path.name.removesuffix(ENDING) for path in folder.glob(f"*{ENDING}"))


def month_of(day: int) -> str:
    """Return the month of a day, counted from 1970-01-01.

    >>> month_of(0), month_of(31)
    ('1970-01', '1970-02')
    """
    return str(np.datetime64(day, "D"))[:7]


def day_of(occurred_at: pa.ChunkedArray) -> np.ndarray:
    """Return the days of moments in microseconds since 1970."""
    return np.asarray(occurred_at.to_numpy() // DAY_MICROSECONDS)


def prepare(folder: Path) -> None:
    """Make the folder, and remove what a killed process left in it; raises OSError where it cannot."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def write(folder: Path, month: str, table: pa.Table) -> None:
    """Write the file of a month, whole or not at all; no file where there are no rows.

    The folder must be there: an erasure removes it from under a night that read the member.
    """
    path = path_of(folder, month)
    if not table.num_rows:
        path.unlink(missing_ok=True)
        return
    # Encoded again: a dictionary would name members of rows that are gone.
    table = _encoded(table)
    # Rows of a member together: its id, and days close to each other, take next to no room.
    codes = table["member_id"].chunk(0).indices.to_numpy()
    table = table.take(pa.array(np.lexsort((table["occurred_at"].to_numpy(), codes))))
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP_ROWS, write_page_checksum=True)


def _encoded(table: pa.Table) -> pa.Table:
    """Return a table of one chunk whose dictionaries hold the values of its rows alone."""
    plain = pa.schema([(field.name, pa.string() if field.type == _CODED else field.type) for field in SCHEMA])
    return table.cast(plain).combine_chunks().cast(SCHEMA)


def read(folder: Path, month: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return columns of a month's rows, by default all.

    Raises
    ------
    OSError, ArrowException, ValueError, KeyError
        The file is missing, damaged, or of another version.
    """
    with pq.ParquetFile(path_of(folder, month), read_dictionary=CODED, page_checksum_verification=True) as file:
        if file.schema_arrow.names != SCHEMA.names:
            raise ValueError(f"{month}: columns {file.schema_arrow.names}")
        schema = SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])
        return file.read(columns=schema.names).cast(schema)


def digests(table: pa.Table) -> dict[int, tuple[int, int]]:
    """Return number and sum of checksums of the rows of each day."""
    days, place = np.unique(day_of(table["occurred_at"]), return_inverse=True)
    sums = np.zeros(len(days), dtype=np.int64)
    np.add.at(sums, place, table[CHECKSUM].to_numpy())
    counts = np.bincount(place, minlength=len(days))
    return dict(zip(days.tolist(), zip(counts.tolist(), sums.tolist(), strict=True), strict=True))


def numbered(table: pa.Table, members: pd.Index, items: pd.Index) -> dict[str, np.ndarray]:
    """Return rows as :func:`infra.events.store.study_events` does, as arrays; -1 for other members and items."""
    codes = {name: _codes(table[name]) for name in CODED}

    def by_code(name: str, values: np.ndarray) -> np.ndarray:
        # The last value is that of code -1, which stands for a missing text.
        return np.append(values, values.dtype.type(0))[codes[name][1]]

    def row_numbers(name: str, index: pd.Index) -> np.ndarray:
        numbers = np.append(index.get_indexer(pd.Index(codes[name][0])).astype(np.int32), np.int32(-1))
        return np.asarray(numbers[codes[name][1]])

    verbs = pd.Index(VERBS).get_indexer(pd.Index(codes["verb"][0])).astype(np.int8)
    sessions = codes["session_id"][0]
    hashed = pd.util.hash_array(sessions) if len(sessions) else np.zeros(0, dtype=np.uint64)
    numbers = {name: table[name].to_numpy() for name in ("duration_seconds", "progress", "score")}
    return {
        "member": row_numbers("member_id", members),
        "item": row_numbers("item_id", items),
        "verb": by_code("verb", verbs),
        "occurred_at": table["occurred_at"].to_numpy(),
        **numbers,
        "session": by_code("session_id", np.where(sessions == "", np.uint64(0), hashed)),
        "date_only": table["date_only"].to_numpy(),
    }


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct texts of a column, and each row's place among them; -1 where there is no text."""
    whole: Any = column.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return np.array(whole.dictionary.to_pylist(), dtype=object), np.asarray(pc.fill_null(whole.indices, -1).to_numpy())


def remove_member(folder: Path, member_id: str) -> None:
    """Remove a member's rows from all files; those that cannot be read, and unfinished ones, go whole.

    Raises
    ------
    OSError
        A file cannot be written or removed.
    """
    for part in folder.glob(f"*{PART}"):
        part.unlink()
    for month in months_in(folder):
        try:
            table = read(folder, month) if holds_member(folder, month, member_id) else None
        except UNREADABLE:
            path_of(folder, month).unlink()
            continue
        if table is not None:
            write(folder, month, table.filter(pc.not_equal(table["member_id"].cast(pa.string()), member_id)))


def holds_member(folder: Path, month: str, member_id: str) -> bool:
    """Return whether the file of a month names a member; raises as :func:`read`."""
    chunks = read(folder, month, ["member_id"])["member_id"].chunks
    return any(member_id in chunk.dictionary.to_pylist() for chunk in chunks)
