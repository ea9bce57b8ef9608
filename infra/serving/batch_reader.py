"""The service's own connections for reading stored lists, past SQLAlchemy's cost for each query.

The database is asked for many members at once: those whose requests came while it answered the question before.
"""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, cast

import orjson
import psycopg
from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects import sqlite

from infra.catalog.store import NUL
from infra.errors import DatabaseError
from infra.serving.list_query import Taken, lists_of

CONNECTIONS, MOST_AT_ONCE = 2, 64
"""Of PostgreSQL: two, so that one batch is on its way while another is told."""
TIMEOUT_SECONDS = 10.0
FAULTS: Final = (sqlite3.Error, psycopg.Error, OSError, UnicodeError)
"""TimeoutError is one of OSError."""
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


Row = Sequence[Any]
Waiting = list[tuple[str, "asyncio.Future[Taken | None]"]]


class Reader(ABC):
    """Reads what is stored for members, in batches: for all who asked since the batch before began.

    So each is told what was committed before it asked, and a question's fixed cost is shared.
    """

    def __init__(self, dialect: Dialect, *, at_once: int = 1) -> None:
        compiled = lists_of(dialect.name).compile(dialect=dialect, compile_kwargs=LITERALS)
        self._lists, self._given = str(compiled), dict(compiled.params)
        self._at_once = at_once
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, Waiting] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def taken(self, organisation_key: int, member_id: str) -> Taken | None:
        """Return what is stored for a member; None where the organisation has no such member.

        Raises
        ------
        DatabaseError
        """
        if NUL in member_id:
            return None
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.get_running_loop()  # it asks the operating system for the process each time
        loop = self._loop
        future: asyncio.Future[Taken | None] = loop.create_future()
        self._waiting.setdefault(organisation_key, []).append((member_id, future))
        if len(self._workers) < self._at_once:
            self._workers.add(loop.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        """Answer those who wait, until nobody does."""
        try:
            while self._waiting:
                await self._answer_some()
        finally:
            # Here and not when the task is done, which is later: who asks in between must find a place free.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answer_some(self) -> None:
        organisation_key = next(iter(self._waiting))
        waiting = self._waiting.pop(organisation_key)
        batch, left = waiting[:MOST_AT_ONCE], waiting[MOST_AT_ONCE:]
        if left:
            self._waiting[organisation_key] = left  # behind the other organisations
        try:
            rows = await self._ask(organisation_key, list({member_id for member_id, _ in batch}))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must be told
            await self._forget()
            told = str(error).strip().partition("\n")[0] or "no answer in time"
            away = DatabaseError(f"database: {told}; is it running, and has `xuelu init` been run?")
            for _, future in batch:
                if not future.done():
                    future.set_exception(away if isinstance(error, FAULTS) else error)
            return
        found = {row[0]: Taken(*row) for row in rows}
        for member_id, future in batch:
            if not future.done():  # whoever waited may be gone
                future.set_result(found.get(member_id))

    @abstractmethod
    async def _ask(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        """Return the rows of some members."""

    @abstractmethod
    async def _forget(self) -> None:
        """Close the connections that nobody uses: after a fault of the database they are of no use either."""

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._forget()


def make_reader(engine: Engine) -> Reader:
    """Return the reader for an engine's database; nothing is opened yet."""
    return SqliteReader(engine) if engine.dialect.name == "sqlite" else PostgresqlReader(engine)


class SqliteReader(Reader):
    """Reads from a SQLite file, here and now: it answers in microseconds, so no thread is asked to."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(sqlite.dialect(paramstyle="named"))
        self._engine = engine
        self._connection: sqlite3.Connection | None = None

    async def _ask(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        if self._connection is None:
            pooled = self._engine.raw_connection()
            self._connection = cast("sqlite3.Connection", pooled.driver_connection)
            pooled.detach()
        asked = {**self._given, "organisation_key": organisation_key, "members": orjson.dumps(member_ids).decode()}
        return self._connection.execute(self._lists, asked).fetchall()

    async def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresqlReader(Reader):
    """Reads from a PostgreSQL database: while it answers one batch, the lists of another are told."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.dialect, at_once=CONNECTIONS)
        self._url = engine.url.set(drivername="postgresql")
        self._idle: list[psycopg.AsyncConnection[Any]] = []

    async def _ask(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            connection = self._idle.pop() if self._idle else await self._connected()
            asked = {**self._given, "organisation_key": organisation_key, "members": member_ids}
            try:
                rows = await (await connection.execute(self._lists, asked)).fetchall()
            except BaseException:
                await connection.close()
                raise
            self._idle.append(connection)
            return rows

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url.render_as_string(hide_password=False), autocommit=True, prepare_threshold=0, options=PLANS
        )

    async def _forget(self) -> None:
        while self._idle:
            await self._idle.pop().close()
