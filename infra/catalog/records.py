"""Items and members one at a time: read, paged, written after the checks that files go through, removed."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.orm import Session

from content_catalog.audience import check_codes
from content_catalog.io.readers import as_text
from content_catalog.io.validation import check_rows
from content_catalog.prerequisites import check_acyclic
from content_catalog.schema import Schema, split_list
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.taxonomies import coded_columns
from infra.errors import InvalidRecordError, NotFoundError, UnknownItemError, UnknownMemberError

Record = dict[str, Any]
"""A row as JSON has it: lists as arrays, times as ISO 8601 text in UTC, what is not known as None."""

UNKNOWN: dict[str, tuple[str, type[NotFoundError]]] = {
    "items": ("item", UnknownItemError),
    "members": ("member", UnknownMemberError),
}
NOT_PAGED = ("text",)
"""May be a megabyte long: a page of a hundred items leaves it out."""


def read(session: Session, organisation_key: int, kind: str, record_id: str) -> Record:
    """Return a member of the organisation, or an item of its own or shared with it.

    Raises
    ------
    UnknownItemError, UnknownMemberError
    """
    table, schema = catalog.TABLES[kind]
    columns = (table.c[name] for name in schema.names)
    row = None
    if catalog.NUL not in record_id:
        own = table.c[schema.names[0]] == record_id
        query = select(*columns).where(catalog.known(kind, organisation_key), own)
        row = session.execute(query).mappings().one_or_none()
    if row is None:
        name, error = UNKNOWN[kind]
        raise error(f"no {name} {record_id!r}; create the {name} first, or check the id")
    return _record(row, schema)


def locked(session: Session, organisation_key: int, kind: str, record_id: str) -> Record | None:
    """Return an own item or member, which nobody else can change before this transaction ends; None: there is none."""
    table, schema = catalog.TABLES[kind]
    key = table.c[schema.names[0]]
    if catalog.NUL in record_id:
        return None
    # A write that changes nothing takes the row's lock on PostgreSQL and the file's on SQLite.
    unchanged = update(table).where(table.c.organisation_key == organisation_key, key == record_id).values({key: key})
    found: Any = session.execute(unchanged, execution_options={"preserve_rowcount": True})
    return read(session, organisation_key, kind, record_id) if found.rowcount else None


def page(session: Session, organisation_key: int, kind: str, *, after: str, limit: int) -> list[Record]:
    """Return up to ``limit`` records, shared items included, whose ids come after one, in order of their ids."""
    table, schema = catalog.TABLES[kind]
    key = table.c[schema.names[0]]
    columns = (table.c[name] for name in schema.names if name not in NOT_PAGED)
    query = (
        select(*columns)
        .where(catalog.known(kind, organisation_key), key > after.replace(catalog.NUL, ""))
        .order_by(key)
        .limit(limit)
    )
    return [_record(row, schema) for row in session.execute(query).mappings()]


def write(session: Session, organisation_key: int, kind: str, record: Record) -> None:
    """Make or replace an item or member; columns that the record lacks become empty.

    Raises
    ------
    InvalidRecordError
        A value does not pass the checks of files; nothing was written.
    PrerequisiteCycleError
        The item would have to be finished before itself.
    """
    schema = catalog.TABLES[kind][1]
    texts = {name: as_text(record.get(name)) for name in schema.names}
    key = schema.names[0]
    if texts[key] != texts[key].strip():
        raise InvalidRecordError([(key, texts[key], "begins or ends with white space")])
    frame = pd.DataFrame([texts], index=pd.Index([1], name="line"), dtype="str")
    rows, rejects = check_rows(frame, schema)
    if rejects.empty:
        rows, rejects = check_codes(rows, coded_columns(kind, organisations.taxonomies(session, organisation_key)))
    if len(rejects):
        faults = [(row.field, row.value, row.reason) for row in rejects.itertuples()]
        raise InvalidRecordError(faults)
    catalog.store(session, organisation_key, kind, rows, given=schema.names)
    if record.get("prerequisites"):
        check_acyclic(catalog.prerequisites(session, organisation_key))


def remove_item(session: Session, organisation_key: int, item_id: str) -> None:
    """Remove an item: it is on no list any more. Its events stay, and count again where it comes back."""
    table, schema = catalog.TABLES["items"]
    key = table.c[schema.names[0]]
    session.execute(delete(table).where(table.c.organisation_key == organisation_key, key == item_id))


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
            return in_iso(value)
        case "date" if value is not None:
            return value.date().isoformat()
        case _:
            return value


def in_iso(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
