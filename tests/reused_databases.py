"""PostgreSQL databases that tests use one after the other.

To copy a database costs the server a third of a second of processor time, most of it for hundreds of small files.
To delete all rows of a used one and to write those of a state costs a tenth of that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from benchmarks.servers import PostgresqlServer

MAX_BYTES = 8_000_000
"""Of the tables, deleted rows included: nothing vacuums them."""

TERMINATE = """SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
SCHEMA_AND_SIZE = """SELECT md5(concat_ws('/',
    string_agg(concat_ws(' ', relname, attrelid, attname, atttypid, attnotnull), ',' ORDER BY attrelid, attnum),
    (SELECT sum(oid::bigint) FROM pg_constraint),
    (SELECT sum(oid::bigint) FROM pg_trigger),
    (SELECT sum(oid::bigint) FROM pg_proc),
    (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database())
)), (SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"""
RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = %s ORDER BY oid"
RESTART = SQL("SELECT setval(quote_ident({}), {}, {})")


class Rows(NamedTuple):
    """All rows of a database."""

    tables: dict[str, bytes]
    """Rows by table, as COPY writes them."""
    restarts: Composed
    """Statements that set all sequences."""


class Used(NamedTuple):
    """A database with a connection by which it is emptied."""

    name: str
    connection: psycopg.Connection


class ReusedDatabases:
    """Databases with one schema, that of the state ``migrated``, and the rows of any state.

    Parameters
    ----------
    server : PostgresqlServer
    make : callable
        Makes the database that is named after a state, where it is not there yet.
    copy : callable
        Makes a database of a name as a copy of the one that is named after a state.
    drop : callable
        Removes the database of a name.
    """

    def __init__(
        self,
        server: PostgresqlServer,
        make: Callable[[str], None],
        copy: Callable[[str, str], str],
        drop: Callable[[str], None],
    ) -> None:
        self._server, self._make, self._copy, self._drop = server, make, copy, drop
        self._rows: dict[str, Rows] = {}
        self._free: list[Used] = []
        self._copies = 0
        self._schema = ""

    @contextmanager
    def database(self, state: str) -> Iterator[str]:
        """Yield the address of a database in a state."""
        if state not in self._rows:
            self._make(state)
            with self._connect(state) as connection:
                self._rows[state] = rows_of(connection)
        used = self._next()
        write(used.connection, self._rows[state])
        yield self._server.url(used.name)
        self._free.append(used)

    def close(self) -> None:
        """Close all connections."""
        for used in self._free:
            used.connection.close()

    def _next(self) -> Used:
        """Return a database whose schema and settings no test changed and which is not much larger than a new one."""
        while self._free:
            used = self._free.pop()
            try:
                used.connection.execute(TERMINATE)
            except psycopg.OperationalError:
                # A test cut every connection to its database.
                used = Used(used.name, self._connect(used.name))
                used.connection.execute(TERMINATE)
            schema, size = used.connection.execute(SCHEMA_AND_SIZE).fetchone() or ("", 0)
            if schema == self._schema and size < MAX_BYTES:
                return used
            used.connection.close()
            self._drop(used.name)
        self._copies += 1
        name = f"reused{self._copies}"
        self._copy(name, "migrated")
        used = Used(name, self._connect(name))
        self._schema, _ = used.connection.execute(SCHEMA_AND_SIZE).fetchone() or ("", 0)
        return used

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self._server.folder), user="postgres", dbname=name, autocommit=True)


def rows_of(connection: psycopg.Connection) -> Rows:
    """Return all rows of a database."""
    tables = dict.fromkeys(relations(connection, "r"), b"")
    for table in tables:
        with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
            tables[table] = b"".join(copy)
    restarts = []
    for sequence in relations(connection, "S"):
        last = connection.execute(SQL("SELECT last_value, is_called FROM {}").format(Identifier(sequence))).fetchone()
        restarts.append(RESTART.format(sequence, *(last or ())))
    return Rows(tables, SQL("; ").join(restarts))


def relations(connection: psycopg.Connection, kind: str) -> list[str]:
    """Return the names of tables (``r``) or sequences (``S``), those first that were made first."""
    return [name for (name,) in connection.execute(RELATIONS, (kind,))]


def write(connection: psycopg.Connection, rows: Rows) -> None:
    """Replace all rows of a database."""
    deletes = SQL("; ").join(SQL("DELETE FROM {}").format(Identifier(table)) for table in rows.tables)
    with connection.transaction():
        # Without the triggers that hold foreign keys.
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(deletes)
        for table, text in rows.tables.items():
            if text:
                with connection.cursor().copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
                    copy.write(text)
        connection.execute(rows.restarts)
