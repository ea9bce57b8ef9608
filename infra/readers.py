"""The service's own connections for reading stored lists, past SQLAlchemy's cost for each query.

A local SQLite file answers in microseconds, so it is asked where the request is. PostgreSQL is asked for all members at
once whose requests came while it answered the question before.
"""

import asyncio
import sqlite3
from typing import Any, Protocol

import psycopg
from sqlalchemy import Engine, Select

from infra.catalog import NUL
from infra.errors import DatabaseError
from infra.shelf import Taken, lists_of, settled_of

MOST_AT_ONCE = 200
TIMEOUT_SECONDS = 10.0
PLANS = " ".join(
    f"-c {setting}"
    for setting in (
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "enable_material=off",
        "jit=off",
        "plan_cache_mode=force_generic_plan",
    )
)
"""Both queries go by keys, whatever the planner thinks of tables that were written and not analysed yet."""


class Reader(Protocol):
    """Reads what is stored for members."""

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """Return what is stored for a member; None where the organisation has no such member.

        Raises
        ------
        DatabaseError
        """

    async def close(self) -> None:
        """Close the connection."""


def make_reader(engine: Engine) -> Reader:
    """Return the reader for an engine's database; nothing is opened yet."""
    return SqliteReader(engine) if engine.dialect.name == "sqlite" else PostgresqlReader(engine)


def _compiled(engine: Engine, query: Select[Any]) -> tuple[str, dict[str, Any], list[str]]:
    """Return a query's text, the parameters that it brings along, and the order of all of them by name."""
    compiled: Any = query.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
    return str(compiled), dict(compiled.params), compiled.positiontup or []


class SqliteReader:
    """Reads from a SQLite file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._lists = _compiled(engine, lists_of("one"))
        self._settled = _compiled(engine, settled_of("one"))

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """See :class:`Reader`."""
        asked = {"organisation_key": organisation_key, "member": member_id}
        try:
            connection = self._connection = self._connection or self._open()
            row = _ask(connection, self._lists, asked).fetchone()
            done = _ask(connection, self._settled, asked).fetchall() if row else ()
        except sqlite3.Error as error:
            await self.close()
            raise DatabaseError(f"database: {error}; has `xuelu init` been run?") from error
        return Taken.of(row, [item_id for _, item_id in done]) if row else None

    def _open(self) -> sqlite3.Connection:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        return connection

    async def close(self) -> None:
        """See :class:`Reader`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _ask(
    connection: sqlite3.Connection, query: tuple[str, dict[str, Any], list[str]], asked: dict[str, Any]
) -> sqlite3.Cursor:
    text, given, order = query
    return connection.execute(text, [asked[name] if name in asked else given[name] for name in order])


Waiting = dict[str, "asyncio.Future[Taken | None]"]


class PostgresqlReader:
    """Reads from a PostgreSQL database, in batches."""

    def __init__(self, engine: Engine) -> None:
        self._url = engine.url.set(drivername="postgresql")
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._lists, self._given_lists, _ = _compiled(engine, lists_of("many"))
        self._settled, self._given_settled, _ = _compiled(engine, settled_of("many"))
        self._waiting: dict[int, Waiting] = {}
        self._worker: asyncio.Task[None] | None = None

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """See :class:`Reader`."""
        if NUL in member_id:
            return None
        waiting = self._waiting.setdefault(organisation_key, {})
        if (future := waiting.get(member_id)) is None:
            future = waiting[member_id] = asyncio.get_running_loop().create_future()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asyncio.shield(future)

    async def _work(self) -> None:
        """Answer those who wait, until nobody does."""
        while self._waiting:
            organisation_key, waiting = next(iter(self._waiting.items()))
            batch = {member_id: waiting.pop(member_id) for member_id in list(waiting)[:MOST_AT_ONCE]}
            del self._waiting[organisation_key]
            if waiting:
                self._waiting[organisation_key] = waiting  # behind the other organisations
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    found = await self._ask(organisation_key, list(batch))
            except (psycopg.Error, OSError, TimeoutError, UnicodeError) as error:
                await self.close()
                told = str(error).strip().partition("\n")[0] or "no answer in time"
                for future in batch.values():
                    future.set_exception(DatabaseError(f"database: {told}; is it running?"))
                    future.exception()  # whoever waited may be gone
                continue
            for member_id, future in batch.items():
                future.set_result(found.get(member_id))

    async def _ask(self, organisation_key: int, member_ids: list[str]) -> dict[str, Taken]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url.render_as_string(hide_password=False), autocommit=True, prepare_threshold=0, options=PLANS
            )
        asked = {"organisation_key": organisation_key, "members": member_ids}
        rows = await (await self._connection.execute(self._lists, self._given_lists | asked)).fetchall()
        pairs = await (await self._connection.execute(self._settled, self._given_settled | asked)).fetchall()
        done: dict[str, set[str]] = {}
        for member_id, item_id in pairs:
            done.setdefault(member_id, set()).add(item_id)
        return {row[0]: Taken.of(row, done.get(row[0], ())) for row in rows}

    async def close(self) -> None:
        """See :class:`Reader`."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()
