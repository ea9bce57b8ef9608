"""The service's own connections for reading stored lists, past SQLAlchemy's cost for each query.

A local SQLite file answers in microseconds, so it is asked where the request is. PostgreSQL is asked for many members
at once: those whose requests came while it answered the questions before.
"""

import asyncio
import sqlite3
from typing import Any, Final, Protocol, cast

import psycopg
from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite import dialect

from infra.catalog import NUL
from infra.errors import DatabaseError
from infra.shelf import Taken, lists_of

CONNECTIONS, MOST_AT_ONCE = 2, 64
"""Of PostgreSQL: two, so that one batch is on its way while another is told."""
TIMEOUT_SECONDS = 10.0
MAPPED_BYTES = 1 << 40
"""As much of a SQLite file as the library allows: pages are read where the operating system keeps them, not anew after
every write of another connection."""
LITERALS: Final = {"render_postcompile": True}
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
"""The query goes by keys, whatever the planner thinks of tables that were written and not analysed yet."""


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


class SqliteReader:
    """Reads from a SQLite file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        compiled = lists_of("one").compile(dialect=dialect(paramstyle="named"), compile_kwargs=LITERALS)
        self._lists, self._given = str(compiled), dict(compiled.params)

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """See :class:`Reader`."""
        asked = {**self._given, "organisation_key": organisation_key, "member": member_id}
        try:
            connection = self._connection = self._connection or self._open()
            row = connection.execute(self._lists, asked).fetchone()
        except sqlite3.Error as error:
            await self.close()
            raise DatabaseError(f"database: {error}; has `xuelu init` been run?") from error
        return Taken.of(row) if row else None

    def _open(self) -> sqlite3.Connection:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        return connection

    async def close(self) -> None:
        """See :class:`Reader`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


Waiting = dict[str, "asyncio.Future[Taken | None]"]


class PostgresqlReader:
    """Reads from a PostgreSQL database, in batches: while it answers one, the lists of another are told."""

    def __init__(self, engine: Engine) -> None:
        self._url = engine.url.set(drivername="postgresql")
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        compiled = lists_of("many").compile(dialect=engine.dialect, compile_kwargs=LITERALS)
        self._lists, self._given = str(compiled), dict(compiled.params)
        self._waiting: dict[int, Waiting] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """See :class:`Reader`."""
        if NUL in member_id:
            return None
        waiting = self._waiting.setdefault(organisation_key, {})
        if (future := waiting.get(member_id)) is None:
            future = waiting[member_id] = asyncio.get_running_loop().create_future()
        if len(self._workers) < CONNECTIONS:
            self._workers.add(asyncio.create_task(self._work()))
        return await asyncio.shield(future)

    async def _work(self) -> None:
        """Answer those who wait, until nobody does."""
        try:
            while self._waiting:
                await self._answer_some()
        finally:
            # Here and not when the task is done, which is later: who asks in between must find a place free.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answer_some(self) -> None:
        organisation_key, waiting = next(iter(self._waiting.items()))
        batch = {member_id: waiting.pop(member_id) for member_id in list(waiting)[:MOST_AT_ONCE]}
        del self._waiting[organisation_key]
        if waiting:
            self._waiting[organisation_key] = waiting  # behind the other organisations
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                found = await self._ask(organisation_key, list(batch))
        except (psycopg.Error, OSError, TimeoutError, UnicodeError) as error:
            await self._forget()
            told = str(error).strip().partition("\n")[0] or "no answer in time"
            for future in batch.values():
                future.set_exception(DatabaseError(f"database: {told}; is it running?"))
                future.exception()  # whoever waited may be gone
            return
        for member_id, future in batch.items():
            future.set_result(found.get(member_id))

    async def _ask(self, organisation_key: int, member_ids: list[str]) -> dict[str, Taken]:
        connection = self._idle.pop() if self._idle else await self._connected()
        asked = {**self._given, "organisation_key": organisation_key, "members": member_ids}
        try:
            rows = await (await connection.execute(self._lists, asked)).fetchall()
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return {row[0]: Taken.of(row) for row in rows}

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url.render_as_string(hide_password=False), autocommit=True, prepare_threshold=0, options=PLANS
        )

    async def _forget(self) -> None:
        """Close the connections that nobody uses: after a fault of the database they are of no use either."""
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """See :class:`Reader`."""
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._forget()
