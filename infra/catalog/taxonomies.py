"""An organisation's roles and industries, one code at a time."""

from pathlib import Path
from typing import Any, Final

import pandas as pd
from sqlalchemy import delete, func, literal, select
from sqlalchemy.orm import Session

from content_catalog.errors import TaxonomyError
from content_catalog.schema import LIST_SEPARATOR
from content_catalog.taxonomy import NAMES, Taxonomy, read_taxonomy
from infra.catalog import organisations
from infra.catalog.store import NUL
from infra.db.core_tables import items, members, taxonomy_codes
from infra.errors import InUseError, InvalidRecordError, UnknownCodeError

Code = dict[str, Any]
USED = {
    "role": (members.c.role, items.c.target_roles),
    "industry": (members.c.industry, items.c.target_industries),
}


def is_own(session: Session, organisation_key: int, kind: str) -> bool:
    """Return whether the organisation brought this taxonomy itself."""
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
    UnknownCodeError
    """
    found = codes(session, organisation_key, kind).get(code)
    if found is None:
        raise UnknownCodeError(f"no {kind} {code!r}; create it first, or check the code")
    return found


def write(session: Session, organisation_key: int, kind: str, code: str, body: dict[str, str | None]) -> None:
    """Make or replace a code; a shipped taxonomy becomes the organisation's own with its first change.

    Raises
    ------
    InvalidRecordError
        The code is no text of its own, its parent is unknown or below it.
    """
    texts = {"code": code, **{name: body.get(name) or "" for name in ("parent", *NAMES)}}
    for field, text in texts.items():
        if NUL in text or (field == "code" and (LIST_SEPARATOR in text or not text or text != text.strip())):
            raise InvalidRecordError([(field, text[:200], "empty, or holds ;, a NUL character or space around it")])
    table = organisations.taxonomy(session, organisation_key, kind).table[["parent", *NAMES]].copy()
    table.loc[code] = {name: texts[name] for name in table.columns}
    replace(session, organisation_key, kind, table.sort_index())


def remove(session: Session, organisation_key: int, kind: str, code: str) -> None:
    """Remove a code.

    Raises
    ------
    UnknownCodeError, InUseError
        Members have it, items name it, or codes stand below it.
    """
    read(session, organisation_key, kind, code)
    table = organisations.taxonomy(session, organisation_key, kind).table[["parent", *NAMES]]
    below = int((table["parent"] == code).sum())
    has, names = USED[kind]
    mine = members.c.organisation_key == organisation_key
    people = session.scalar(select(func.count()).select_from(members).where(mine, has == code)) or 0
    lists = session.scalars(select(names).where(items.c.organisation_key == organisation_key, names.is_not(None)))
    named = sum(code in value.split(LIST_SEPARATOR) for value in lists)
    if below or people or named:
        raise InUseError(
            f"{kind} {code!r} has {below:,} codes below it, {people:,} members and {named:,} items; change them first"
        )
    replace(session, organisation_key, kind, table.drop(index=code))


def replace(session: Session, organisation_key: int, kind: str, table: pd.DataFrame) -> None:
    """Make a table of codes the organisation's own.

    Raises
    ------
    InvalidRecordError
        The table is no taxonomy.
    """
    try:
        new = Taxonomy(organisations.OWN[kind], table)
    except TaxonomyError as error:
        raise InvalidRecordError([("codes", "", str(error))]) from error
    organisations.replace_taxonomy(session, organisation_key, kind, new)


def replace_by_file(session: Session, organisation_key: int, kind: str, path: Path) -> None:
    """Make the codes of a file the organisation's own.

    Raises
    ------
    InvalidRecordError
        The file is no taxonomy.
    """
    try:
        new = read_taxonomy(path)
    except TaxonomyError as error:
        raise InvalidRecordError([("codes", "", str(error).replace(str(path), "the body"))]) from error
    organisations.replace_taxonomy(session, organisation_key, kind, new)


def forget_own(session: Session, organisation_key: int, kind: str) -> None:
    """Remove an organisation's own taxonomy: the shipped one is its again."""
    own = taxonomy_codes.c
    session.execute(delete(taxonomy_codes).where(own.organisation_key == organisation_key, own.kind == kind))


CODED: Final = {
    "members": {"role": "role", "industry": "industry"},
    "items": {"target_roles": "role", "target_industries": "industry"},
}
"""Columns that hold codes, and the taxonomy they come from."""


def coded_columns(kind: str, taxonomies: dict[str, Taxonomy]) -> dict[str, Taxonomy]:
    """Return the columns of a kind that hold codes, with the taxonomy of each."""
    return {column: taxonomies[name] for column, name in CODED.get(kind, {}).items()}
