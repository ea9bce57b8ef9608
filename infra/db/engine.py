"""Engines, sessions and migrations."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.orm import Session

from infra.db import catalog_version
from infra.errors import DatabaseError

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 30000",
    "PRAGMA cache_size = -200000",
    # Checkpoints at 8 MB of log rather than 4, and what may have to be undone of a statement in memory, not in a file.
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA temp_store = MEMORY",
)
IN_MEMORY = (None, "", ":memory:")
# Rows in bulk go past SQLAlchemy, so its own errors do not cover theirs.
FAULTS = (DBAPIError, NoConnectionFreeError, sqlite3.Error, psycopg.Error)


def make_engine(database_url: str, *, statement_seconds: float = 0.0) -> Engine:
    """Return an engine for a SQLite or PostgreSQL address.

    Parameters
    ----------
    database_url : str
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
        limit = {"options": f"-c statement_timeout={round(1_000 * statement_seconds)}"}
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=limit)
    if backend != "sqlite":
        raise DatabaseError(f"database_url: {backend} is not supported; use sqlite or postgresql")
    # The connection used last comes first: what it read of the file is still in its cache.
    engine = create_engine(url, **({} if url.database in IN_MEMORY else {"pool_use_lifo": True}))

    @event.listens_for(engine, "connect")
    def _prepare(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # a DB-API connection has no type of its own
        for pragma in SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    return engine


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
        The database cannot be reached, has no tables yet, or refuses what is asked of it.
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
        yield session


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Tell faults of the database as one line.

    Raises
    ------
    DatabaseError
        The database cannot be reached, has no tables yet, or refuses what is asked of it.
    """
    try:
        yield
    except FAULTS as error:
        raise DatabaseError(
            f"database {_shown(engine)}: {_first_line(error)}; is it running, and has `xuelu init` been run?"
        ) from error


def migrate(engine: Engine) -> None:
    """Bring the database's tables to the newest migration."""
    try:
        with _config() as config, engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            catalog_version.install(connection)
    except FAULTS as error:
        raise DatabaseError(f"database {_shown(engine)}: {_first_line(error)}; check database_url") from error


def check_migrated(engine: Engine) -> None:
    """Do nothing where the tables are at the newest migration.

    Raises
    ------
    DatabaseError
        They are not, or the database cannot be reached.
    """
    try:
        with _config() as config, engine.connect() as connection:
            head = ScriptDirectory.from_config(config).get_current_head()
            found = MigrationContext.configure(connection).get_current_revision()
    except FAULTS as error:
        raise DatabaseError(f"database {_shown(engine)}: {_first_line(error)}; check database_url") from error
    if found != head:
        raise DatabaseError(
            f"database {_shown(engine)} is at migration {found or 'none'}, not {head}; run `xuelu init`"
        )


@contextmanager
def _config() -> Iterator[Config]:
    with as_file(files("infra.db") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        yield config


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0]
