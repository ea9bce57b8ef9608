"""Batched reader of stored lists, over the service's own connections.

One query answers all requests that came in while the query before it ran, so its fixed cost is shared.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
import psycopg
from sqlalchemy import Compiled, Engine, make_url
from sqlalchemy.dialects import sqlite

from infra.catalog.store import NUL
from infra.db.engine import database_errors, first_line
from infra.errors import DatabaseUnavailableError
from infra.serving.list_query import StoredList, stored_lists

if TYPE_CHECKING:
    import sqlite3

CONNECTIONS: Final = 2
"""Connections to PostgreSQL: while one batch is under way, the rows of another are rendered."""
BATCH_MEMBERS: Final = 64
TIMEOUT_SECONDS: Final = 10.0
COMPILE_OPTIONS: Final = {"render_postcompile": True}
PLANNER_SETTINGS: Final = "; ".join(
    f"SET {setting}"
    for setting in (
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "enable_material=off",
        "jit=off",
        "plan_cache_mode=force_generic_plan",
    )
)
"""Make PostgreSQL look rows up by key, whatever it estimates of tables that it has not analysed yet."""


Row = Sequence[Any]
Waiting = list[tuple[str, "asyncio.Future[StoredList | None]"]]


@cache
def _compiled(name: str) -> Compiled:
    """Return the query for a dialect, compiled once for all services of this process."""
    dialect = sqlite.dialect(paramstyle="named") if name == "sqlite" else make_url(f"{name}+psycopg://").get_dialect()()
    return stored_lists(name).compile(dialect=dialect, compile_kwargs=COMPILE_OPTIONS)


class Reader(ABC):
    """Batched reader: each batch answers all requests that arrived since the batch before began.

    So a request sees everything that was committed before it came.
    """

    def __init__(self, engine: Engine, shown_times: int, *, parallel: int = 1) -> None:
        self._engine = engine
        compiled = _compiled(engine.dialect.name)
        self._query, self._parameters = str(compiled), {**compiled.params, "shown_times": shown_times}
        self._parallel = parallel
        self._waiting: dict[int, Waiting] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def stored_list(self, organisation_key: int, member_id: str) -> StoredList | None:
        """Return a member's list of the published run; None where the organisation has no such member.

        Raises
        ------
        DatabaseError
        """
        if NUL in member_id:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[StoredList | None] = loop.create_future()
        self._waiting.setdefault(organisation_key, []).append((member_id, future))
        if len(self._workers) < self._parallel:
            self._workers.add(loop.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        """Answer requests until none waits."""
        try:
            while self._waiting:
                await self._answer_batch()
        finally:
            # Here and not when the task is done, which is later: a request in between must find a place free.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answer_batch(self) -> None:
        organisation_key = next(iter(self._waiting))
        waiting = self._waiting.pop(organisation_key)
        batch, left = waiting[:BATCH_MEMBERS], waiting[BATCH_MEMBERS:]
        if left:
            self._waiting[organisation_key] = left  # behind the other organisations
        try:
            with database_errors(self._engine):
                rows = await self._rows(organisation_key, list({member_id for member_id, _ in batch}))
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiting request must be answered
            await self._reset()
            away = DatabaseUnavailableError(f"{first_line(error)}; is it running?")  # no answer in time, for one
            for _, future in batch:
                if not future.done():
                    future.set_exception(away if isinstance(error, OSError) else error)
            return
        stored = {row[0]: StoredList(*row) for row in rows}
        for member_id, future in batch:
            if not future.done():  # its request may have been cancelled
                future.set_result(stored.get(member_id))

    @abstractmethod
    async def _rows(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        """Return the rows of some members."""

    @abstractmethod
    async def _reset(self) -> None:
        """Close what a fault of the database may have broken."""

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._reset()


def make_reader(engine: Engine, shown_times: int = 0) -> Reader:
    """Return the reader for an engine's database; nothing is opened yet.

    ``shown_times`` is the setting ``policy.fatigue_shown``.
    """
    kind = SqliteReader if engine.dialect.name == "sqlite" else PostgresqlReader
    return kind(engine, shown_times)


class SqliteReader(Reader):
    """Reader of a SQLite file, on the event loop: a query takes microseconds, less than a change of threads."""

    def __init__(self, engine: Engine, shown_times: int) -> None:
        super().__init__(engine, shown_times)
        self._connection: sqlite3.Connection | None = None

    async def _rows(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        if self._connection is None:
            pooled = self._engine.raw_connection()
            self._connection = cast("sqlite3.Connection", pooled.driver_connection)
            pooled.detach()
        values = {"organisation_key": organisation_key, "members": orjson.dumps(member_ids).decode()}
        return self._connection.execute(self._query, {**self._parameters, **values}).fetchall()

    async def _reset(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresqlReader(Reader):
    """Reader of a PostgreSQL database, over connections of its own.

    Not a pool of psycopg_pool: that retries in the background, so a request would wait for its time-out where the
    database is away, instead of failing at once.
    """

    def __init__(self, engine: Engine, shown_times: int) -> None:
        super().__init__(engine, shown_times, parallel=CONNECTIONS)
        _, self._address = engine.dialect.create_connect_args(engine.url)
        self._idle: list[psycopg.AsyncConnection[Any]] = []

    async def _rows(self, organisation_key: int, member_ids: list[str]) -> Sequence[Row]:
        values = {**self._parameters, "organisation_key": organisation_key, "members": member_ids}
        async with asyncio.timeout(TIMEOUT_SECONDS):
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                rows = await (await connection.execute(self._query, values)).fetchall()
            except BaseException:
                await connection.close()
                raise
            self._idle.append(connection)
            return rows

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(**self._address, autocommit=True, prepare_threshold=0)
        await connection.execute(PLANNER_SETTINGS, prepare=False)
        return connection

    async def _reset(self) -> None:
        while self._idle:
            await self._idle.pop().close()
