"""Rejects files: the bad lines of an import as CSV, in a folder of the organisation's own."""

import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pandas as pd

from content_catalog.schema import REJECT_COLUMNS

ENDING: Final = ".rejects.csv"
FORMULA: Final = re.compile(r"[=+@\t\r\n＝＋－＠-]")
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


@contextmanager
def rejects_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Open a writer of rejects as CSV; the file is created with the first of them."""
    path.unlink(missing_ok=True)

    def write(rejects: pd.DataFrame) -> None:
        if rejects.empty:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        safe = rejects.assign(
            **{name: rejects[name].map(escape_formula, na_action="ignore") for name in ("field", "value")}
        )
        safe.to_csv(
            path, mode="a", index=False, header=not path.exists(), columns=REJECT_COLUMNS, quoting=csv.QUOTE_MINIMAL
        )

    yield write
