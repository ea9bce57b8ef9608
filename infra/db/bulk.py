"""Rows in bulk: frames into tables and queries into frames, as fast as each database allows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
from sqlalchemy import BigInteger, ColumnElement, Double, Integer, Select, Table, Text, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infra.db.core_tables import Instant

FETCH_ROWS = 100_000
INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
ROWS_AT_ONCE = 250
"""Of one statement of SQLite."""


def insert_new(session: Session, table: Table, frame: pd.DataFrame) -> int:
    """Insert the rows whose key is not in the table yet; return how many that were."""
    return _write(session, table, frame, "ON CONFLICT DO NOTHING")


def insert_into(session: Session, table: Table) -> Any:
    """Return an insertion that may say what becomes of rows that are there, as the session's database writes it."""
    return INSERTS[session.get_bind().dialect.name](table)


def insert_few(session: Session, table: Table, columns: Mapping[str, list[Any]], *, key: str) -> set[str]:
    """Insert rows, some thousands at most, whose key is not in the table yet; return the keys of those that were new.

    Rows go in the order they have: writers that sort theirs alike wait for each other and never in a circle.

    Parameters
    ----------
    columns : mapping
        Values as a driver binds them (:func:`python_values`), by the name of their column.
    """
    names, values = list(columns), list(columns.values())
    into = ", ".join(names)
    connection: Any = session.connection().connection.driver_connection
    with closing(connection.cursor()) as cursor:
        if session.get_bind().dialect.name == "sqlite":
            rows = list(zip(*values, strict=True))
            parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
            return set().union(*(_inserted(cursor, table, names, part, key) for part in parts))
        given = ", ".join(f"{name} {_TYPES[type(table.c[name].type)]}" for name in names)
        insert = (
            f"INSERT INTO {table.name} ({into}) SELECT {into} FROM json_to_recordset(%s::json) AS given({given}) "  # noqa: S608 - our own names
            f"ON CONFLICT DO NOTHING RETURNING {key}"
        )
        # As JSON: the driver turns arrays into text value by value, which takes longer than all the rest.
        told = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        return {one for (one,) in cursor.execute(insert, [orjson.dumps(told).decode()])}


def _inserted(cursor: Any, table: Table, names: list[str], rows: list[tuple[Any, ...]], key: str) -> set[str]:
    """Insert rows into SQLite by one statement, which leaves the interpreter to other threads once; return new keys."""
    marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(rows))
    insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {marks} ON CONFLICT DO NOTHING"  # noqa: S608 - our own names
    written = cursor.execute(insert, list(chain.from_iterable(rows))).rowcount
    if written == len(rows):
        place = names.index(key)
        return {row[place] for row in rows}
    # The one who writes numbers rows one after the other.
    last = cursor.lastrowid
    there = f"SELECT {key} FROM {table.name} WHERE rowid > ? AND rowid <= ?"  # noqa: S608 - our own names
    return {one for (one,) in cursor.execute(there, (last - written, last))} if written else set()


_TYPES = {Text: "text", Double: "float8", Instant: "int8", Integer: "int4"}
"""What PostgreSQL calls the columns that :func:`insert_few` writes."""


def upsert(session: Session, table: Table, frame: pd.DataFrame) -> int:
    """Insert rows, or replace in existing ones the columns that the frame has; return how many rows were written."""
    keys = [column.name for column in table.primary_key.columns]
    changed = [name for name in frame.columns if name not in keys]
    setting = ", ".join(f"{name} = excluded.{name}" for name in changed)
    action = f"DO UPDATE SET {setting}" if changed else "DO NOTHING"
    return _write(session, table, frame, f"ON CONFLICT ({', '.join(keys)}) {action}")


def _write(session: Session, table: Table, frame: pd.DataFrame, on_conflict: str) -> int:
    """Write rows through the database's own driver: table and column names come from our tables, never from input."""
    if frame.empty:
        return 0
    names = list(frame.columns)
    columns = ", ".join(names)
    rows = zip(*(python_values(frame[name]) for name in names), strict=True)
    connection: Any = session.connection().connection.driver_connection
    cursor = connection.cursor()
    if session.get_bind().dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) {on_conflict}"  # noqa: S608 - our own names
        cursor.executemany(insert, rows)
    else:
        staged = f"staged_{table.name}"
        empty = f"SELECT {columns} FROM {table.name} WHERE false"  # noqa: S608 - our own names
        cursor.execute(f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS {empty}")
        with cursor.copy(f"COPY {staged} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        insert = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staged} {on_conflict}"  # noqa: S608 - our own names
        cursor.execute(insert)
        cursor.connection.execute(f"DROP TABLE {staged}")
    written = int(cursor.rowcount)
    cursor.close()
    return written


def raw_columns(table: Table, names: Iterable[str]) -> list[ColumnElement[Any]]:
    """Return a table's columns for :func:`read_frames`: instants as the whole microseconds they are stored as."""
    return [
        type_coerce(table.c[name], BigInteger).label(name) if isinstance(table.c[name].type, Instant) else table.c[name]
        for name in names
    ]


def read_frames(session: Session, query: Select[Any]) -> Iterator[pd.DataFrame]:
    """Yield a query's rows in frames of bounded size."""
    result = session.execute(query.execution_options(yield_per=FETCH_ROWS))
    names = list(result.keys())
    for part in result.partitions():
        columns = zip(*part, strict=True)
        yield pd.DataFrame(dict(zip(names, (list(column) for column in columns), strict=True)))


def python_values(values: pd.Series) -> list[Any]:
    """Return a column as values a driver binds: absent ones as None, instants as microseconds."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        moments = pa.array(values, from_pandas=True).cast(pa.timestamp("us", "UTC"))
        return moments.cast(pa.int64()).to_pylist()
    return pa.array(values, from_pandas=True).to_pylist()
