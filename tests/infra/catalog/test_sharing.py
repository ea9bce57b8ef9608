"""Items that one organisation shares with all others."""

from datetime import datetime

import pytest
from sqlalchemy import Engine, and_, select

from infra.catalog import organisations, records, sharing
from infra.catalog import store as catalog
from infra.db import catalog_version
from infra.db.core_tables import events as event_table
from infra.db.core_tables import items
from infra.db.engine import transaction
from infra.errors import NotFoundError
from infra.events import unresolved
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take


@pytest.fixture
def bakers(take: Take, settings: Settings, engine: Engine) -> Settings:
    """Return the settings of an organisation beside one that shares some of its items."""
    take(
        "items",
        "item_id,title,audience,target_roles,shared,hidden\n"
        "s1,Ovens,,,true,\ns2,Fire,open,,true,\n"
        "s3,Private,,,,\ns4,For drivers,restricted,83,true,\nb1,Theirs,,,true,\n",
    )
    own = settings.model_copy(update={"organisation": "bakers"})
    take("items", "item_id,title\nb1,Bread\nb2,Cake\n", organisation="bakers")
    take("members", "member_id,language\nm1,en\nm2,en\nm3,en\n", organisation="bakers")
    accept(engine, own)
    return own


def accept(engine: Engine, settings: Settings, *, accepts: bool = True) -> None:
    """Accept shared items, or refuse them."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        sharing.set_accepts_shared(session, key, accepts=accepts)


def test_shared_items_are_refused_until_they_are_accepted(engine: Engine, bakers: Settings, take: Take) -> None:
    take("items", "item_id,title\nw1,Wood\n", organisation="carpenters")
    with transaction(engine) as session:
        versions = [session.scalar(select(catalog_version.total()))]
        for name, ids in (("carpenters", ["w1"]), ("bakers", ["b1", "b2", "s1", "s2"])):
            key = organisations.key_of(session, name)
            assert sorted(catalog.read(session, key, "items").index) == ids
            assert sharing.accepts_shared(session, key) is (name == "bakers")
    accept(engine, bakers, accepts=False)
    with transaction(engine) as session:
        key = organisations.key_of(session, "bakers")
        assert sorted(catalog.read(session, key, "items").index) == ["b1", "b2"]
        with pytest.raises(NotFoundError):
            records.read(session, key, "items", "s1")
        versions.append(session.scalar(select(catalog_version.total())))
    assert versions[1] > versions[0], "caches notice"


def test_an_organisation_reads_its_own_items_and_those_that_are_shared(engine: Engine, bakers: Settings) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, bakers.organisation)
        assert catalog.read(session, key, "items")["title"].to_dict() == {
            "b1": "Bread",
            "b2": "Cake",
            "s1": "Ovens",
            "s2": "Fire",
        }
        assert sorted(catalog.existing_ids(session, key)["item_id"]) == ["b1", "b2", "s1", "s2"]
        assert [row["item_id"] for row in records.page(session, key, "items", after="b1", limit=2)] == ["b2", "s1"]
        assert records.read(session, key, "items", "s1")["title"] == "Ovens"
        assert records.read(session, key, "items", "b1")["title"] == "Bread"
        for hidden in ("s3", "s4"):
            with pytest.raises(NotFoundError):
                records.read(session, key, "items", hidden)
            with pytest.raises(NotFoundError):
                catalog.check_item(session, key, hidden)


def test_only_its_owner_can_change_a_shared_item(engine: Engine, bakers: Settings) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, bakers.organisation)
        owner = organisations.key_of(session, "default")
        assert records.read_for_update(session, key, "items", "s1") is None
        assert records.read_for_update(session, owner, "items", "s1") is not None
        records.remove(session, key, "items", "s1")
        assert records.read(session, key, "items", "s1")["title"] == "Ovens"
        records.remove(session, owner, "items", "s1")
        with pytest.raises(NotFoundError):
            records.read(session, key, "items", "s1")


def test_events_of_shared_items_count_and_do_not_wait(
    engine: Engine, bakers: Settings, take: Take, now: datetime
) -> None:
    log = "member_id,item_id,verb,occurred_at\nm1,s1,completed,2026-02-25\nm2,s3,completed,2026-02-25\n"
    assert take("events", log, organisation="bakers").unresolved == 1
    with transaction(engine) as session:
        key = organisations.key_of(session, bakers.organisation)
        assert unresolved.count(session, key) == 1
        assert len(load_interactions(session, key, bakers, as_of=now).cells) == 1
        assert unresolved.create(session, key, unresolved.unknown_ids(session, key), now=now) == (0, 1)
        assert records.read(session, key, "items", "s1")["title"] == "Ovens", "no undescribed item hides the shared one"


def test_the_night_of_another_organisation_recommends_shared_items_until_their_owner_hides_them(
    engine: Engine, bakers: Settings, take: Take, now: datetime
) -> None:
    take(
        "events",
        "member_id,item_id,verb,occurred_at\nm1,s1,completed,2026-02-25\nm2,s1,completed,2026-02-26\n",
        organisation="bakers",
    )
    nightly(engine, bakers, now=now)

    def offered() -> set[str]:
        with transaction(engine) as session:
            key = organisations.key_of(session, bakers.organisation)
            return {
                item["item_id"] for item in push_lists.shown(session, key, "m3", ListRequest(n=10, now=now))["items"]
            }

    assert offered() == {"s1", "s2", "b1", "b2"}
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        records.write(session, owner, "items", {**records.read(session, owner, "items", "s1"), "hidden": True}, now=now)
    assert offered() == {"s2", "b1", "b2"}


@ON_SQLITE
def test_an_event_finds_its_visible_item_by_indexes(engine: Engine) -> None:
    """A scan of all items for each event took 7 s for 20,000 events and 5,000 items."""
    query = select(event_table.c.event_id).join(
        items, and_(sharing.visible(1), items.c.item_id == event_table.c.item_id)
    )
    statement = query.where(event_table.c.organisation_key == 1).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    assert sum("USING INDEX ix_items_shared (item_id=?)" in step for step in plan) == 2
    assert [step for step in plan if step.startswith("SCAN")] == []
