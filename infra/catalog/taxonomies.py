"""Stored taxonomies of roles and industries: read and write single codes, replace all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pandas as pd
from sqlalchemy import Column, delete, literal, select
from sqlalchemy.orm import Session

from content_catalog.errors import TaxonomyError
from content_catalog.io.readers import Format
from content_catalog.schema import LIST_SEPARATOR, split_list
from content_catalog.taxonomy import NAMES, Taxonomy
from content_catalog.taxonomy_file import code_fault, name_fault, read_taxonomy
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import taxonomy_codes
from infra.errors import InUseError, InvalidRecordError, NotFoundError

Code = dict[str, Any]
OF_TARGETS: Final = {"target_roles": "role", "target_industries": "industry"}
CODED: Final = {
    "members": {"role": "role", "industry": "industry"},
    **dict.fromkeys(("items", "requirements", "curations"), OF_TARGETS),
}
"""Code columns of each kind of record, with the taxonomy of each."""
USED_IN: Final = {
    kind: [catalog.TABLES[name][0].c[column] for name in CODED for column, of in CODED[name].items() if of == kind]
    for kind in organisations.SHIPPED
}
"""Columns that hold codes of each taxonomy."""


def is_own(session: Session, organisation_key: int, kind: str) -> bool:
    """Return whether the taxonomy is the organisation's own."""
    own = taxonomy_codes.c
    query = select(literal(1)).where(own.organisation_key == organisation_key, own.kind == kind).limit(1)
    return session.scalar(query) is not None


def codes(session: Session, organisation_key: int, kind: str) -> dict[str, Code]:
    """Return all codes of a taxonomy, in order."""
    table = organisations.taxonomy(session, organisation_key, kind).table[["parent", *NAMES]].sort_index()
    return {
        str(code): {"code": code, **{name: value or None for name, value in row.items()}}
        for code, row in table.to_dict("index").items()
    }


def read(session: Session, organisation_key: int, kind: str, code: str) -> Code:
    """Return one code.

    Raises
    ------
    NotFoundError
    """
    row = codes(session, organisation_key, kind).get(code)
    if row is None:
        raise NotFoundError(f"no {kind} {code!r}; create it first, or check the code")
    return row


def write(session: Session, organisation_key: int, kind: str, code: str, body: dict[str, str | None]) -> None:
    """Create or replace a code; the first change of a shipped taxonomy stores a copy as the organisation's own.

    Raises
    ------
    InvalidRecordError
        The code is empty or forbidden, or its parent is unknown or below it.
    """
    texts = {"code": code, **{name: body.get(name) or "" for name in ("parent", *NAMES)}}
    for field, text in texts.items():
        if fault := code_fault(text) if field == "code" else name_fault(text):
            raise InvalidRecordError([(field, text[:200], fault)])
    table = organisations.taxonomy(session, organisation_key, kind).table[["parent", *NAMES]].copy()
    table.loc[code] = {name: texts[name] for name in table.columns}
    replace(session, organisation_key, kind, table.sort_index())


def unknown_in_use(session: Session, organisation_key: int, *kinds: str) -> dict[str, Any]:
    """Return how many records have codes that these taxonomies lack, of items own ones, and these codes.

    A record counts once, however many of its codes are unknown.
    """
    shown = {kind: organisations.taxonomy(session, organisation_key, kind) for kind in kinds}
    unknown: set[str] = set()
    counts = {}
    for name, columns in CODED.items():
        table = catalog.TABLES[name][0]
        of_column = {column: shown[kind] for column, kind in columns.items() if kind in shown}
        query = select(*(table.c[column] for column in of_column)).where(table.c.organisation_key == organisation_key)
        lacking = [
            {code for column, value in row.items() for code in split_list(value) if code not in of_column[column]}
            for row in session.execute(query).mappings()
        ]
        counts[f"{name}_with_unknown_codes"] = sum(map(bool, lacking))
        unknown.update(*lacking)
    return {**counts, "unknown_codes": sorted(unknown)}


def remove(session: Session, organisation_key: int, kind: str, code: str) -> None:
    """Delete a code.

    Raises
    ------
    NotFoundError, InUseError
        Members have it, items target it, or codes are below it.
    """
    read(session, organisation_key, kind, code)
    table = organisations.taxonomy(session, organisation_key, kind).table[["parent", *NAMES]]
    below = int((table["parent"] == code).sum())
    refuse_used(f"{kind} {code!r}", {"codes below it": below, **uses(session, organisation_key, USED_IN[kind], code)})
    replace(session, organisation_key, kind, table.drop(index=code))


def uses(session: Session, organisation_key: int, columns: Iterable[Column[Any]], code: str) -> dict[str, int]:
    """Return how many records have a code or unit in columns of lists, by table."""
    counts = {}
    for column in columns:
        used: Any = column.table
        texts = session.scalars(
            select(column).where(used.c.organisation_key == organisation_key, column.contains(code, autoescape=True))
        )
        counts[used.name] = sum(code in text.split(LIST_SEPARATOR) for text in texts)
    return counts


def refuse_used(name: str, counts: dict[str, int]) -> None:
    """Refuse to remove a record that others use.

    Raises
    ------
    InUseError
    """
    if any(counts.values()):
        counted = ", ".join(f"{number:,} {users}" for users, number in counts.items())
        raise InUseError(f"{name} has {counted}; change them first")


def replace(session: Session, organisation_key: int, kind: str, table: pd.DataFrame) -> None:
    """Store a table of codes as the organisation's own taxonomy.

    Raises
    ------
    InvalidRecordError
        The table is not a taxonomy.
    """
    try:
        new = Taxonomy(organisations.OWN[kind], table)
    except TaxonomyError as error:
        raise InvalidRecordError([("codes", "", str(error))]) from error
    organisations.replace_taxonomy(session, organisation_key, kind, new)


def replace_by_file(session: Session, organisation_key: int, kind: str, path: Path, *, file_format: Format) -> None:
    """Store the codes of a file as the organisation's own taxonomy.

    Raises
    ------
    InvalidRecordError
        The file is not a taxonomy.
    """
    try:
        new = read_taxonomy(path, file_format=file_format)
    except TaxonomyError as error:
        raise InvalidRecordError([("codes", "", str(error).replace(str(path), "the body"))]) from error
    organisations.replace_taxonomy(session, organisation_key, kind, new)


def delete_own(session: Session, organisation_key: int, kind: str) -> None:
    """Delete an organisation's own taxonomy: the shipped one applies again."""
    own = taxonomy_codes.c
    session.execute(delete(taxonomy_codes).where(own.organisation_key == organisation_key, own.kind == kind))


def code_columns(kind: str, taxonomies: dict[str, Taxonomy]) -> dict[str, Taxonomy]:
    """Return the code columns of a kind of record, with the taxonomy of each."""
    return {column: taxonomies[name] for column, name in CODED.get(kind, {}).items()}
