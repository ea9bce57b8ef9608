"""Reads and caches of the service: display names of organisations, within bounds."""

import asyncio
import sqlite3
from datetime import datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from infra.serving.batch_reader import SqliteReader
from infra.serving.list_json import ListRequest
from infra.serving.push_list_service import MetadataCache, PushListService
from tests.conftest import ON_SQLITE

pytestmark = pytest.mark.usefixtures("served")


@ON_SQLITE
def test_items_that_requests_read_at_the_same_time_are_cached_together(engine: Engine) -> None:
    cache = MetadataCache(engine)
    first, second = cache.read(1, {"v1"}), cache.read(1, {"o1"})
    for names in (first, second):
        cache.put(1, names)
    cached = cache.get(1, first.version)
    assert cached is first
    assert set(cached.items) == set(cached.rules) == {"v1", "o1"}


@ON_SQLITE
def test_names_of_an_older_catalogue_replace_no_newer_ones(engine: Engine, take: Any) -> None:
    cache = MetadataCache(engine)
    older = cache.read(1, {"v1"})
    take("items", "item_id,title\nv1,Another\n")
    newer = cache.read(1, {"v1"})
    for names in (newer, older):
        cache.put(1, names)
    assert cache.get(1, newer.version) is newer
    assert cache.get(1, newer.version + 1) is None


@ON_SQLITE
def test_the_least_recently_used_organisations_go_first(engine: Engine) -> None:
    cache = MetadataCache(engine, max_items=3)
    for organisation_key, item_ids in ((1, {"v1"}), (2, {"v1"}), (3, {"v1"})):
        cache.put(organisation_key, cache.read(organisation_key, item_ids))
    assert cache.get(1, 0) is not None
    cache.put(4, cache.read(4, {"v2"}))
    assert [organisation for organisation in (1, 2, 3, 4) if cache.get(organisation, 0)] == [1, 3, 4]


@ON_SQLITE
def test_lists_are_right_where_nothing_fits_into_the_cache(engine: Engine, now: datetime) -> None:
    async def answers() -> list[Any]:
        service = PushListService(engine)
        service._metadata = MetadataCache(engine, max_items=0)
        request = ListRequest(n=10, now=now)
        bodies = await asyncio.gather(*(service.push_list(1, name, request) for name in ("d1", "c1")))
        await service.close()
        return [orjson.loads(body) for body in bodies]

    assert [body["member_id"] for body in asyncio.run(answers())] == ["d1", "c1"]


@ON_SQLITE
def test_the_query_is_prepared_once_whatever_its_values(engine: Engine) -> None:
    asked: list[int] = []  # SQLite asks its authoriser whenever it prepares a statement, and never while it runs one

    def allow(*action: Any) -> int:
        asked.append(action[0])
        return sqlite3.SQLITE_OK

    async def read() -> None:
        reader = SqliteReader(engine, shown_times=0)
        await reader.stored_list(1, "d1")
        assert reader._connection is not None
        reader._connection.set_authorizer(allow)
        await reader.stored_list(1, "d1")
        assert asked
        asked.clear()
        assert await reader.stored_list(1, "c1")
        await reader.close()

    asyncio.run(read())
    assert not asked
