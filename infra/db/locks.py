"""Lock that lets an organisation run one night at a time; it is released when its process ends, even by a kill."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from infra.db.engine import database_errors
from infra.errors import DatabaseError, NightRunningError
from infra.file_modes import FILE_MODE

LOCK_NAMESPACE = "xuelu night"
ENDING = "-night.lock"
PATIENCE_SECONDS = 5.0
"""Longest wait for the lock: PostgreSQL releases that of a killed process a moment late."""


class NightLock:
    """A held lock; on PostgreSQL it lives in a connection of its own."""

    def __init__(self, engine: Engine, connection: Connection | None = None) -> None:
        self._engine, self._connection = engine, connection

    def check(self) -> None:
        """Refuse to go on where the lock was lost.

        Raises
        ------
        DatabaseError
            The connection that held it is gone, so that another night may have begun.
        """
        if self._connection is not None:
            with database_errors(self._engine):
                self._connection.execute(text("SELECT 1"))


@contextmanager
def night_lock(engine: Engine, organisation: str) -> Iterator[NightLock]:
    """Hold the lock of an organisation's night.

    Raises
    ------
    NightRunningError
        Another process holds it.
    DatabaseError
        The database cannot be reached.
    """
    held = _on_postgresql if engine.dialect.name == "postgresql" else _on_sqlite
    with held(engine, organisation) as lock:
        yield lock


@contextmanager
def _on_postgresql(engine: Engine, organisation: str) -> Iterator[NightLock]:
    digest = hashlib.sha256(f"{LOCK_NAMESPACE} {organisation}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with database_errors(engine):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not _try_lock(engine, connection, key):
            if time.monotonic() > until:
                raise _running(organisation)
            time.sleep(PATIENCE_SECONDS / 50)
        yield NightLock(engine, connection)
    finally:
        # The server notices a closed connection a moment later, and the next night may begin before that.
        if not connection.invalidated:
            with suppress(DatabaseError), database_errors(engine):
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        # Closed for good, not handed back to the pool: the lock belongs to the connection.
        connection.invalidate()
        connection.close()


def _try_lock(engine: Engine, connection: Connection, key: int) -> bool:
    with database_errors(engine):
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())


@contextmanager
def _on_sqlite(engine: Engine, organisation: str) -> Iterator[NightLock]:
    """Hold a lock on a file beside the database: SQLite has no lock that lets others write and dies with its holder."""
    database = engine.url.database
    if not database or database == ":memory:":
        yield NightLock(engine)
        return
    path = Path(f"{Path(database).resolve()}{ENDING}")  # one of all links to the file, as SQLite's own
    try:
        # For its owner alone: an account that may open it can hold the lock, and so stop the nights.
        opened = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE), "wb")
    except OSError as error:
        raise DatabaseError(f"lock file {path}: {error.strerror}; its folder must exist and be writable") from error
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _running(organisation) from error
        yield NightLock(engine)


def _running(organisation: str) -> NightRunningError:
    return NightRunningError(
        f"another night of organisation {organisation!r} is at work; wait for its end, or stop its process"
    )
