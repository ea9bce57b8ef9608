"""Rows of CSV, JSON Lines and Parquet files, plain or gzipped, in chunks of bounded memory.

Every value arrives as text, whatever the format, so that one check (:mod:`content_catalog.checks`) judges all of them.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from content_catalog.csv_reader import read_csv
from content_catalog.errors import FileUnreadableError
from content_catalog.schema import LIST_SEPARATOR
from content_catalog.sources import Chunk, open_source, rejects_frame

PARQUET_MAGIC = b"PAR1"
JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}


def read_chunks(path: Path, *, chunk_rows: int = 100_000) -> Iterator[Chunk]:
    """Yield a file's rows as text; the format is told by its first bytes, and JSON Lines also by name.

    Raises
    ------
    FileUnreadableError
        The file is missing, empty, broken or without a header.
    """
    with open_source(path) as source:
        start = source.stream.peek(64)[:64] if hasattr(source.stream, "peek") else b""
    suffixes = set(path.suffixes)
    if start.startswith(PARQUET_MAGIC):
        yield from _read_parquet(path, chunk_rows)
    elif suffixes & JSON_SUFFIXES or start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        yield from _read_jsonl(path, chunk_rows)
    else:
        yield from read_csv(path, chunk_rows)


def _read_jsonl(path: Path, chunk_rows: int) -> Iterator[Chunk]:
    with open_source(path) as source:
        numbered = ((line, text) for line, text in enumerate(source.stream, 1) if text.strip())
        while part := list(islice(numbered, chunk_rows)):
            rows: list[dict[str, str]] = []
            numbers: list[int] = []
            faults: list[tuple[int, str, str, str]] = []
            for line, text in part:
                row = _json_row(text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text)
                if isinstance(row, str):
                    faults.append((line, "", text.decode("utf-8", "backslashreplace").strip(), row))
                else:
                    rows.append(row)
                    numbers.append(line)
            index = pd.Index(numbers, name="line", dtype="int64")
            frame = pd.DataFrame(rows, index=index, dtype="str").fillna("")
            yield Chunk(frame, rejects_frame(faults), len(part), source.done)


def _json_row(line: bytes) -> dict[str, str] | str:
    """Return a line's object with its values as text, or what is wrong with it."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error}"
    if not isinstance(row, dict):
        return f"a JSON object is expected, found {type(row).__name__}"
    return {name: _as_text(value) for name, value in row.items()}


def _as_text(value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() if all(isinstance(part, str) for part in value):
            return LIST_SEPARATOR.join(value)
        case int() | float():
            return repr(value)
        case _:
            return orjson.dumps(value).decode()


def _read_parquet(path: Path, chunk_rows: int) -> Iterator[Chunk]:
    try:
        with pq.ParquetFile(path) as file:
            total = max(file.metadata.num_rows, 1)
            read = 0
            for batch in file.iter_batches(batch_size=chunk_rows):
                columns = {name: _arrow_text(batch.column(name)) for name in batch.schema.names}
                frame = pa.table(columns).to_pandas()
                frame.index = pd.RangeIndex(read + 1, read + 1 + len(frame), name="line")
                read += len(frame)
                yield Chunk(frame, rejects_frame(()), len(frame), read / total)
    except pa.ArrowException as error:
        raise FileUnreadableError(f"{path} is not a readable Parquet file: {error}; write it again") from error


def _arrow_text(values: pa.Array) -> pa.Array:
    """Return a Parquet column as text: lists joined, times in ISO 8601, absent values empty."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        zone = "Z" if values.type.tz else ""
        values = pc.strftime(
            values.cast(pa.timestamp("us", values.type.tz and "UTC")), format=f"%Y-%m-%dT%H:%M:%S{zone}"
        )
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = pc.binary_join(values.cast(pa.list_(pa.string())), LIST_SEPARATOR)
    elif pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        values = pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return pc.fill_null(values.cast(pa.string()), "")
