"""Stored items and members: bulk writes, typed frames, and lookups by id."""

from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Table, bindparam, func, select
from sqlalchemy.orm import Session

from content_catalog.schema import CURATIONS, ITEMS, REQUIREMENTS, Schema, split_list
from features.schema import MEMBERS, UNITS
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import items, members, units
from infra.db.policy_tables import curations, requirements
from infra.errors import UnknownItemError, UnknownMemberError

DISPLAY_COLUMNS = (
    "item_id",
    "title",
    "format",
    "duration_seconds",
    "language",
    "url",
    "hidden",
    "published_at",
    "available_from",
    "available_until",
    "ends_at",
    "audience",
    "target_roles",
    "target_industries",
    "target_units",
    "prerequisites",
    "topics",
)
"""Columns of an item that lists show, and those that decide whether it may be offered."""
NUL = "\x00"
"""Never part of an id; PostgreSQL refuses it in queries."""

MEMBER = select(members).where(
    members.c.organisation_key == bindparam("organisation_key"), members.c.member_id == bindparam("member_id")
)
OWN_ITEMS = select(*(items.c[name] for name in DISPLAY_COLUMNS)).where(
    items.c.organisation_key == bindparam("organisation_key"),
    items.c.item_id.in_(bindparam("item_ids", expanding=True)),
)
TABLES: dict[str, tuple[Table, Schema]] = {
    "items": (items, ITEMS),
    "members": (members, MEMBERS),
    "units": (units, UNITS),
    "requirements": (requirements, REQUIREMENTS),
    "curations": (curations, CURATIONS),
}
"""Table and columns by kind of record."""


def store(session: Session, organisation_key: int, kind: str, rows: pd.DataFrame) -> int:
    """Insert records, or replace the frame's columns in existing ones; return how many rows were written."""
    return bulk.upsert(session, TABLES[kind][0], rows.assign(organisation_key=organisation_key))


def read(session: Session, organisation_key: int, kind: str, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return all records of a kind, of items its own and the shared ones: typed, by ascending id."""
    table, schema = TABLES[kind]
    key = schema.names[0]
    columns = [column for column in schema.columns if column.name not in without]
    query = select(*bulk.raw_columns(table, [column.name for column in columns])).where(
        in_scope(kind, organisation_key)
    )
    parts = list(bulk.read_frames(session, query))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[column.name for column in columns])
    typed = {}
    for column in columns:
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
    """Return the prerequisites of each own item that has any."""
    query = select(items.c.item_id, items.c.prerequisites).where(
        items.c.organisation_key == organisation_key, items.c.prerequisites.is_not(None)
    )
    return {item_id: split_list(value) for item_id, value in session.execute(query)}


def existing_ids(session: Session, organisation_key: int) -> dict[str, pd.Index]:
    """Return the ids of all members and of all items, shared ones included, by the name of their column."""
    ids = {}
    for kind in ("items", "members"):
        table, schema = TABLES[kind]
        name = schema.names[0]
        query = select(table.c[name]).where(in_scope(kind, organisation_key))
        ids[name] = pd.Index(session.scalars(query).all(), dtype=object)
    return ids


def count(session: Session, organisation_key: int, kind: str) -> int:
    """Return the number of an organisation's own records of a kind."""
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
    parameters = {"organisation_key": organisation_key, "member_id": member_id}
    row = None if NUL in member_id else session.execute(MEMBER, parameters).mappings().one_or_none()
    if row is None:
        raise UnknownMemberError(f"no member {member_id!r}; ingest the member first, or check the id")
    return dict(row)


def display_items(session: Session, organisation_key: int, item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the display columns of items, own and shared, by id; ids that do not exist are left out."""
    parameters = {"organisation_key": organisation_key, "item_ids": item_ids}
    display = {row["item_id"]: dict(row) for row in session.execute(OWN_ITEMS, parameters).mappings()}
    # Rare: own items are found by their primary key.
    if missing := [item_id for item_id in item_ids if item_id not in display]:
        shared = select(*(items.c[name] for name in DISPLAY_COLUMNS)).where(
            visible(organisation_key), items.c.item_id.in_(missing)
        )
        display |= {row["item_id"]: dict(row) for row in session.execute(shared).mappings()}
    return display


def in_scope(kind: str, organisation_key: int) -> ColumnElement[bool]:
    """Return the SQL condition of an organisation's records; of items, its own and shared ones."""
    if kind == "items":
        return visible(organisation_key)
    own: ColumnElement[bool] = TABLES[kind][0].c.organisation_key == organisation_key
    return own


def check_item(session: Session, organisation_key: int, item_id: str) -> None:
    """Refuse an unknown item.

    Raises
    ------
    UnknownItemError
        The organisation has no such item.
    """
    if NUL in item_id or item_id not in display_items(session, organisation_key, [item_id]):
        raise UnknownItemError(f"no item {item_id!r}; ingest the item first, or check the id")
