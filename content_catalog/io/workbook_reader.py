"""Excel workbooks (.xlsx): the first visible sheet, or a named one, as chunks of text."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zipfile import BadZipFile, ZipFile, is_zipfile

import pandas as pd

from content_catalog.errors import FileUnreadableError, why_unreadable
from content_catalog.io.files import Chunk, column_names, rejects_frame, with_header
from content_catalog.io.values import COVERED, STRUCTURE_MARK, WHITE_SPACE, as_text, float_text

if TYPE_CHECKING:
    from openpyxl import Workbook

MAX_CHUNK_ROWS = 20_000
EXACT: Final = 10**15
"""Excel keeps fifteen digits of a number."""
MAX_RATIO: Final = 100
SMALL_BYTES: Final = 50_000_000
"""A part of a workbook that is larger than this, and than so many times its compressed size, is refused unread:
openpyxl holds all texts of a workbook, and each cell, in memory. Apache POI has the same ratio."""
BEYOND_HEADER: Final = "a cell stands beyond the header; name its column there, or empty it"
SCANNED_BYTES: Final = 1_000_000
_FORMULA: Final = re.compile(rb"<(?:\w{1,20}:)?f[\s/>]")
_MERGED: Final = re.compile(rb"<(?:\w{1,20}:)?mergeCell\s[^>]{0,100}?ref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})")
_OVERLAP: Final = 200
_NOT_SHOWN: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
"""Parts of a number format that are texts, colours and languages, and no fields of a time."""


def is_workbook(path: Path) -> bool:
    """Return whether a file is a workbook by its content."""
    try:
        if not is_zipfile(path):
            return False
        with ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (BadZipFile, OSError):
        return False


def read_workbook(path: Path, chunk_rows: int, *, sheet: str | None = None) -> Iterator[Chunk]:
    """Yield the rows of a sheet; its first filled row is the header, and empty rows are skipped.

    Raises
    ------
    FileUnreadableError
        The file is missing or broken, the sheet is missing or empty, or its header names a column twice.
    """
    try:
        with path.open("rb") as file:
            _refuse_bombs(path, file)
            yield from _sheet_chunks(path, file, chunk_rows, sheet=sheet)
    except FileUnreadableError:
        raise
    except OSError as error:
        raise FileUnreadableError(f"{path} cannot be read: {why_unreadable(error)}; check the path") from error
    except Exception as error:  # a broken workbook ends openpyxl with errors of any kind
        raise FileUnreadableError(
            f"{path} is not a readable Excel workbook: {error}; save it again as .xlsx, without a password"
        ) from error


def _refuse_bombs(path: Path, file: BinaryIO) -> None:
    """Raise where a part of the archive is far larger than its compressed size."""
    with ZipFile(file) as archive:
        for part in archive.infolist():
            if part.file_size > max(SMALL_BYTES, MAX_RATIO * part.compress_size):
                raise FileUnreadableError(
                    f"{path}: {part.filename} would be {part.file_size:,} bytes, more than {MAX_RATIO} times its"
                    f" compressed {part.compress_size:,}; save the sheet as CSV"
                )
    file.seek(0)


def _opened(file: BinaryIO, *, formulas: bool = False) -> "Workbook":
    from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415 - slow to import, and seldom needed

    class CellsOnly(ExcelReader):  # type: ignore[misc] # openpyxl has no types
        """Reader that passes over sheets that are charts, at which openpyxl fails where it streams."""

        def read_chartsheet(self, sheet: Any, rel: Any) -> None:
            """Do nothing."""

    reader = CellsOnly(file, read_only=True, data_only=not formulas)
    reader.read()
    return reader.wb


def _sheet_chunks(path: Path, file: BinaryIO, chunk_rows: int, *, sheet: str | None) -> Iterator[Chunk]:
    workbook = _opened(file)
    sheets = {cells.title: cells for cells in workbook.worksheets}
    visible = [name for name, cells in sheets.items() if cells.sheet_state == "visible"]
    name = sheet if sheet is not None else next(iter([*visible, *sheets]), None)
    if name not in sheets:
        raise FileUnreadableError(f"{path} has no sheet {sheet or 'of cells'!r}; it has {', '.join(sheets)}")
    cells = sheets[name]
    formulas = _rows(_opened(file, formulas=True)[name]) if _has_formulas(file) else repeat(())
    texts = ((number, _row_texts(*pair)) for number, pair in enumerate(zip(_rows(cells), formulas, strict=False), 1))
    filled = ((number, row) for number, row in texts if any(text.strip(WHITE_SPACE) for text in row))
    _, header = next(filled, (1, []))
    width = max((place for place, text in enumerate(header, 1) if text.strip(WHITE_SPACE)), default=0)
    names = column_names(path, header[:width])
    merged = _merged_ranges(file, cells._worksheet_path)  # noqa: SLF001 - streamed sheets have no other way to it
    rows = _with_covered(filled, merged, width) if merged else filled
    yield from with_header(_chunks(rows, names, min(chunk_rows, MAX_CHUNK_ROWS)), names)


def _rows(cells: Any) -> Iterator[tuple[Any, ...]]:
    cells.reset_dimensions()  # some writers state the extent of a sheet wrongly
    rows: Iterator[tuple[Any, ...]] = cells.iter_rows()
    return rows


def _matches(archive: ZipFile, name: str, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield the matches of a pattern in a part of a workbook, some of them twice."""
    with archive.open(name) as part:
        tail = b""
        while piece := part.read(SCANNED_BYTES):
            yield from pattern.finditer(tail + piece)
            tail = piece[-_OVERLAP:]


def _has_formulas(file: BinaryIO) -> bool:
    """Return whether any sheet has a formula; libraries that write workbooks store no values of them."""
    with ZipFile(file) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(True for name in sheets for _ in _matches(archive, name, _FORMULA))


def _merged_ranges(file: BinaryIO, sheet: str) -> list[tuple[int, int, int, int]]:
    """Return the first and last row, and first and last column, of each merged cell of a sheet, the upper ones first.

    Files have a value of its first cell alone, and openpyxl does not tell of the others where it streams.
    """
    from openpyxl.utils.cell import range_boundaries  # noqa: PLC0415 - as above

    with ZipFile(file) as archive:
        ranges = {match[1].decode() for match in _matches(archive, sheet, _MERGED)}
    bounds = (range_boundaries(text) for text in ranges)
    return sorted((top, bottom, left, right) for left, top, right, bottom in bounds)


def _with_covered(
    rows: Iterator[tuple[int, list[str]]], merged: list[tuple[int, int, int, int]], width: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with a mark in each cell of the first columns that is merged with one that has a value."""
    coming = deque(merged)
    reaching: list[tuple[int, int, int]] = []
    for number, row in rows:
        row.extend([""] * (width - len(row)))
        while coming and coming[0][0] <= number:
            top, bottom, left, right = coming.popleft()
            if top == number and left <= width and row[left - 1].strip(WHITE_SPACE):
                reaching.append((bottom, left, min(right, width)))
        reaching = [each for each in reaching if each[0] >= number]
        for _, left, right in reaching:
            row[left - 1 : right] = [text or COVERED for text in row[left - 1 : right]]
        yield number, row


def _row_texts(row: tuple[Any, ...], formulas: tuple[Any, ...]) -> list[str]:
    """Return a row as text; a formula without a value, which is not an empty text, is one that no column holds."""
    texts = list(map(_cell_text, row))
    for place, (cell, formula) in enumerate(zip(row, formulas, strict=False)):
        if formula.data_type == "f" and cell.value is None and cell.data_type != "str":
            texts[place] = f"{STRUCTURE_MARK}{formula.value}"
    return texts


def _chunks(filled: Iterator[tuple[int, list[str]]], names: list[str], chunk_rows: int) -> Iterator[Chunk]:
    width = len(names)
    while part := list(islice(filled, chunk_rows)):
        beyond = {line: ";".join(row[width:]) for line, row in part if any(row[width:])}
        rows = {line: (row + [""] * width)[:width] for line, row in part if line not in beyond}
        frame = pd.DataFrame(
            list(rows.values()), columns=names, index=pd.Index(list(rows), name="line", dtype="int64"), dtype="str"
        )
        faults = rejects_frame((line, "", text.strip(";"), BEYOND_HEADER) for line, text in beyond.items())
        yield Chunk(frame, faults, len(part), 0.5)


def _cell_text(cell: Any) -> str:
    """Return a cell as text: times in ISO 8601, those of a format without hours as days, durations in seconds."""
    from openpyxl.utils.escape import unescape  # noqa: PLC0415 - as above

    value = cell.value
    match value:
        case str():
            return unescape(value)
        case datetime():
            has_time = re.search("[hs]", _NOT_SHOWN.sub("", cell.number_format.lower()))
            return value.isoformat() if has_time else value.date().isoformat()
        case timedelta():
            return as_text(value.total_seconds())
        case time():
            return as_text(timedelta(hours=value.hour, minutes=value.minute, seconds=value.second).total_seconds())
        case int() | float() if not isinstance(value, bool):
            return float_text(float(value), exact=EXACT)
        case _:
            return as_text(value)
