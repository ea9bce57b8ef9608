"""Excel workbooks (.xlsx): the first sheet, or a named one, as chunks of text."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk, rejects_frame
from content_catalog.io.values import as_text

MAX_CHUNK_ROWS = 20_000


def read_workbook(path: Path, chunk_rows: int, *, sheet: str | None = None) -> Iterator[Chunk]:
    """Yield the rows of a sheet; its first filled row is the header, and empty rows are skipped.

    Raises
    ------
    FileUnreadableError
        The file is missing or broken, the sheet is missing or empty, or its header names a column twice.
    """
    from openpyxl import load_workbook  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as error:
        raise FileUnreadableError(
            f"{path} is not a readable Excel workbook: {error}; save it again as .xlsx"
        ) from error
    except OSError as error:
        raise FileUnreadableError(f"{path} cannot be read: {error.strerror or error}; check the path") from error
    try:
        if sheet is not None and sheet not in workbook.sheetnames:
            raise FileUnreadableError(f"{path} has no sheet {sheet!r}; it has {', '.join(workbook.sheetnames)}")
        rows = workbook[sheet or workbook.sheetnames[0]].iter_rows()
        texts = ((number, list(map(_cell_text, row))) for number, row in enumerate(rows, 1))
        filled = ((number, row) for number, row in texts if any(row))
        number, header = next(filled, (1, []))
        names = [name.strip() for name in header]
        width = max((position + 1 for position, name in enumerate(names) if name), default=0)
        names = names[:width]
        if not width or len(set(names)) < width:
            raise FileUnreadableError(f"{path}: the header in row {number} is empty or names a column twice")
        while part := list(islice(filled, min(chunk_rows, MAX_CHUNK_ROWS))):
            index = pd.Index([line for line, _ in part], name="line", dtype="int64")
            cells = [(row + [""] * width)[:width] for _, row in part]
            yield Chunk(pd.DataFrame(cells, columns=names, index=index, dtype="str"), rejects_frame(()), len(part), 0.5)
    finally:
        workbook.close()


def _cell_text(cell: Any) -> str:
    """Return a cell as text: times in ISO 8601, those of a format without hours as days, durations in seconds."""
    value = cell.value
    match value:
        case datetime():
            return value.isoformat() if "h" in cell.number_format.lower() else value.date().isoformat()
        case timedelta():
            return as_text(value.total_seconds())
        case time():
            return value.isoformat()
        case _:
            return as_text(value)
