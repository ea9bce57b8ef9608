"""CSV files (RFC 4180, also with ``;`` or tabs) in chunks of text with true line numbers.

Blocks without quotes, blank lines or faults are parsed by Arrow, which is several times faster than the standard
library; any other block by :mod:`csv`, which counts the line each record starts on. Both return the same rows.
"""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import (
    MAX_CHUNK_BYTES,
    NOT_UTF8,
    Chunk,
    Source,
    column_names,
    rejects_frame,
    with_header,
)
from content_catalog.io.validation import joined_rejects
from content_catalog.io.values import trimmed

BLOCK_BYTES = 12_000_000
MAX_FIELD_CHARACTERS = 4_000_000
MAX_RECORD_LINES = 1_000
MAX_HEADER_BYTES = 1_000_000
MAX_HEADER_LINES = 20
QUOTED = re.compile(rb'"(?:[^"]|"")*"')
OPENED = re.compile(rb'(?:^|[,;\t]|\xef\xbb\xbf)"')
HEADER_AGAIN = "the header again; remove it"
DELIMITERS = (",", ";", "\t")
NAMED_DELIMITER = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([,;\t])"?[\r\n]*', re.IGNORECASE)
"""Line before the header that spreadsheets write and read: it names the delimiter."""


def read_csv(path: Path, source: Source, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the rows of an open CSV file; lines with another number of fields than the header become rejects.

    Raises
    ------
    FileUnreadableError
        The header is missing, is not UTF-8 or names a column twice.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    header, delimiter, lines_before = _header(path, source)
    chunks = _chunks(source, header, delimiter, lines_before=lines_before, chunk_rows=chunk_rows)
    for chunk in with_header(chunks, header):
        yield _without_headers(chunk, header, delimiter)


def _chunks(
    source: Source, header: list[str], delimiter: str, *, lines_before: int, chunk_rows: int
) -> Iterator[Chunk]:
    block_bytes = min(BLOCK_BYTES, chunk_rows * 120)
    while block := source.stream.read(block_bytes) + source.read_line():
        frame = None if _needs_csv_module(block) else _parse_by_arrow(block, header, delimiter, lines_before)
        if frame is not None:
            yield Chunk(frame, rejects_frame(()), len(frame), source.done)
            lines_before += len(frame)
            continue
        lines = chain(io.BytesIO(block), source.lines())
        records = _Records(lines, delimiter, lines_before=lines_before, width=len(header))
        yield from _parse_by_csv_module(records, header, delimiter, source=source, chunk_rows=chunk_rows)
        return


def _header(path: Path, source: Source) -> tuple[list[str], str, int]:
    """Return the column names, the delimiter and the number of lines the header takes."""
    header, delimiter, lines = _header_lines(path, source)
    try:
        text = header.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise FileUnreadableError(f"{path}: the header is not UTF-8; {_encoding_hint(header)}") from error
    if "\0" in text:
        raise FileUnreadableError(f"{path}: the header is not UTF-8; {_encoding_hint(header)}")
    delimiter = delimiter or max(DELIMITERS, key=re.sub('"[^"]*"', "", text).count)
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        what = "ends with a carriage return alone, and must end with a line feed" if "\r" in text else str(error)
        raise FileUnreadableError(
            f"{path}: the header is no CSV record ({what}); the first line must name each column once"
        ) from error
    return column_names(path, cells), delimiter, lines


def _header_lines(path: Path, source: Source) -> tuple[bytes, str, int]:
    """Return the header, the delimiter that a line before it names, and the number of lines until its end."""
    header, delimiter, lines = b"", "", 0
    while not header.strip() and (line := source.read_line()):
        lines += 1
        if lines == 1 and (match := NAMED_DELIMITER.fullmatch(line)):
            delimiter = match[1].decode()
        else:
            header = line
    while len(header) <= MAX_HEADER_BYTES and _ends_in_quotes(header):
        line = source.read_line()
        if not line or lines == MAX_HEADER_LINES:
            raise FileUnreadableError(f"{path}: a quote in the header stays open; close or double its quotes")
        header, lines = header + line, lines + 1
    if len(header) > MAX_HEADER_BYTES:
        raise FileUnreadableError(
            f"{path}: the header is longer than {MAX_HEADER_BYTES:,} bytes; give a CSV file with one"
        )
    return header, delimiter, lines


def _ends_in_quotes(header: bytes) -> bool:
    r"""Return whether a header goes on in the next line, as a cell with a line break does in quotes.

    >>> [_ends_in_quotes(header) for header in (b'"a\n', b'"a\nb",c\n', b'5" disk,c\n')]
    [True, False, False]
    """
    return OPENED.search(QUOTED.sub(b"", header)) is not None


def _encoding_hint(header: bytes) -> str:
    """Return what to do about a header that is not UTF-8: the encoding that it seems to be in."""
    for marks, name in _WIDE.items():
        if header.startswith(marks):
            return f"it seems to be {name.upper()}: save the file as UTF-8, or give --encoding {name}"
    if b"\0" in header:
        for start, name in ((0, "utf-16-be"), (1, "utf-16-le")):
            if header.count(b"\0") == header[start::2].count(b"\0") >= len(header) // 3:
                return f"it seems to be UTF-16: save the file as UTF-8, or give --encoding {name}"
        return "it holds NUL characters, and seems to be no text: give CSV, JSON Lines, Parquet or .xlsx"
    try:
        text = header.decode("gb18030")
    except UnicodeDecodeError:
        return "save the file as UTF-8, or name its --encoding"
    return f"as GBK it reads {text.strip()[:100]!r}: save the file as UTF-8, or give --encoding gbk"


_WIDE = {
    (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE): "utf-32",
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE): "utf-16",
}
"""Encodings by their marks; a mark of UTF-32 begins with one of UTF-16."""


def _without_headers(chunk: Chunk, header: list[str], delimiter: str) -> Chunk:
    """Return a chunk without the headers of further files that were appended to the first."""
    again = (trimmed(chunk.frame[header[0]]) == header[0]).to_numpy(dtype=bool, copy=True)
    if again.any():
        again[again] = (chunk.frame[again].apply(trimmed) == header).all(axis="columns")
    if not again.any():
        return chunk
    faults = rejects_frame((int(line), "", delimiter.join(header), HEADER_AGAIN) for line in chunk.frame.index[again])
    return replace(chunk, frame=chunk.frame[~again], rejects=joined_rejects([chunk.rejects, faults]))


def _needs_csv_module(block: bytes) -> bool:
    """Return whether Arrow would read a block differently: quotes, returns inside of lines, a second BOM."""
    return b'"' in block or block.count(b"\r") != block.count(b"\r\n") or block.startswith(codecs.BOM_UTF8)


def _parse_by_arrow(block: bytes, header: list[str], delimiter: str, lines_before: int) -> pd.DataFrame | None:
    """Return a block's rows, or None if any line is not exactly one record."""
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            read_options=pa_csv.ReadOptions(column_names=header, block_size=len(block) + 1),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=True),
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != block.count(b"\n") + (not block.endswith(b"\n")):
        return None
    frame = table.to_pandas()
    frame.index = pd.RangeIndex(lines_before + 1, lines_before + 1 + len(frame), name="line")
    return frame


class _Records:
    """Records and the line each starts on; a stray quote costs its own line only, the lines after it are read again."""

    def __init__(self, lines: Iterator[bytes], delimiter: str, *, lines_before: int, width: int) -> None:
        self._lines, self._delimiter, self._width = lines, delimiter, width
        self._pushed_back: deque[str] = deque()
        self._of_record: list[str] = []
        self._line = lines_before

    def __iter__(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield ``(line, fields, fault)``: fields of a record, or the fault of a line that is not a record."""
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        while True:
            self._of_record = []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._first_line(
                    f"not a CSV record ({error}); close or double its quotes, and end lines with line feeds"
                )
                reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
            else:
                if len(fields) != self._width and len(self._of_record) > 1:
                    yield self._first_line(
                        f"a quote spans lines ({len(self._of_record)} of them, {self._width} fields expected, "
                        f"{len(fields)} found); close or double its quotes"
                    )
                elif fields:
                    yield self._line - len(self._of_record) + 1, fields, ""

    def _first_line(self, fault: str) -> tuple[int, list[str], str]:
        """Return the fault of the record's first line, and push the other lines back."""
        first, rest = self._of_record[0], self._of_record[1:]
        self._pushed_back.extendleft(reversed(rest))
        self._line -= len(rest)
        return self._line, [first.rstrip("\r\n")], fault

    def _texts(self) -> Iterator[str]:
        while True:
            if self._pushed_back:
                text = self._pushed_back.popleft()
            elif (line := next(self._lines, None)) is not None:
                text = line.decode("utf-8", errors="surrogateescape")
                text = text[text.startswith('\ufeff"') :]  # a file that was appended begins here
            else:
                return
            self._of_record.append(text)
            self._line += 1
            if len(self._of_record) > MAX_RECORD_LINES:
                raise csv.Error(f"a quote stays open for {MAX_RECORD_LINES} lines")
            yield text


def _parse_by_csv_module(
    records: _Records, header: list[str], delimiter: str, *, source: Source, chunk_rows: int
) -> Iterator[Chunk]:
    size = 0
    numbers: list[int] = []
    rows: list[list[str]] = []
    faults: list[tuple[int, str, str, str]] = []

    def chunk() -> Chunk:
        frame = pd.DataFrame(rows, columns=header, index=pd.Index(numbers, name="line", dtype="int64"), dtype="str")
        return Chunk(frame, rejects_frame(faults), len(rows) + len(faults), source.done)

    for line, fields, fault in records:
        if fault := fault or _row_fault(fields, header):
            shown = delimiter.join(fields).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            faults.append((line, "", shown, fault))
        else:
            numbers.append(line)
            rows.append(fields)
        size += sum(map(len, fields))
        if len(rows) + len(faults) >= chunk_rows or size >= MAX_CHUNK_BYTES:
            yield chunk()
            numbers, rows, faults, size = [], [], [], 0
    if rows or faults:
        yield chunk()


def _row_fault(fields: list[str], header: list[str]) -> str:
    if len(fields) != len(header):
        return f"{len(header)} fields expected, {len(fields)} found"
    if any(not field.isascii() and any("\ud800" <= letter <= "\udfff" for letter in field) for field in fields):
        return NOT_UTF8
    return ""
