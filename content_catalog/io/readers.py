"""Rows of CSV, JSON Lines and Parquet files, plain or gzipped, in chunks of bounded memory.

Every value arrives as text, whatever the format, so that one check (:mod:`content_catalog.io.validation`) judges all
of them.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from uuid import UUID

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from content_catalog.errors import FileUnreadableError
from content_catalog.io.csv_reader import read_csv
from content_catalog.io.files import NOT_UTF8, Chunk, open_source, rejects_frame
from content_catalog.schema import LIST_SEPARATOR

PARQUET_MAGIC = b"PAR1"
TEXT_TYPE = re.compile("(large_|fixed_size_)?(string|binary)")
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
    return {name: as_text(value) for name, value in row.items()}


def as_text(value: object) -> str:
    """Return a value of JSON as the text that checks judge: lists joined, absent values empty."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | UUID():
            return str(value)
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case list() if not any(isinstance(part, list | tuple | dict) for part in value):
            return LIST_SEPARATOR.join(as_text(part) for part in value if part is not None)
        case _:
            return orjson.dumps(value, default=str).decode()


def _read_parquet(path: Path, chunk_rows: int) -> Iterator[Chunk]:
    with open_source(path) as source:
        try:
            file = pq.ParquetFile(source.stream)
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise FileUnreadableError(f"{path} names the column {twice[0]!r} twice; name each column once")
            total, read = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(batch_size=chunk_rows):
                frame, faults = _parquet_rows(batch, read)
                read += batch.num_rows
                yield Chunk(frame, rejects_frame(faults), batch.num_rows, min(read / total, 1.0))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            said = " ".join(str(error).split())
            raise FileUnreadableError(f"{path} is not a readable Parquet file: {said}; write it again") from error


def _parquet_rows(batch: pa.RecordBatch, read: int) -> tuple[pd.DataFrame, list[tuple[int, str, str, str]]]:
    """Return a batch's rows as text, and the faults of rows that hold bytes which are no text."""
    columns: dict[str, pa.Array] = {}
    faults: list[tuple[int, str, str, str]] = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], broken = _arrow_text(values)
        faults += [(read + 1 + position, name, shown, NOT_UTF8) for position, shown in broken.items()]
    frame = pa.table(columns).to_pandas()
    frame.index = pd.RangeIndex(read + 1, read + 1 + len(frame), name="line")
    return frame.drop(index=[*{fault[0] for fault in faults}]), sorted(faults)


def _arrow_text(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return a Parquet column as text, and by position what is not UTF-8.

    Lists are joined, times in ISO 8601 to the microsecond, absent values empty.
    """
    if pa.types.is_dictionary(values.type):
        return _arrow_text(values.dictionary_decode())
    if pa.types.is_timestamp(values.type):
        zone = "Z" if values.type.tz else ""
        instants = values.cast(pa.timestamp("us", values.type.tz and "UTC"), safe=values.type.unit != "ns")
        values = pc.strftime(instants, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    elif pa.types.is_nested(values.type) or isinstance(values, pa.ExtensionArray):
        values = pa.array([as_text(value) for value in values.to_pylist()], pa.string())
    elif TEXT_TYPE.match(str(values.type)):
        return _decoded(values.cast(pa.binary()))
    return pc.fill_null(values.cast(pa.string()), ""), {}


def _decoded(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return bytes as text, and by position what is not UTF-8; neither Parquet nor Arrow sees to that when reading."""
    try:
        return pc.fill_null(values.cast(pa.string()), ""), {}
    except pa.ArrowInvalid:
        raw = pc.fill_null(values, b"").to_pylist()
        texts = [as_text(value) for value in raw]
        broken = {row: text for row, text in enumerate(texts) if text.encode() != raw[row]}
        return pa.array(texts, pa.string()), broken
