"""Rows of CSV, JSON Lines, Parquet and Excel files, plain or gzipped, in chunks of bounded memory.

Every value is read as text, whatever the format, so that one check (:mod:`content_catalog.io.validation`) judges all
of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from content_catalog.errors import FileUnreadableError, StrictJsonError
from content_catalog.io.csv_reader import read_csv
from content_catalog.io.files import (
    GZIP_MAGIC,
    MAX_CHUNK_BYTES,
    MAX_LINE_BYTES,
    NOT_UTF8,
    Chunk,
    Source,
    open_source,
    rejects_frame,
)
from content_catalog.io.json_reader import parse_json, refuse_constant
from content_catalog.io.parquet_reader import read_parquet
from content_catalog.io.values import as_text, float_text
from content_catalog.io.workbook_reader import is_workbook, read_workbook

Format = Literal["csv", "jsonl"]
PARQUET_MAGIC: Final = b"PAR1"
ZIP_MAGIC: Final = b"PK\x03\x04"
JSON_SUFFIXES: Final = {".jsonl", ".ndjson", ".json"}
WORKBOOK_SUFFIX: Final = ".xlsx"
CHUNK_ROWS: Final = 100_000
MAX_CHUNK_CELLS: Final = 2_000_000
"""Cells of a chunk: each line of JSON may name columns of its own, which all lines of its chunk get."""
MAX_KEYS: Final = 500
"""Different columns that the lines of a file of JSON may name."""


def read_chunks(
    path: Path, *, chunk_rows: int = CHUNK_ROWS, encoding: str = "utf-8", sheet: str | None = None
) -> Iterator[Chunk]:
    """Yield a file's rows as text; its content tells the format, of JSON Lines and workbooks also the name.

    Parameters
    ----------
    encoding : str
        Encoding of CSV and JSON Lines.
    sheet : str, optional
        Sheet of a workbook; the first one by default.

    Raises
    ------
    FileUnreadableError
        The file is missing, empty, broken or without a header.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if path.suffix.lower() == WORKBOOK_SUFFIX or is_workbook(path):
        yield from read_workbook(path, chunk_rows, sheet=sheet)
        return
    if sheet is not None:
        raise FileUnreadableError(f"{path} has no sheets; a sheet can be named for .xlsx only")
    with open_source(path, encoding=encoding) as source:
        start = source.stream.peek(64)[:64] if hasattr(source.stream, "peek") else b""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(ZIP_MAGIC):
        raise FileUnreadableError(f"{path} is a compressed workbook or archive; unpack it first")
    if start.startswith(GZIP_MAGIC):
        raise FileUnreadableError(f"{path} is compressed with gzip twice; unpack it once")
    if start.startswith(PARQUET_MAGIC):
        yield from read_parquet(path, chunk_rows)
    elif text.startswith(b"[") and suffixes & JSON_SUFFIXES:
        raise FileUnreadableError(f"{path} is a JSON array; write one JSON object per line (JSON Lines)")
    else:
        as_json = suffixes & JSON_SUFFIXES or text.startswith(b"{")
        yield from read_lines(path, "jsonl" if as_json else "csv", chunk_rows=chunk_rows, encoding=encoding)


def read_lines(
    path: Path, file_format: Format, *, chunk_rows: int = CHUNK_ROWS, encoding: str = "utf-8", decompress: bool = True
) -> Iterator[Chunk]:
    """Yield the rows of a file of a stated format.

    Parameters
    ----------
    decompress : bool
        False: gzip is not recognised, so that no more is read than the file has.

    Raises
    ------
    FileUnreadableError
        The file is missing, empty, broken or without a header.
    """
    with open_source(path, encoding=encoding, decompress=decompress) as source:
        if file_format == "csv":
            yield from read_csv(path, source, chunk_rows)
        else:
            yield from _read_jsonl(source, chunk_rows)


def _read_jsonl(source: Source, chunk_rows: int) -> Iterator[Chunk]:
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    faults: list[tuple[int, str, str, str]] = []
    names: set[str] = set()
    size = 0

    def chunk() -> Chunk:
        index = pd.Index(numbers, name="line", dtype="int64")
        frame = pd.DataFrame(rows, index=index, dtype="str")
        return Chunk(frame, rejects_frame(faults), len(rows) + len(faults), source.done, has_header=False)

    for number, line in enumerate(source.lines(), 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        row = _json_row(text)
        if not isinstance(row, str) and len(names) + len(row.keys() - names) > MAX_KEYS:
            row = f"names columns beyond the first {MAX_KEYS:,} of this file; leave out what is no column"
        if isinstance(row, str):
            faults.append((number, "", text[:1_000].decode("utf-8", "backslashreplace").strip(), row))
        else:
            rows.append(row)
            numbers.append(number)
            names.update(row)
        size += len(line)
        enough = len(rows) * len(names) >= MAX_CHUNK_CELLS or size >= MAX_CHUNK_BYTES
        if enough or len(rows) + len(faults) >= chunk_rows:
            yield chunk()
            rows, numbers, faults, size = [], [], [], 0
    if rows or faults:
        yield chunk()


def _json_row(line: bytes) -> dict[str, str] | str:
    """Return a line's object with its values as text, or the reason why it is refused."""
    if len(line) > MAX_LINE_BYTES:
        return f"longer than {MAX_LINE_BYTES:,} bytes"
    try:
        row = parse_json(line.decode(), parse_int=_int, parse_float=_float, parse_constant=_constant)
    except UnicodeDecodeError:
        return NOT_UTF8
    except StrictJsonError as error:
        return str(error)
    if not isinstance(row, dict):
        return "not a JSON object; write one on each line"
    return {name: as_text(value) for name, value in row.items()}


def _int(number: str) -> str:
    return "0" if number == "-0" else number


def _float(number: str) -> str:
    return float_text(float(number))


def _constant(name: str) -> str:
    """Return the text of NaN, by which Python writes a missing value; the infinities are not JSON."""
    return "" if name == "NaN" else refuse_constant(name)
