"""Engines, sessions and the errors of a database."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from operator import methodcaller
from pathlib import Path
from typing import Any

import psycopg
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.orm import Session

from infra.errors import DatabaseError, DatabaseUnavailableError

SQLITE_PRAGMAS = (
    # First: the change to WAL may have to wait for another process.
    "PRAGMA busy_timeout = 30000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -200000",
    # Checkpoints at 8 MB of log rather than 4, and the undo log of statements in memory, not in a file.
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA temp_store = MEMORY",
    # What is deleted or replaced is overwritten in the file: an erasure cannot reach what lies in free pages.
    "PRAGMA secure_delete = ON",
)
TEXT_OF_BYTES = methodcaller("decode", "utf-8", "backslashreplace")
"""SQLite stores any bytes as a text; those that are no UTF-8, which another program wrote, fail no read."""

IN_MEMORY = (None, "", ":memory:")
# Bulk writes bypass SQLAlchemy, so its own errors do not cover theirs.
FAULTS = (DBAPIError, NoConnectionFreeError, sqlite3.Error, psycopg.Error)
SQLITE_OUTAGES = (
    "locked",
    "locking protocol",
    "unable to open",
    "disk i/o",
    "readonly",
    "interrupted",
    "out of memory",
)
TOO_MANY_PARAMETERS = "number of parameters"
"""In the message of libpq, which has no code."""
Explanation = tuple[type[DatabaseError], str]
EXPLANATIONS: dict[tuple[type[Exception], ...], Explanation | None] = {
    (
        psycopg.errors.ProgramLimitExceeded,  # an index entry or a statement that is too long
        psycopg.errors.StatementTooComplex,
        psycopg.errors.TooManyColumns,
        psycopg.errors.TooManyArguments,
    ): None,
    (psycopg.errors.DiskFull,): (DatabaseUnavailableError, "free some space on its disk"),
    (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable): (
        DatabaseUnavailableError,
        "another writer was in the way; try again",
    ),
    (psycopg.errors.ReadOnlySqlTransaction,): (
        DatabaseUnavailableError,
        "is it a standby? give the primary in database_url",
    ),
    (psycopg.errors.IdleInTransactionSessionTimeout, psycopg.errors.TransactionTimeout): (
        DatabaseUnavailableError,
        "raise idle_in_transaction_session_timeout or transaction_timeout for the user of database_url",
    ),
    (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement): (
        DatabaseError,
        "is a pooler in between? set its pool_mode to session",
    ),
    # No outage: another try takes as long, or may do as little.
    (psycopg.errors.QueryCanceled,): (DatabaseError, "ask for less, or raise request_timeout_seconds"),
    (psycopg.errors.InsufficientPrivilege,): (DatabaseError, "grant it to the user of database_url"),
    (NoConnectionFreeError, psycopg.OperationalError, psycopg.InterfaceError): (
        DatabaseUnavailableError,
        "is it running, and database_url right?",
    ),
}
"""Errors of PostgreSQL and its pool by kind, the narrower kinds first; None: a fault of a statement or its values."""
VIEW_FAULT = "error in view"
"""SQLite changes no table that a view names."""
MISSING = ("no such table", "no such column", "has no column named")


def make_engine(database_url: str, *, statement_seconds: float = 0.0) -> Engine:
    """Return an engine for a SQLite or PostgreSQL address.

    Parameters
    ----------
    statement_seconds : float
        PostgreSQL ends a statement that takes longer; 0: none.

    Raises
    ------
    DatabaseError
        The address is not one of SQLite or PostgreSQL.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(
            "database_url is no SQLAlchemy address; write sqlite:///xuelu.db or postgresql://…"
        ) from error
    backend = url.get_backend_name()
    if backend == "postgresql":
        if "@" in (url.host or ""):
            raise DatabaseError("database_url: its host has an @; write one of the user or the password as %40")
        engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        if statement_seconds:
            limit = f"SET statement_timeout = {round(1_000 * statement_seconds)}"
            event.listen(engine, "connect", lambda connection, _record: _set(connection, limit))
        return engine
    if backend != "sqlite":
        raise DatabaseError(f"database_url: {backend} is not supported; use sqlite or postgresql")
    # The connection used last comes first: the pages it read are still in its cache.
    engine = create_engine(url, **({} if url.database in IN_MEMORY else {"pool_use_lifo": True}))
    event.listen(engine, "do_connect", _refuse_missing_file)
    event.listen(engine, "connect", _prepare)
    return engine


def _set(connection: Any, setting: str) -> None:
    """Change a setting of a new connection: `options` of the address stay as they are, and poolers refuse them."""
    connection.execute(setting)
    connection.commit()


def _refuse_missing_file(_dialect: object, _record: object, arguments: list[Any], _options: dict[str, Any]) -> None:
    """Raise where there is no database file: SQLite would make an empty one, and a mistyped address a stray file."""
    path = str(arguments[0])
    if path != ":memory:" and not path.startswith("file:") and not Path(path).exists():
        raise DatabaseError("does not exist; run `xuelu init`, or check database_url", address=f"sqlite:///{path}")


def _prepare(connection: Any, _record: object) -> None:
    connection.text_factory = TEXT_OF_BYTES
    connection.create_function("crc32", 1, zlib.crc32, deterministic=True)
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


@contextmanager
def opened(database_url: str) -> Iterator[Engine]:
    """Open a database for as long as a command takes, and close its connections at the end."""
    engine = make_engine(database_url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Open a session that commits at the end, or rolls everything back.

    Raises
    ------
    DatabaseError
        As :func:`database_errors`.
    """
    with database_errors(engine), Session(engine) as session, session.begin():
        yield session


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """Open a session whose queries all see one state of the database.

    Raises
    ------
    DatabaseError
        As :func:`transaction`.
    """
    with transaction(engine) as session:
        if engine.dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        else:
            # The driver begins transactions at writes only.
            session.connection().exec_driver_sql("BEGIN")
        yield session


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Turn errors that the operator can do something about into one line; others are faults of xuelu and pass.

    Raises
    ------
    DatabaseUnavailableError
        The database cannot be reached, is locked, or its disk is full.
    DatabaseError
        The database is not at the newest migration, or is no database.
    """
    try:
        yield
    except FAULTS as error:
        explained = explain(error, address_of(engine))
        if explained is not None:
            raise explained from error
        if _is_missing(error):
            check_migrated(engine)
        raise


def explain(error: Exception, address: str = "") -> DatabaseError | None:
    """Return an error of the driver as one line; None where it is a fault of a statement or its values."""
    cause = getattr(error, "orig", None) or error
    line = first_line(cause)
    if isinstance(cause, sqlite3.Error):
        explanation = _explanation_of_sqlite(cause, line)
    elif TOO_MANY_PARAMETERS in line:
        explanation = None
    else:
        explanation = next((value for kinds, value in EXPLANATIONS.items() if isinstance(cause, kinds)), None)
    if explanation is None:
        return None
    kind, hint = explanation
    return kind(f"{line}; {hint}", address=address)


def _explanation_of_sqlite(cause: sqlite3.Error, line: str) -> Explanation | None:
    if "database or disk is full" in line:
        return DatabaseUnavailableError, "free some space on its disk"
    if isinstance(cause, sqlite3.OperationalError) and any(words in line.lower() for words in SQLITE_OUTAGES):
        return DatabaseUnavailableError, "is its disk full, its folder writable, the file free?"
    if line.startswith(VIEW_FAULT):
        return DatabaseError, "drop that view, run `xuelu init`, and create it again"
    return (DatabaseError, "check database_url") if type(cause) is sqlite3.DatabaseError else None


def _is_missing(error: Exception) -> bool:
    cause = getattr(error, "orig", None) or error
    undefined = psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn
    return isinstance(cause, undefined) or any(words in str(cause) for words in MISSING)


def check_migrated(engine: Engine) -> None:
    """Refuse a database whose tables are not at the newest migration.

    Raises
    ------
    DatabaseError
        They are not, or the database cannot be reached.
    """
    with database_errors(engine), migration_config() as config, engine.connect() as connection:
        newest = ScriptDirectory.from_config(config).get_current_head()
        current = MigrationContext.configure(connection).get_current_revision()
    if current != newest:
        raise DatabaseError(
            f"is at migration {current or 'none'}, not {newest}; run `xuelu init`", address=address_of(engine)
        )


@contextmanager
def migration_config() -> Iterator[Config]:
    """Open alembic's configuration with the folder of our migrations."""
    with as_file(files("infra.db") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        yield config


def address_of(engine: Engine) -> str:
    """Return an engine's address without its passwords."""
    passwords = [name for name in engine.url.query if "password" in name]
    return engine.url.difference_update_query(passwords).render_as_string(hide_password=True)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
