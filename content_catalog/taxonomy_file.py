"""Reader of an organisation's own taxonomy from a file."""

import re
from pathlib import Path
from typing import Final

import pandas as pd

from content_catalog.errors import FileUnreadableError, TaxonomyError
from content_catalog.io.files import Chunk
from content_catalog.io.readers import Format, read_chunks, read_lines
from content_catalog.io.values import INEXACT, LIST_MARK, NO_IDS, STRUCTURE_MARK, trimmed, without_marks
from content_catalog.schema import SEPARATORS
from content_catalog.taxonomy import NAMES, SHOWN_CHARACTERS, Taxonomy, paths_of

MAX_CODE_CHARACTERS: Final = 100
"""Longest code that members and items can refer to."""


def read_taxonomy(
    path: Path, *, encoding: str = "utf-8", sheet: str | None = None, file_format: Format | None = None
) -> Taxonomy:
    """Return an organisation's own taxonomy, named after its file.

    Parameters
    ----------
    path : Path
        A file with a header and the columns ``code``, ``parent`` (empty for a root), ``name_en`` or ``name_zh``, and
        any others; a child may stand before its parent. CSV in UTF-8, or any other format of ``read_chunks``.
    encoding, sheet : str
        As of ``read_chunks``.
    file_format : str, optional
        Read the file as this format only, not compressed.

    Raises
    ------
    TaxonomyError
        The file cannot be read, is empty, lacks a column, or holds an empty, forbidden or repeated code, an unknown
        parent or a cycle; the message says which, and on which line.
    """
    try:
        chunks = list(
            read_lines(path, file_format, decompress=False)
            if file_format
            else read_chunks(path, encoding=encoding, sheet=sheet)
        )
    except FileUnreadableError as error:
        raise TaxonomyError(str(error)) from error
    rows = _rows(path, chunks)
    names = [name for name in NAMES if name in rows]
    if missing := [name for name in ("code", "parent") if name not in rows] or ([] if names else [" or ".join(NAMES)]):
        columns = ", ".join(rows.columns)
        raise TaxonomyError(f"{path}: the header lacks the column {missing[0]}; it names {columns}")
    lines = _lines_of_codes(path, rows["code"])
    for name in names:
        for line, text in rows[name].items():
            if fault := name_fault(text):
                raise TaxonomyError(f"{path}, line {line}: the {name} {text[:SHOWN_CHARACTERS]!r} {fault}")
    table = rows.set_index("code").assign(**{name: "" for name in NAMES if name not in names})
    other_columns = [column for column in table if column not in {"parent", *NAMES}]
    table = table[["parent", *NAMES, *other_columns]]
    paths_of(dict(table["parent"].items()), lambda code: f"{path}, line {lines[code]}")
    return Taxonomy(path.name.split(".")[0], table)


def _rows(path: Path, chunks: list[Chunk]) -> pd.DataFrame:
    """Return the whole file as stripped text; a taxonomy always fits into memory."""
    for chunk in chunks:
        if len(chunk.rejects):
            line, reason = chunk.rejects.iloc[0][["line", "reason"]]
            raise TaxonomyError(f"{path}, line {line}: {reason}")
    if not sum(len(chunk.frame) for chunk in chunks):
        raise TaxonomyError(f"{path} holds no codes; give one line for each code below the header")
    rows = pd.concat([chunk.frame for chunk in chunks]).apply(trimmed).fillna("")
    for name in rows:
        for line, text in rows[name].items():
            if text.startswith((LIST_MARK, STRUCTURE_MARK)):
                raise TaxonomyError(
                    f"{path}, line {line}: the {name} {without_marks(text)!r} is a list or an object; give a text"
                )
    return rows


def _lines_of_codes(path: Path, codes: pd.Series) -> dict[str, int]:
    """Return the line of each code.

    Raises
    ------
    TaxonomyError
        One is forbidden, or stands on two lines.
    """
    lines: dict[str, int] = {}
    for line, code in codes.items():
        if fault := code_fault(code):
            raise TaxonomyError(f"{path}, line {line}: the code {code[:SHOWN_CHARACTERS]!r} {fault}")
        if code in lines:
            raise TaxonomyError(
                f"{path}, line {line}: the code {code!r} stands already on line {lines[code]}; keep one of them"
            )
        lines[code] = line
    return lines


def code_fault(code: str) -> str:
    """Return why a text cannot be a code; an empty text where it can.

    >>> code_fault("83;41"), code_fault("83")
    ("holds ';', which separates codes in lists; choose another spelling", '')
    """
    if not code or code != code.strip():
        return "is empty or has white space around it; give every code its own text"
    if separator := re.search(SEPARATORS, code):
        return f"holds {separator[0]!r}, which separates codes in lists; choose another spelling"
    for reason, texts in NO_IDS.items():
        if code in texts.to_pylist():
            return f"is {reason}"
    if re.search(INEXACT, code):
        return "is a number that may have lost digits; write codes as text"
    if len(code) > MAX_CODE_CHARACTERS:
        return f"is longer than {MAX_CODE_CHARACTERS} characters; choose a shorter one"
    return name_fault(code)


def name_fault(name: str) -> str:
    """Return why a text cannot be a name; an empty text where it can."""
    return "" if name.isprintable() else "holds a control character; remove it"
