"""Online lists in one process of the service: a cache of loaded models, and of the lists computed by them.

Where a run's model cannot be loaded, lists are served as the run stored them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from threadpoolctl import get_cached_controller

from infra.db.engine import snapshot, transaction
from infra.errors import DatabaseError
from infra.runs import store as runs
from infra.serving.list_query import StoredList
from infra.serving.online_model import LoadResult, ModelSource, OnlineList, OnlineModel, load, models_of, path_of

log = structlog.get_logger("xuelu.service")

Outcome = TypeVar("Outcome")
RETRY_SECONDS: Final = 60.0
"""Models that could not be loaded are looked for again after this: a run stores them just after it publishes."""
MAX_MODEL_BYTES: Final = 2 << 30
"""Size of the artefacts of all models that one process holds; beyond it the least recently used goes."""
MAX_LISTS: Final = 5_000
"""Cached lists, about 20 MB."""
LIST_SECONDS: Final = 600.0
"""A cached list is computed again after this: an event may name a time that had not come yet."""


@dataclass(slots=True)
class _Load:
    """A try to load the model of an organisation's run."""

    run_key: int
    path: Path
    tried_at: float
    version: tuple[int, int] | None
    model: OnlineModel | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class _CachedList:
    """A computed list, and its inputs: key of the run, digest of the member's events, topics that it deleted."""

    inputs: tuple[int, str, str]
    made_at: datetime
    online: OnlineList


class OnlineLists:
    """Lists computed online for members with events after the run.

    Parameters
    ----------
    folder : Path
        Folder of artefacts.
    loaded : callable
        Called with the result of each try to load a model.
    """

    def __init__(
        self, engine: Engine, folder: Path, *, loaded: Callable[[LoadResult], None] = lambda _result: None
    ) -> None:
        self._engine, self._folder, self._loaded = engine, folder, loaded
        self._loads: OrderedDict[int, _Load] = OrderedDict()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._lists: OrderedDict[tuple[int, str], _CachedList] = OrderedDict()
        # One thread: a list scores all items by all models, and other requests wait for the interpreter meanwhile.
        # One core: threads of BLAS and OpenMP wait for each other longer than one list takes.
        self._threads = ThreadPoolExecutor(
            1, "online-lists", initializer=lambda: get_cached_controller().limit(limits=1)
        )

    async def newest(self, organisation_key: int, stored: StoredList, *, now: datetime) -> StoredList:
        """Return a member's list by all events until now; the stored one where there are none after the run.

        Raises
        ------
        UnknownMemberError, DatabaseError
        """
        model = self._model(organisation_key, stored)
        digest, deleted = stored.event_digest, stored.deleted_topics
        if model is None or not model.is_outdated(stored.member_id, digest, deleted):
            return stored
        load = self._loads[organisation_key]
        if load.version != _version_of(load.path):
            self._forget(organisation_key)
            self._model(organisation_key, stored)  # begins to load the new one
            return stored
        key, inputs = (organisation_key, stored.member_id), (stored.run_key, digest, deleted)
        cached = self._lists.get(key)
        if cached is None or cached.inputs != inputs or abs((now - cached.made_at).total_seconds()) >= LIST_SECONDS:
            run = asyncio.get_running_loop().run_in_executor
            online = await run(self._threads, self._compute, model, organisation_key, stored.member_id, now)
            cached = self._lists[key] = _CachedList(inputs, now, online)
            if len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)
        return stored._replace(strategy=cached.online.strategy, entries=cached.online.entries, generated_by="online")

    async def compute(self, work: Callable[[ModelSource], Outcome]) -> Outcome:
        """Return the outcome of work that needs the models of runs, done when no list is being computed."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, self._models_of)

    def _models_of(self, session: Session, run: dict[str, Any]) -> OnlineModel:
        """Return the models of a run: those in memory, or those of its artefact.

        Raises
        ------
        ModelsGoneError
        """
        held = self._loads.get(run["organisation_key"])
        if held and held.model and held.run_key == run["run_key"] and held.version == _version_of(held.path):
            return held.model
        return models_of(session, self._folder, run)

    async def settle(self) -> None:
        """Wait until the models that are being loaded are there."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        """Stop."""
        await self.settle()
        self._threads.shutdown()

    def _model(self, organisation_key: int, stored: StoredList) -> OnlineModel | None:
        """Return the model of the run that a list is from; None where it is not there, or not yet."""
        load = self._loads.get(organisation_key)
        if load is not None and load.run_key == stored.run_key:
            if load.model is not None:
                self._loads.move_to_end(organisation_key)
                return load.model
            if time.monotonic() - load.tried_at < RETRY_SECONDS:
                return None
        if organisation_key not in self._tasks:
            path = path_of(self._folder, stored.run_id)
            # The model of the run before goes first, so that both are never held.
            load = _Load(stored.run_key, path, time.monotonic(), _version_of(path))
            self._loads[organisation_key] = load
            task = self._tasks[organisation_key] = asyncio.create_task(self._load(organisation_key, stored, load))
            task.add_done_callback(lambda _task: self._tasks.pop(organisation_key, None))
        return None

    def _forget(self, organisation_key: int) -> None:
        """Drop a model whose artefact was replaced or removed, and its lists: a member was erased from it."""
        del self._loads[organisation_key]
        for key in [key for key in self._lists if key[0] == organisation_key]:
            del self._lists[key]

    async def _load(self, organisation_key: int, stored: StoredList, load: _Load) -> None:
        result, load.model, load.size = await asyncio.to_thread(self._read, stored)
        self._loaded(result)
        if result == "loaded":
            log.info("online model loaded", run_id=stored.run_id)
            self._loads.move_to_end(organisation_key)
            self._evict()
        else:
            log.warning("no online model: lists are those of the run", run_id=stored.run_id, result=result)

    def _evict(self) -> None:
        """Drop the least recently used models until the others fit; the newest one stays."""
        total = sum(load.size for load in self._loads.values())
        for organisation_key in list(self._loads)[:-1]:
            if total <= MAX_MODEL_BYTES:
                return
            total -= self._loads.pop(organisation_key).size

    def _read(self, stored: StoredList) -> tuple[LoadResult, OnlineModel | None, int]:
        try:
            with transaction(self._engine) as session:
                result, model = load(session, self._folder, runs.get(session, stored.run_key))
        except DatabaseError:
            return "unreadable", None, 0
        size = path_of(self._folder, stored.run_id).stat().st_size if model is not None else 0
        return result, model, size

    def _compute(self, model: OnlineModel, organisation_key: int, member_id: str, now: datetime) -> OnlineList:
        with snapshot(self._engine) as session:
            interactions = model.interactions(session, organisation_key, member_id, now=now)
        return model.recommend(interactions)


def _version_of(path: Path) -> tuple[int, int] | None:
    """Return inode and time of change, which differ once a file is replaced; None where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
