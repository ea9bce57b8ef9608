"""Push lists of the service: from its own connections, with display names cached in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Engine, exists, func, select

from infra.db.core_tables import members as member_table
from infra.db.core_tables import runs as run_table
from infra.db.engine import transaction
from infra.runs import store as runs
from infra.serving import display_metadata, list_query
from infra.serving.batch_reader import make_reader
from infra.serving.display_metadata import DisplayNames
from infra.serving.list_json import ListRequest, render
from infra.serving.list_query import StoredList
from infra.serving.online_lists import OnlineLists

MAX_ITEMS: Final = 200_000
"""Items whose display names are cached, over all organisations; beyond it the least recently used organisation goes."""


class MetadataCache:
    """Display names by organisation, each at one version of the catalogue.

    Parameters
    ----------
    max_items : int
        See :data:`MAX_ITEMS`.
    """

    def __init__(self, engine: Engine, *, max_items: int = MAX_ITEMS) -> None:
        self._engine = engine
        self._max_items = max_items
        self._names: OrderedDict[int, DisplayNames] = OrderedDict()

    def get(self, organisation_key: int, version: int) -> DisplayNames | None:
        """Return the cached names of an organisation, if they are of this version of the catalogue or a later one."""
        names = self._names.get(organisation_key)
        if names is None or names.version < version:
            return None
        self._names.move_to_end(organisation_key)
        return names

    def read(self, organisation_key: int, item_ids: set[str]) -> DisplayNames:
        """Return the present names of an organisation with some items among them; :meth:`put` caches them."""
        cached = self._names.get(organisation_key)
        with transaction(self._engine) as session:
            return display_metadata.current(session, organisation_key, sorted(item_ids), cached)

    def put(self, organisation_key: int, names: DisplayNames) -> None:
        """Cache the names of an organisation, and drop the least recently used ones until the others fit.

        Requests that read at the same time each bring the items of their own list: they are put together.
        """
        cached = self._names.get(organisation_key)
        if cached is None or cached.version < names.version:
            self._names[organisation_key] = names
        elif cached is not names and cached.version == names.version:
            cached.rules.update(names.rules)
            cached.items.update(names.items)
            cached.topics.update(names.topics)
        self._names.move_to_end(organisation_key)
        total = sum(len(names.items) for names in self._names.values())
        while total > self._max_items:
            _, dropped = self._names.popitem(last=False)
            total -= len(dropped.items)


class PushListService:
    """Push lists of all organisations, never older than the last commit: one query reads list, member and version.

    Parameters
    ----------
    served : callable
        Called with the strategy of each list that is served, and with what generated it.
    online : OnlineLists, optional
        Computes lists of members with events after the run.
    shown_times : int
        The setting ``policy.fatigue_shown``.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        served: Callable[[str, str], None] = lambda _strategy, _generated_by: None,
        online: OnlineLists | None = None,
        shown_times: int = 0,
    ) -> None:
        self._engine = engine
        self._served = served
        self._online = online
        self._reader = make_reader(engine, shown_times)
        self._metadata = MetadataCache(engine)
        self._general: dict[int, StoredList] = {}

    async def push_list(self, organisation_key: int, member_id: str, request: ListRequest) -> bytes:
        """Return a member's push list from the published run, as JSON.

        Raises
        ------
        UnknownMemberError, NoPublishedRunError, DatabaseError
        """
        stored = list_query.checked(await self._reader.stored_list(organisation_key, member_id), member_id)
        if self._online is not None and stored.wants_personal:
            stored = await self._online.newest(organisation_key, stored, now=request.now)
        if list_query.needs_general(stored):
            stored = await self._with_general_list(organisation_key, stored)
        self._served(stored.strategy or "", stored.generated_by)
        names = self._metadata.get(organisation_key, stored.catalogue_version)
        if names is not None:
            with suppress(KeyError):  # an item that is not cached: mostly all are
                return render(stored, names, request)
        names = await asyncio.to_thread(self._metadata.read, organisation_key, stored.item_ids)
        self._metadata.put(organisation_key, names)
        return render(stored, names, request)

    async def warm(self, request: ListRequest) -> int:
        """Read what the first request of each organisation would wait for; return the number of organisations.

        Raises
        ------
        DatabaseError
        """
        members = await asyncio.to_thread(self._member_of_each_organisation)
        for organisation_key, member_id in members:
            await self.push_list(organisation_key, member_id, request)
        if self._online is not None:
            await self._online.settle()
        return len(members)

    def _member_of_each_organisation(self) -> list[tuple[int, str]]:
        """Return a member of each organisation that has a published run."""
        published = exists().where(
            run_table.c.organisation_key == member_table.c.organisation_key, run_table.c.status == "published"
        )
        query = (
            select(member_table.c.organisation_key, func.min(member_table.c.member_id))
            .where(published)
            .group_by(member_table.c.organisation_key)
        )
        with transaction(self._engine) as session:
            return [(organisation_key, member_id) for organisation_key, member_id in session.execute(query)]

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()
        if self._online is not None:
            await self._online.close()

    async def _with_general_list(self, organisation_key: int, stored: StoredList) -> StoredList:
        """Return a stored list with the run's list for anyone in its place."""
        general = self._general.get(organisation_key)
        if general is None or general.run_key != stored.run_key:
            general = await asyncio.to_thread(self._read_general, organisation_key, stored)
            self._general[organisation_key] = general
        return stored.with_list_of(general)

    def _read_general(self, organisation_key: int, stored: StoredList) -> StoredList:
        run = {"organisation_key": organisation_key, "run_key": stored.run_key}
        with transaction(self._engine) as session:
            return stored._replace(generated_by="batch").with_list(runs.push_list(session, run, runs.ANYONE))
