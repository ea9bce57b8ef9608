"""Stored items and members: bulk writes, typed frames, and lookups by id."""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import ColumnElement, Table, bindparam, func, select
from sqlalchemy.orm import Session

from content_catalog.schema import CURATIONS, ITEMS, REQUIREMENTS, Schema, split_list
from features.schema import MEMBERS, UNITS
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import items, members, units
from infra.db.policy_tables import curations, requirements
from infra.errors import NotFoundError, UnknownMemberError

DISPLAY_COLUMNS = ("item_id", "title", "format", "duration_seconds", "language", "url")
"""Columns that an app needs to show an item."""
OFFER_COLUMNS = (
    *DISPLAY_COLUMNS,
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
"""Columns of an item that lists show, those that decide whether it may be offered, and its topics."""
NUL = "\x00"
"""Never part of an id; PostgreSQL refuses it in queries."""

MEMBER = select(members).where(
    members.c.organisation_key == bindparam("organisation_key"), members.c.member_id == bindparam("member_id")
)
OWN_ITEMS = select(*(items.c[name] for name in OFFER_COLUMNS)).where(
    items.c.organisation_key == bindparam("organisation_key"), bulk.any_of(items.c.item_id, parameter="item_ids")
)
TABLES: dict[str, tuple[Table, Schema]] = {
    "items": (items, ITEMS),
    "members": (members, MEMBERS),
    "units": (units, UNITS),
    "requirements": (requirements, REQUIREMENTS),
    "curations": (curations, CURATIONS),
}
"""Table and columns by kind of record."""

SEGMENT: Final = ("role", "industry")
PREVIOUS: Final = ("previous_role", "previous_industry")
MOVED: Final = (*PREVIOUS, "moved_days")
MAX_DAYS: Final = 365
"""Days for which a change of role or industry is taken into account."""


def store(
    session: Session, organisation_key: int, kind: str, rows: pd.DataFrame, *, now: datetime, zone: str = "UTC"
) -> int:
    """Insert records, or replace the frame's columns in existing ones; return how many rows were written.

    Parameters
    ----------
    now : datetime
        The moment of the write, which becomes ``updated_at`` of items and members that it changes.
    zone : str
        IANA name of the zone of the day on which members take a changed role or industry.
    """
    if kind == "members":
        today = now.astimezone(ZoneInfo(zone)).date()
        rows = _with_moves(session, organisation_key, rows, pd.Timestamp(today, tz="UTC"))
    table = TABLES[kind][0]
    written = {bulk.UPDATED_AT: pd.Timestamp(now)} if bulk.UPDATED_AT in table.c else {}
    return bulk.upsert(session, table, rows.assign(organisation_key=organisation_key, **written))


def _with_moves(session: Session, organisation_key: int, rows: pd.DataFrame, today: pd.Timestamp) -> pd.DataFrame:
    """Return rows of members with their last change of role or industry (:func:`with_last_change`)."""
    if not {*SEGMENT} & {*rows}:
        return rows
    wanted = ["member_id", *SEGMENT, "role_since", *PREVIOUS, "moved_on"]
    query = select(*bulk.raw_columns(members, wanted)).where(
        members.c.organisation_key == organisation_key, bulk.any_of(members.c.member_id, rows["member_id"].tolist())
    )
    stored = bulk.read_frame(session, query)
    if stored.empty:
        return rows
    stored = stored.set_index("member_id").reindex(rows["member_id"]).set_axis(rows.index)
    days = {name: _days(stored[name]) for name in ("role_since", "moved_on")}
    codes = stored[[*SEGMENT, *PREVIOUS]].astype("str").fillna("")
    return with_last_change(rows, codes.assign(**days), today)


def with_last_change(rows: pd.DataFrame, stored: pd.DataFrame, today: pd.Timestamp) -> pd.DataFrame:
    """Return rows with the codes before the last change of role or industry, its day ``moved_on``, and ``role_since``.

    Setting a code that was empty is no change. The day of a change is the row's new ``role_since`` if it is not in the
    future. Otherwise it is the day of the write, and becomes ``role_since``. Of several changes on one day only the
    codes before the first count, and a change that is undone on its day is forgotten.

    Parameters
    ----------
    stored : DataFrame
        The stored members, row by row; absent codes are empty.
    """
    old, before_last = stored[[*SEGMENT]], stored[[*PREVIOUS]].set_axis([*SEGMENT], axis=1)
    new = old.assign(**{name: rows[name].fillna("") for name in SEGMENT if name in rows})
    changed = (new != old) & (old != "")
    moved = changed.any(axis=1)
    role_since = rows.get("role_since", stored["role_since"])
    stated = role_since.notna() & (role_since != stored["role_since"])
    day = role_since.where(stated & (role_since <= today), today)
    moved_again = moved & (stored["moved_on"] == day)
    previous = before_last.mask(moved & ~moved_again, old)
    undone = moved_again & (previous == new).all(axis=1)
    previous = previous.mask(undone, "").set_axis([*PREVIOUS], axis=1)
    rows = rows.assign(**previous.where(previous != ""), moved_on=stored["moved_on"].mask(moved, day).mask(undone))
    undated = changed["role"] & (new["role"] != "") & ~stated
    return rows.assign(role_since=role_since.mask(undated, today)) if undated.any() else rows


def _days(microseconds: pd.Series) -> pd.Series:
    return pd.to_datetime(microseconds.astype("Int64"), unit="us", utc=True)


def moves(session: Session, organisation_key: int, *, as_of: datetime, member_id: str | None = None) -> pd.DataFrame:
    """Return :data:`MOVED` of members who changed role or industry within :data:`MAX_DAYS`, by member.

    Parameters
    ----------
    as_of : datetime
        The moment until which ``moved_days``, whole days since the change, are counted.
    member_id : str, optional
        The one member that is asked for.
    """
    query = select(*bulk.raw_columns(members, ["member_id", *PREVIOUS, "moved_on"])).where(
        members.c.organisation_key == organisation_key,
        members.c.moved_on > as_of - timedelta(days=MAX_DAYS),
        *(() if member_id is None else (members.c.member_id == member_id,)),
    )
    rows = bulk.read_frame(session, query).set_index("member_id")
    days = (pd.Timestamp(as_of) - _days(rows["moved_on"])).dt.days.clip(lower=0)
    return rows[[*PREVIOUS]].assign(moved_days=days.astype("float64"))


def read(session: Session, organisation_key: int, kind: str, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return all records of a kind, of items its own and the shared ones: typed, by ascending id."""
    table, schema = TABLES[kind]
    key = schema.names[0]
    columns = [column for column in schema.columns if column.name not in without]
    query = select(*bulk.raw_columns(table, [column.name for column in columns])).where(
        in_scope(kind, organisation_key)
    )
    frame = bulk.read_frame(session, query)
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
        raise unknown_member(member_id)
    return dict(row)


def unknown_member(member_id: str) -> UnknownMemberError:
    """Return the error that the organisation has no member of an id."""
    return UnknownMemberError(f"no member {member_id!r}; ingest the member first, or check the id")


def display_items(session: Session, organisation_key: int, item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the display columns of items, own and shared, by id; ids that do not exist are left out."""
    parameters = {"organisation_key": organisation_key, "item_ids": item_ids}
    display = {row["item_id"]: dict(row) for row in session.execute(OWN_ITEMS, parameters).mappings()}
    # Rare: own items are found by their primary key.
    if missing := [item_id for item_id in item_ids if item_id not in display]:
        shared = select(*(items.c[name] for name in OFFER_COLUMNS)).where(
            visible(organisation_key), bulk.any_of(items.c.item_id, missing)
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
    NotFoundError
        The organisation has no such item.
    """
    if NUL in item_id or item_id not in display_items(session, organisation_key, [item_id]):
        raise NotFoundError(f"no item {item_id!r}; ingest the item first, or check the id")
