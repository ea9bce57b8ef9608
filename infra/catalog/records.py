"""Single items, members, requirements and curations: read, page, write with the checks of file imports, delete."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import ColumnElement, RowMapping, delete, false, func, or_, select, true, update
from sqlalchemy.orm import Session

from content_catalog.audience import UNIT_SEPARATOR
from content_catalog.io.validation import check_rows
from content_catalog.io.values import WHITE_SPACE, as_text
from content_catalog.prerequisites import check_acyclic
from content_catalog.schema import LIST_SEPARATOR, Schema, split_list
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.references import References
from infra.db import bulk
from infra.errors import InvalidRecordError, NotFoundError

Record = dict[str, Any]
"""A row as a JSON object: lists as arrays, times as ISO 8601 text in UTC, missing values as None."""

PATHS = ("units", "region")
"""Columns of paths: what is below a path is part of it."""
NOT_PAGED = ("text",)
"""Columns left out of pages: a text may be a megabyte long."""


def read(session: Session, organisation_key: int, kind: str, record_id: str) -> Record:
    """Return a member, requirement or curation of the organisation, or one of its own or shared items.

    Raises
    ------
    NotFoundError
    """
    table, schema = catalog.TABLES[kind]
    columns = (table.c[name] for name in schema.names)
    row = None
    if catalog.NUL not in record_id:
        by_id = table.c[schema.names[0]] == record_id
        query = select(*columns).where(catalog.in_scope(kind, organisation_key), by_id)
        row = session.execute(query).mappings().one_or_none()
    if row is None:
        name = kind.removesuffix("s")
        raise NotFoundError(f"no {name} {record_id!r}; create the {name} first, or check the id")
    return _record(row, schema)


def unknown_own(kind: str, record_id: str) -> NotFoundError:
    """Return the error that an organisation has no record of its own with an id."""
    text = f"your organisation has no {kind.removesuffix('s')} {record_id!r} of its own"
    return NotFoundError(f"{text}; create it first, or check the id")


def read_for_update(session: Session, organisation_key: int, kind: str, record_id: str) -> Record | None:
    """Return an own record, locked until this transaction ends; None if it does not exist."""
    table, schema = catalog.TABLES[kind]
    key = table.c[schema.names[0]]
    if catalog.NUL in record_id:
        return None
    # An update that changes nothing locks the row on PostgreSQL and the file on SQLite.
    unchanged = update(table).where(table.c.organisation_key == organisation_key, key == record_id).values({key: key})

    def locked() -> int:
        result: Any = session.execute(unchanged, execution_options={"preserve_rowcount": True})
        return int(result.rowcount)

    if not locked():
        organisations.lock(session, organisation_key)  # of several that create a record one comes first
    return read(session, organisation_key, kind, record_id) if locked() else None


def page(
    session: Session,
    organisation_key: int,
    kind: str,
    *,
    after: str = "",
    limit: int | None = None,
    having: Mapping[str, str | bool | None] | None = None,
    search: str = "",
    updated_since: datetime | None = None,
) -> list[Record]:
    """Return up to ``limit`` records, or all, with ids after ``after``, in order of their ids, shared items included.

    Parameters
    ----------
    limit : int, optional
        By default all of them.
    having : mapping, optional
        Value by column that the records have: of a list one of its parts; of a code, unit or region also one below it.
        None is no condition.
    search : str
        A part of the id, or of the title of an item; case does not matter.
    updated_since : datetime, optional
        Only items or members that were written last, and then changed, at this moment or later.
    """
    table, schema = catalog.TABLES[kind]
    key = table.c[schema.names[0]]
    searched = (key, table.c.title) if "title" in table.c else (key,)
    columns = (table.c[name] for name in schema.names if name not in NOT_PAGED)
    query = (
        select(*columns)
        .where(catalog.in_scope(kind, organisation_key), key > after.replace(catalog.NUL, ""))
        .where(*_conditions(session, organisation_key, kind, having or {}))
        .where(or_(*(column.icontains(search, autoescape=True) for column in searched)) if search else true())
        .where(true() if updated_since is None else table.c.updated_at >= updated_since)
        .order_by(key)
        .limit(limit)
    )
    return [_record(row, schema) for row in session.execute(query).mappings()]


def _conditions(
    session: Session, organisation_key: int, kind: str, having: Mapping[str, str | bool | None]
) -> Iterator[ColumnElement[bool]]:
    table = catalog.TABLES[kind][0]
    for name, value in having.items():
        column = table.c[name]
        if isinstance(value, bool):
            yield func.coalesce(column, false()).is_(value)
        elif value is not None and name in organisations.SHIPPED:
            taxonomy = organisations.taxonomy(session, organisation_key, name)
            below = [code for code in taxonomy.table.index if value in taxonomy and taxonomy.within(code, value)]
            yield bulk.any_of(column, [value, *below])
        elif value is not None:
            # LIKE ignores case on SQLite; the text without the part differs where the part stands in it.
            padded = LIST_SEPARATOR + column + LIST_SEPARATOR
            parts = [f"{LIST_SEPARATOR}{value}{end}" for end in (LIST_SEPARATOR, UNIT_SEPARATOR)]
            stands_in = [func.replace(padded, part, "") != padded for part in parts[: 2 if name in PATHS else 1]]
            yield or_(*stands_in)


def write(
    session: Session,
    organisation_key: int,
    kind: str,
    record: Record,
    *,
    now: datetime,
    zone: str = "UTC",
    changed: Collection[str] | None = None,
) -> None:
    """Create or replace a record; columns that the record lacks become empty.

    Parameters
    ----------
    now : datetime
        The moment of the change.
    zone : str
        IANA name of the zone of times without an offset.
    changed : collection of str, optional
        Columns that differ from what is stored: codes of others may be unknown, as a taxonomy came after them.

    Raises
    ------
    InvalidRecordError
        A value does not pass the checks of file imports; nothing was written.
    PrerequisiteCycleError
        The item's prerequisites would form a cycle.
    """
    rows = checked(session, organisation_key, kind, record, zone=zone, changed=changed)
    catalog.store(session, organisation_key, kind, rows, now=now, zone=zone)
    if record.get("prerequisites"):
        check_acyclic(catalog.prerequisites(session, organisation_key))


def checked(
    session: Session,
    organisation_key: int,
    kind: str,
    record: Record,
    *,
    zone: str = "UTC",
    changed: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the row of a record that passes the checks of file imports.

    Raises
    ------
    InvalidRecordError
    """
    schema = catalog.TABLES[kind][1]
    texts = {name: as_text(record.get(name)) for name in schema.names}
    key = schema.names[0]
    if texts[key] != texts[key].strip(WHITE_SPACE):
        raise InvalidRecordError([(key, texts[key], "begins or ends with white space")])
    frame = pd.DataFrame([texts], index=pd.Index([1], name="line"), dtype="str")
    rows, rejects = check_rows(frame, schema, zone=zone)
    if rejects.empty:
        rows, rejects = References(session, organisation_key, kind, changed=changed).check(
            rows, pd.DataFrame(data=True, index=rows.index, columns=rows.columns)
        )
    if len(rejects):
        faults = [(row.field, row.value, row.reason) for row in rejects.itertuples()]
        raise InvalidRecordError(faults)
    return rows


def remove(session: Session, organisation_key: int, kind: str, record_id: str) -> None:
    """Delete an own record. Events of a deleted item stay, and count again if it is created again."""
    table, schema = catalog.TABLES[kind]
    key = table.c[schema.names[0]]
    session.execute(delete(table).where(table.c.organisation_key == organisation_key, key == record_id))


def is_own(session: Session, organisation_key: int, item_id: str) -> bool:
    """Return whether an item is the organisation's own, and not one that another shares with it."""
    items = catalog.TABLES["items"][0]
    own = (items.c.organisation_key == organisation_key) & (items.c.item_id == item_id)
    return session.scalar(select(items.c.item_id).where(own)) is not None


def etag(record: Record) -> str:
    """Return the strong entity tag of a record (RFC 9110, 8.8.3): the same for the same content."""
    return f'"{hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]}"'


def _record(row: RowMapping, schema: Schema) -> Record:
    return {column.name: _plain(row[column.name], column.kind) for column in schema.columns if column.name in row}


def _plain(value: Any, kind: str) -> Any:
    match kind:
        case "list":
            return list(split_list(value))
        case "instant" if value is not None:
            return iso_utc(value)
        case "date" if value is not None:
            return value.date().isoformat()
        case _:
            return value


def iso_utc(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
