"""Rejects files: the bad lines of an import as CSV, in a folder of the organisation's own."""

import csv
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

import pandas as pd

from content_catalog.schema import REJECT_COLUMNS
from infra.file_modes import FOLDER_MODE, whole_file

ENDING: Final = ".rejects.csv"
FORMULA: Final = re.compile(r"'*[=+@\t\r\n＝＋－＠-]")
NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def folder_of(rejects_folder: Path, organisation: str) -> Path:
    """Return the folder of an organisation's rejects files: its name, or a digest of a name that is no file name."""
    plain = PLAIN_NAME.fullmatch(organisation)
    return rejects_folder / (organisation if plain else hashlib.sha256(organisation.encode()).hexdigest()[:32])


def escape_formula(value: str) -> str:
    """Return a value with an apostrophe in front where a spreadsheet would run it as a formula.

    Examples
    --------
    >>> [escape_formula(value) for value in ("=1+1", "@SUM(A1)", "-2", "plain")]
    ["'=1+1", "'@SUM(A1)", '-2', 'plain']
    """
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def unescape_formula(value: str) -> str:
    """Return the value that :func:`escape_formula` made safe.

    Examples
    --------
    >>> [unescape_formula(escape_formula(value)) for value in ("=1+1", "'=1+1", "-2", "'tis")]
    ['=1+1', "'=1+1", '-2', "'tis"]
    """
    return value[1:] if value.startswith("'") and FORMULA.match(value) else value


def read_page(path: Path, *, skip: int, limit: int) -> list[dict[str, Any]]:
    """Return up to ``limit`` rejects of a file after the first ``skip``, their values as they were imported."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return [
            {**row, "line": int(row["line"])} | {name: unescape_formula(row[name]) for name in ("field", "value")}
            for row in islice(csv.DictReader(file), skip, skip + limit)
        ]


@contextmanager
def rejects_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Open a writer of rejects as CSV, whose file replaces the one before at the end; without rejects none is left.

    Of imports of one name at once, each has its rejects whole: the last one's stay.
    """
    with TemporaryFile() as written:

        def write(rejects: pd.DataFrame) -> None:
            if rejects.empty:
                return
            safe = rejects.assign(
                **{name: rejects[name].map(escape_formula, na_action="ignore") for name in ("field", "value")}
            )
            is_new = not written.tell()
            safe.to_csv(
                written, mode="wb", index=False, header=is_new, columns=REJECT_COLUMNS, quoting=csv.QUOTE_MINIMAL
            )
            if is_new:  # where the file cannot be written the import fails at once, not after its rows are stored
                _replace(path, written)

        try:
            yield write
        finally:
            if written.tell():
                _replace(path, written)
            else:
                path.unlink(missing_ok=True)


def _replace(path: Path, content: BinaryIO) -> None:
    # Rejects name members: no other account of this machine reads them.
    path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # until it is closed
        content.seek(0)
        with whole_file(path) as file:
            shutil.copyfileobj(content, file)
    finally:
        os.close(folder)
