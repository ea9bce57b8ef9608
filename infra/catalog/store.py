"""Items and members in the database."""

from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Table, bindparam, func, select
from sqlalchemy.orm import Session

from content_catalog.schema import ITEMS, Schema, split_list
from features.schema import MEMBERS
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import items, members
from infra.errors import UnknownItemError, UnknownMemberError

SHOWN = (
    "item_id",
    "title",
    "format",
    "duration_seconds",
    "language",
    "url",
    "hidden",
    "available_from",
    "available_until",
)
NUL = "\x00"
"""No id holds it, and PostgreSQL cannot even be asked for it."""

MEMBER = select(members).where(
    members.c.organisation_key == bindparam("organisation_key"), members.c.member_id == bindparam("member_id")
)
OWN_ITEMS = select(*(items.c[name] for name in SHOWN)).where(
    items.c.organisation_key == bindparam("organisation_key"),
    items.c.item_id.in_(bindparam("item_ids", expanding=True)),
)
TABLES: dict[str, tuple[Table, Schema]] = {"items": (items, ITEMS), "members": (members, MEMBERS)}
"""The kinds of things that are known of, with their table and columns."""


def store(session: Session, organisation_key: int, kind: str, chunk: pd.DataFrame, *, given: list[str]) -> int:
    """Take in items or members; of known ones the ``given`` columns are replaced. Return how many rows were written."""
    table, schema = TABLES[kind]
    columns = [name for name in schema.names if name in given]
    return bulk.upsert(session, table, chunk[columns].assign(organisation_key=organisation_key))


def read(session: Session, organisation_key: int, kind: str, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return all members of an organisation, or its own and shared items: typed, indexed by id in ascending order."""
    table, schema = TABLES[kind]
    key = schema.names[0]
    kept = [column for column in schema.columns if column.name not in without]
    query = select(*bulk.raw_columns(table, [column.name for column in kept])).where(known(kind, organisation_key))
    parts = list(bulk.read_frames(session, query))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[column.name for column in kept])
    typed = {}
    for column in kept:
        match column.kind:
            case "instant" | "date":
                typed[column.name] = pd.to_datetime(frame[column.name].astype("Int64"), unit="us", utc=True)
            case "number":
                typed[column.name] = frame[column.name].astype("float64")
            case "flag":
                typed[column.name] = frame[column.name].astype("boolean")
            case _:
                typed[column.name] = frame[column.name].astype("str")
    return pd.DataFrame(typed).set_index(key).sort_index()


def prerequisites(session: Session, organisation_key: int) -> dict[str, tuple[str, ...]]:
    """Return for each item that has any the items to finish before it."""
    query = select(items.c.item_id, items.c.prerequisites).where(
        items.c.organisation_key == organisation_key, items.c.prerequisites.is_not(None)
    )
    return {item_id: split_list(value) for item_id, value in session.execute(query)}


def known_ids(session: Session, organisation_key: int) -> dict[str, pd.Index]:
    """Return the ids of all members and of all items, shared ones included, by the name of their column."""
    found = {}
    for kind, (table, schema) in TABLES.items():
        name = schema.names[0]
        query = select(table.c[name]).where(known(kind, organisation_key))
        found[name] = pd.Index(session.scalars(query).all(), dtype=object)
    return found


def count(session: Session, organisation_key: int, kind: str) -> int:
    """Return the number of an organisation's own items or members."""
    table, _ = TABLES[kind]
    return (
        session.scalar(select(func.count()).select_from(table).where(table.c.organisation_key == organisation_key)) or 0
    )


def member(session: Session, organisation_key: int, member_id: str) -> dict[str, Any]:
    """Return a member's row.

    Raises
    ------
    UnknownMemberError
        The organisation has no such member.
    """
    asked = {"organisation_key": organisation_key, "member_id": member_id}
    row = None if NUL in member_id else session.execute(MEMBER, asked).mappings().one_or_none()
    if row is None:
        raise UnknownMemberError(f"no member {member_id!r}; ingest the member first, or check the id")
    return dict(row)


def shown_items(session: Session, organisation_key: int, item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what a list shows of items, own and shared, by id; ids that do not exist are left out."""
    asked = {"organisation_key": organisation_key, "item_ids": item_ids}
    found = {row["item_id"]: dict(row) for row in session.execute(OWN_ITEMS, asked).mappings()}
    # Hardly ever asked: an id is by the primary key where it is the organisation's own.
    if others := [item_id for item_id in item_ids if item_id not in found]:
        shared = select(*(items.c[name] for name in SHOWN)).where(
            visible(organisation_key), items.c.item_id.in_(others)
        )
        found |= {row["item_id"]: dict(row) for row in session.execute(shared).mappings()}
    return found


def known(kind: str, organisation_key: int) -> ColumnElement[bool]:
    """Return the condition for what an organisation's night knows of."""
    return visible(organisation_key) if kind == "items" else members.c.organisation_key == organisation_key


def check_item(session: Session, organisation_key: int, item_id: str) -> None:
    """Do nothing where an item exists.

    Raises
    ------
    UnknownItemError
        The organisation has no such item.
    """
    if NUL in item_id or item_id not in shown_items(session, organisation_key, [item_id]):
        raise UnknownItemError(f"no item {item_id!r}; ingest the item first, or check the id")
