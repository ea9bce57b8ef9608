"""Migrations: each change of the tables whole or not at all, by one process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect

from infra.db import catalog_version
from infra.db.engine import IN_MEMORY, address_of, database_errors, migration_config
from infra.errors import DatabaseError
from infra.file_modes import FILE_MODE

LOCK_KEY = 7_204_911_870_523_641
"""Key of the advisory lock that migrations hold on PostgreSQL."""

COPY_PREFIX = "_alembic_tmp_"
"""Beginning of the name of alembic's copy of a table that it changes on SQLite; the table's own name follows."""


def migrate(engine: Engine) -> None:
    """Bring the database's tables to the newest migration; make the file of a SQLite database.

    Raises
    ------
    DatabaseError
        As :func:`changing`.
    """
    with changing(engine) as config:
        upgrade(config)


def upgrade(config: Config, revision: str = "head") -> None:
    """Bring the tables of a database that is being changed to a migration, the newest by default."""
    command.upgrade(config, revision)
    if revision == "head":
        catalog_version.install(config.attributes["connection"])


@contextmanager
def changing(engine: Engine) -> Iterator[Config]:
    """Open a transaction that changes tables and rows, all or nothing; make the file of a SQLite database.

    Yields
    ------
    Config
        Alembic's configuration; its attribute ``connection`` is the connection of the transaction.

    Raises
    ------
    DatabaseError
        The database cannot be used, or is at a migration that this version does not know.
    """
    _make_file(engine)
    with _explained(engine), migration_config() as config, engine.connect() as connection, _exclusive(connection):
        config.attributes["connection"] = connection
        yield config
        if engine.dialect.name == "sqlite":
            _check_references(connection, address_of(engine))
        connection.commit()


def _make_file(engine: Engine) -> None:
    """Make an empty SQLite database that only its owner reads, where there is none."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or path in IN_MEMORY or path is None or path.startswith("file:"):
        return
    try:
        os.close(os.open(Path(path), os.O_CREAT | os.O_RDWR, FILE_MODE))
    except OSError as error:
        raise DatabaseError(
            f"unable to open database file: {error.strerror}; check database_url", address=address_of(engine)
        ) from error


@contextmanager
def _exclusive(connection: Connection) -> Iterator[None]:
    """Hold off other migrations, in a transaction that covers changes of tables as well."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
        yield
        return
    # A table that others refer to is copied and dropped; the references are checked at the end.
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    # The driver begins no transaction for DDL, so that a killed process would leave half a migration.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        _drop_leftovers(connection)
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def _drop_leftovers(connection: Connection) -> None:
    """Drop half-made copies of tables: a killed upgrade of versions up to 0.1.0 left them, and they stop all others.

    A copy whose table is gone holds its rows, and stays.
    """
    names = {*inspect(connection).get_table_names()}
    for name in names:
        if name.startswith(COPY_PREFIX) and name.removeprefix(COPY_PREFIX) in names:
            connection.exec_driver_sql(f'DROP TABLE "{name}"')


def _check_references(connection: Connection, address: str) -> None:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if dangling:
        raise DatabaseError(
            f"rows refer to ones that do not exist, such as {tuple(dangling[0])}; nothing was changed", address=address
        )


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        with database_errors(engine):
            yield
    except CommandError as error:
        raise DatabaseError(
            f"{error}: it was made by a newer version of xuelu; use that version", address=address_of(engine)
        ) from error
