"""Folded-in lists in one process of the service: models loaded once for each run, lists kept while they hold.

Where a run's models cannot be loaded, lists are served as the night stored them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

import structlog
from sqlalchemy import Engine
from threadpoolctl import ThreadpoolController

from infra.db.engine import snapshot, transaction
from infra.errors import DatabaseError
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.serving.list_query import Taken
from infra.serving.online_model import ONLINE_MODEL, Folded, Folding

log = structlog.get_logger("xuelu.service")

Result = Literal["loaded", "missing", "other_code", "unreadable"]
RETRY_SECONDS: Final = 60.0
"""Models that could not be loaded are looked for again after this: a night keeps them just after it publishes."""
MOST_KEPT: Final = 5_000
"""Lists kept in memory, about 20 MB."""
LONGEST_KEPT_SECONDS: Final = 600.0
"""A kept list is made again after this: an event may tell a time that had not come yet."""


@dataclass(slots=True)
class _Held:
    """What is held of an organisation: the run, its models where they could be loaded, and when that was tried."""

    run_key: int
    path: Path
    tried_at: float
    folding: Folding | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    run_key: int
    trace: str
    made_at: datetime
    folded: Folded


class FoldedLists:
    """Lists made anew for members of whom something came since the night.

    Parameters
    ----------
    engine : Engine
    folder : Path
        Folder of artefacts.
    loaded : callable
        Told what became of each try to load a run's models.
    """

    def __init__(
        self, engine: Engine, folder: Path, *, loaded: Callable[[Result], None] = lambda _result: None
    ) -> None:
        self._engine, self._folder, self._loaded = engine, folder, loaded
        self._held: dict[int, _Held] = {}
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
        # One at a time: each takes what all models think of all items, and the interpreter from those who serve.
        # And on one core: threads of BLAS and OpenMP wait for each other longer than one list takes.
        one_core = partial(ThreadpoolController().limit, limits=1)
        self._threads = ThreadPoolExecutor(1, "fold-in", initializer=one_core)

    async def newest(self, organisation_key: int, taken: Taken, *, now: datetime) -> Taken:
        """Return a member's list with what came since the night; as the night stored it where nothing did.

        Raises
        ------
        UnknownMemberError, DatabaseError
        """
        folding = self._folding(organisation_key, taken)
        if folding is None or not folding.has_news(taken.member_id, trace := taken.trace):
            return taken
        if not self._held[organisation_key].path.exists():
            self._forget(organisation_key)
            return taken
        key = (organisation_key, taken.member_id)
        kept = self._kept.get(key)
        if not (
            kept is not None
            and (kept.run_key, kept.trace) == (taken.run_key, trace)
            and abs((now - kept.made_at).total_seconds()) < LONGEST_KEPT_SECONDS
        ):
            make = asyncio.get_running_loop().run_in_executor
            folded = await make(self._threads, self._fold, folding, organisation_key, taken.member_id, now)
            kept = self._kept[key] = _Kept(taken.run_key, trace, now, folded)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return taken._replace(strategy=kept.folded.strategy, entries=kept.folded.entries, fresh="folded-in")

    async def settle(self) -> None:
        """Wait until what is being loaded is there."""
        await asyncio.gather(*self._loading.values())

    async def close(self) -> None:
        """Stop."""
        await self.settle()
        self._threads.shutdown()

    def _folding(self, organisation_key: int, taken: Taken) -> Folding | None:
        """Return the models of the run that a list is from; None where they are not there, or not yet."""
        held = self._held.get(organisation_key)
        if held is not None and held.run_key == taken.run_key:
            if held.folding is not None:
                return held.folding
            if time.monotonic() - held.tried_at < RETRY_SECONDS:
                return None
        if organisation_key not in self._loading:
            path = artefacts.path_of(self._folder / taken.run_id, ONLINE_MODEL)
            # Those of the run before go first, so that both are never held.
            made = self._held[organisation_key] = _Held(taken.run_key, path, time.monotonic())
            task = self._loading[organisation_key] = asyncio.create_task(self._load(organisation_key, taken, made))
            task.add_done_callback(lambda _task: self._loading.pop(organisation_key, None))
        return None

    def _forget(self, organisation_key: int) -> None:
        """Drop what is gone from the folder: who was erased from what is kept is to be gone from here as well."""
        self._held[organisation_key].folding = None
        for key in [key for key in self._kept if key[0] == organisation_key]:
            del self._kept[key]

    async def _load(self, organisation_key: int, taken: Taken, held: _Held) -> None:
        result, held.folding = await asyncio.to_thread(self._read, organisation_key, taken)
        self._loaded(result)
        if result == "loaded":
            log.info("fold-in", run_id=taken.run_id, result=result)
        else:
            log.warning("no fold-in: lists are the night's", run_id=taken.run_id, result=result)

    def _read(self, organisation_key: int, taken: Taken) -> tuple[Result, Folding | None]:
        run = {"organisation_key": organisation_key, "run_key": taken.run_key}
        try:
            with transaction(self._engine) as session:
                recorded = steps.of_run(session, run).get(ONLINE_MODEL)
                made_by = runs.get(session, taken.run_key)["code_version"]
        except DatabaseError:
            return "unreadable", None
        if recorded is None:
            return "missing", None
        if made_by != code_version():
            return "other_code", None
        try:
            folding = artefacts.load(self._folder / taken.run_id, ONLINE_MODEL, recorded["artefact_digest"])
        except Exception:  # noqa: BLE001 - whatever a library of another version says; the night's lists are there
            return "unreadable", None
        return ("loaded", folding) if folding is not None else ("missing", None)

    def _fold(self, folding: Folding, organisation_key: int, member_id: str, now: datetime) -> Folded:
        with snapshot(self._engine) as session:
            known = folding.known(session, organisation_key, member_id, now=now)
        return folding.folded(known)
