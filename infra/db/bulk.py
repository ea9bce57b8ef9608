"""Bulk reads and writes: frames into tables, queries into frames, many values as one parameter or one result."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Double,
    Integer,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    func,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from infra.db.core_tables import EPOCH, MICROSECOND, Instant

FETCH_ROWS = 100_000
UPDATED_AT = "updated_at"
INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
STATEMENT_ROWS = 250
"""Rows that one INSERT of SQLite takes."""


class _ValueList(TypeDecorator[list[Any]]):
    """A list in one parameter: an array for PostgreSQL, JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item_type: type[Text | BigInteger]) -> None:
        super().__init__()
        self.item_type = item_type

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the type that the database binds."""
        of_list = postgresql.ARRAY(self.item_type()) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(of_list)

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        """Return the values as the driver binds them."""
        return value if dialect.name == "postgresql" else orjson.dumps(value).decode()


class _AnyOf(FunctionElement[bool]):
    """Condition that a column has one of the values of a list."""

    type = Boolean()
    inherit_cache = True


@compiles(_AnyOf, "sqlite")
def _any_of_on_sqlite(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - a column of ours and a parameter


@compiles(_AnyOf, "postgresql")
def _any_of_on_postgresql(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY({values})"


def any_of(column: Column[Any], values: Iterable[Any] = (), *, parameter: str | None = None) -> ColumnElement[bool]:
    """Return the condition that a column has one of some values, whatever their number: all are one parameter.

    ``column.in_(values)`` has a parameter for each, and databases bound these (PostgreSQL: 65,535). With the name of a
    ``parameter`` they are given, as a list, when the statement is executed.
    """
    bound = list(values)
    if isinstance(column.type, Instant):
        bound = [(moment - EPOCH) // MICROSECOND for moment in bound]
    item_type: type[Text | BigInteger] = Text if isinstance(column.type, Text) else BigInteger
    return _AnyOf(column, bindparam(parameter, bound, type_=_ValueList(item_type)))


def json_functions(dialect: str) -> tuple[Any, Any]:
    """Return the functions of a database for a JSON array of values, and of those of a group of rows."""
    if dialect == "postgresql":
        return func.json_build_array, func.json_agg
    return func.json_array, func.json_group_array


def insert_new(session: Session, table: Table, frame: pd.DataFrame) -> int:
    """Insert the rows whose key is not in the table yet; return their number."""
    return _write(session, table, frame, "ON CONFLICT DO NOTHING")


def insert_into(session: Session, table: Table) -> Any:
    """Return an INSERT in the session's dialect, so that it can have an ON CONFLICT clause."""
    return INSERTS[session.get_bind().dialect.name](table)


def put(session: Session, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert a row, or replace the values of the one with its key."""
    row = insert_into(session, table).values(**key, **values)
    session.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))


def execute_many(session: Session, statement: Update, rows: list[dict[str, Any]]) -> None:
    """Execute a statement once per row: an IN over all keys would meet the databases' bound on parameters."""
    if rows:
        session.connection().execute(statement, rows)


def insert_few(session: Session, table: Table, columns: Mapping[str, list[Any]], *, key: str) -> set[str]:
    """Insert rows, some thousands at most, whose key is not in the table yet; return the keys of the new ones.

    Rows are inserted in their order: writers that sort theirs alike cannot deadlock.

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
            parts = [rows[start : start + STATEMENT_ROWS] for start in range(0, len(rows), STATEMENT_ROWS)]
            return set().union(*(_inserted(cursor, table, names, part, key) for part in parts))
        typed = ", ".join(f"{name} {_TYPES[type(table.c[name].type)]}" for name in names)
        insert = (
            f"INSERT INTO {table.name} ({into}) SELECT {into} FROM json_to_recordset(%s::json) AS row({typed}) "  # noqa: S608 - our own names
            f"ON CONFLICT DO NOTHING RETURNING {key}"
        )
        # As JSON: the driver turns arrays into text value by value, which takes longer than all the rest.
        rows_as_json = orjson.dumps([dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]).decode()
        return {inserted for (inserted,) in cursor.execute(insert, [rows_as_json])}


def _inserted(cursor: Any, table: Table, names: list[str], rows: list[tuple[Any, ...]], key: str) -> set[str]:
    """Insert rows into SQLite by one statement, so that the GIL is released once; return the new keys."""
    marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(rows))
    insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {marks} ON CONFLICT DO NOTHING"  # noqa: S608 - our own names
    written = cursor.execute(insert, list(chain.from_iterable(rows))).rowcount
    if written == len(rows):
        place = names.index(key)
        return {row[place] for row in rows}
    # SQLite has one writer at a time, so the new rowids are contiguous.
    last = cursor.lastrowid
    new_keys = f"SELECT {key} FROM {table.name} WHERE rowid > ? AND rowid <= ?"  # noqa: S608 - our own names
    return {inserted for (inserted,) in cursor.execute(new_keys, (last - written, last))} if written else set()


_TYPES = {Text: "text", Double: "float8", Instant: "int8", Integer: "int4", Boolean: "bool"}
"""PostgreSQL's names of the column types that :func:`insert_few` writes."""


def upsert(session: Session, table: Table, frame: pd.DataFrame) -> int:
    """Insert rows, or replace the frame's columns in existing ones; return the number of rows written.

    ``updated_at`` is replaced where another column of the row takes another value.
    """
    keys = [column.name for column in table.primary_key.columns]
    changed = [name for name in frame.columns if name not in {*keys, UPDATED_AT}]
    setting = ", ".join(f"{name} = excluded.{name}" for name in changed)
    if UPDATED_AT in frame:
        stored, new = (", ".join(f"{side}.{name}" for name in changed) for side in (table.name, "excluded"))
        differs = "IS NOT" if session.get_bind().dialect.name == "sqlite" else "IS DISTINCT FROM"
        moment = f"CASE WHEN ({stored}) {differs} ({new}) THEN excluded.{UPDATED_AT} ELSE {table.name}.{UPDATED_AT} END"
        setting += f", {UPDATED_AT} = {moment}"
    action = f"DO UPDATE SET {setting}" if changed else "DO NOTHING"
    return _write(session, table, frame, f"ON CONFLICT ({', '.join(keys)}) {action}")


def _write(session: Session, table: Table, frame: pd.DataFrame, on_conflict: str) -> int:
    """Write rows through the driver: names of tables and columns come from our tables, never from input."""
    if frame.empty:
        return 0
    names = list(frame.columns)
    columns = ", ".join(names)
    rows = zip(*(python_values(frame[name]) for name in names), strict=True)
    connection: Any = session.connection().connection.driver_connection
    with closing(connection.cursor()) as cursor:
        if session.get_bind().dialect.name == "sqlite":
            marks = ", ".join("?" * len(names))
            cursor.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) {on_conflict}", rows)  # noqa: S608 - our own names
            return int(cursor.rowcount)
        staged = f"staged_{table.name}"
        empty = f"SELECT {columns} FROM {table.name} WHERE false"  # noqa: S608 - our own names
        cursor.execute(f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS {empty}")
        with cursor.copy(f"COPY {staged} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        keys = [column.name for column in table.primary_key.columns]
        # In one order, so that two writers never wait for each other.
        ordered = f"ORDER BY {', '.join(keys)}" if keys and {*keys} <= {*names} else ""
        insert = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staged} {ordered} {on_conflict}"  # noqa: S608 - our own names
        written = int(cursor.execute(insert).rowcount)
        cursor.execute(f"DROP TABLE {staged}")
        return written


def raw_columns(table: Table, names: Iterable[str]) -> list[ColumnElement[Any]]:
    """Return a table's columns for :func:`read_frames`: instants as the whole microseconds they are stored as."""
    return [
        type_coerce(table.c[name], BigInteger).label(name) if isinstance(table.c[name].type, Instant) else table.c[name]
        for name in names
    ]


def read_frames(session: Session, query: Select[Any], *, fetch_rows: int = FETCH_ROWS) -> Iterator[pd.DataFrame]:
    """Yield a query's rows in frames of bounded size."""
    for columns in read_columns(session, query, fetch_rows=fetch_rows):
        yield pd.DataFrame(columns)


def read_frame(session: Session, query: Select[Any]) -> pd.DataFrame:
    """Return all rows of a query; columns of text where there is none."""
    parts = list(read_frames(session, query))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*query.selected_columns.keys()], dtype="str")
    )


def read_columns(
    session: Session, query: Select[Any], *, fetch_rows: int = FETCH_ROWS
) -> Iterator[dict[str, list[Any]]]:
    """Yield a query's rows as lists by column, each of bounded size."""
    result = session.execute(query.execution_options(yield_per=fetch_rows))
    names = list(result.keys())
    for part in result.partitions():
        columns = zip(*part, strict=True)
        yield dict(zip(names, map(list, columns), strict=True))


def values_by_key(session: Session, query: Select[Any]) -> dict[str, list[Any]]:
    """Return the values of a query's second column by those of its first, in the order of its rows."""
    by_key: dict[str, list[Any]] = {}
    for key, value in session.execute(query):
        by_key.setdefault(key, []).append(value)
    return by_key


def python_values(values: pd.Series) -> list[Any]:
    """Return a column as values a driver binds: absent ones as None, instants as microseconds."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        moments = pa.array(values, from_pandas=True).cast(pa.timestamp("us", "UTC"))
        return moments.cast(pa.int64()).to_pylist()
    return pa.array(values, from_pandas=True).to_pylist()
