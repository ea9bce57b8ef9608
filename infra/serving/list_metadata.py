"""Push lists as the service answers them: from its own connections, with what items are called kept in memory."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, exists, func, select

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db import catalog_version
from infra.db.core_tables import members as people
from infra.db.core_tables import runs as nights
from infra.db.engine import transaction
from infra.serving import list_json, list_query
from infra.serving.batch_reader import make_reader
from infra.serving.list_json import Asked, Names
from infra.serving.list_query import Taken, entry_of
from infra.serving.online_lists import FoldedLists
from infra.serving.push_lists import IMPERSONAL, named

VERSION = select(catalog_version.total())
MOST_FACES = 200_000
"""Faces of items that are kept for one organisation."""


@dataclass(frozen=True, slots=True)
class Book:
    """What was read of an organisation's catalogue at one version; of an item that is not there it holds None."""

    version: int
    names: Names
    faces: dict[str, Mapping[str, Any] | None]


class Lists:
    """Push lists of all organisations. Never older than the last commit: one question tells list, member and version.

    ``served`` is told the strategy of each list, and whether it is the night's. ``folded`` makes lists anew after news.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        served: Callable[[str, str], None] = lambda _strategy, _fresh: None,
        folded: FoldedLists | None = None,
    ) -> None:
        self._engine = engine
        self._served = served
        self._folded = folded
        self._reader = make_reader(engine)
        self._books: dict[int, Book] = {}
        self._general: dict[tuple[int, int], Taken] = {}

    async def shown(self, organisation_key: int, member_id: str, asked: Asked) -> bytes:
        """Return a member's push list from the published run, as JSON.

        Raises
        ------
        UnknownMemberError, NoPublishedRunError, DatabaseError
        """
        taken = list_query.checked(await self._reader.taken(organisation_key, member_id), member_id)
        if self._folded is not None and taken.wanted:
            taken = await self._folded.newest(organisation_key, taken, now=asked.now)
        if taken.entries is None or (not taken.wanted and taken.strategy != IMPERSONAL):
            taken = await self._for_anyone(organisation_key, taken)
        self._served(taken.strategy or "", taken.fresh)
        places, book = taken.places, self._books.get(organisation_key)
        if book is not None and book.version >= taken.catalogue_version:
            # Told before, mostly, and then nothing is left to look up.
            with suppress(KeyError):
                return list_json.rendered(taken, places, book.names, asked)
        names = await self._names(
            organisation_key, taken.catalogue_version, named([entry_of(place) for place in places])
        )
        return list_json.rendered(taken, places, names, asked)

    async def warm(self, asked: Asked) -> int:
        """Read what the first request of each organisation would wait for; return how many there are.

        Raises
        ------
        DatabaseError
        """
        members = await asyncio.to_thread(self._one_of_each)
        for organisation_key, member_id in members:
            await self.shown(organisation_key, member_id, asked)
        if self._folded is not None:
            await self._folded.settle()
        return len(members)

    def _one_of_each(self) -> list[tuple[int, str]]:
        """Return a member of each organisation that has a published run."""
        member_id = func.min(people.c.member_id)
        served = exists().where(nights.c.organisation_key == people.c.organisation_key, nights.c.status == "published")
        with transaction(self._engine) as session:
            query = select(people.c.organisation_key, member_id).where(served).group_by(people.c.organisation_key)
            return [(key, name) for key, name in session.execute(query)]

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()
        if self._folded is not None:
            await self._folded.close()

    async def _for_anyone(self, organisation_key: int, taken: Taken) -> Taken:
        key = (organisation_key, taken.run_key)
        if key not in self._general:
            self._general = {known: made for known, made in self._general.items() if known[0] != organisation_key}
            self._general[key] = await asyncio.to_thread(self._read_general, organisation_key, taken)
        made = self._general[key]
        return taken._replace(list_id=made.list_id, strategy=made.strategy, entries=made.entries)

    def _read_general(self, organisation_key: int, taken: Taken) -> Taken:
        with transaction(self._engine) as session:
            return list_json.general(session, organisation_key, taken)

    async def _names(self, organisation_key: int, version: int, item_ids: set[str]) -> Names:
        """Return what items and codes are called, at this version or a later one."""
        book = self._books.get(organisation_key)
        if book is None or book.version < version or not book.faces.keys() >= item_ids:
            book = await asyncio.to_thread(self._read_names, organisation_key, book, list(item_ids))
        return book.names

    def _read_names(self, organisation_key: int, known: Book | None, item_ids: list[str]) -> Book:
        with transaction(self._engine) as session:
            version = session.execute(VERSION).scalar_one()
            if known is None or known.version != version or len(known.faces) > MOST_FACES:
                # The version first: what is read after it is as new or newer.
                faces: dict[str, Mapping[str, Any] | None] = {}
                known = Book(version, Names(faces, organisations.taxonomies(session, organisation_key)), faces)
            missing = [item_id for item_id in item_ids if item_id not in known.faces]
            found = catalog.display_items(session, organisation_key, missing)
        known.faces.update((item_id, found.get(item_id)) for item_id in missing)
        self._books[organisation_key] = known
        return known
