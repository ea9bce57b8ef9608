"""Two organisations with the same ids in one database do not see each other."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.errors import NoPublishedRunError, UnknownMemberError
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.ingest.doctor import examine
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take

OTHER = "bakers"


@pytest.fixture
def bakers(settings: Settings, take: Take, served: dict[str, Any]) -> Settings:
    """Return the settings of a second organisation with ids of the first one, and a life of its own."""
    del served
    take("items", "item_id,title,language\nv1,Bread,en\nv2,Cake,en\nv3,Rolls,en\n", organisation=OTHER)
    take("members", "member_id,role,language\nd1,75,en\nd2,75,en\nd3,75,en\nonly-here,75,en\n", organisation=OTHER)
    take(
        "events",
        "event_id,member_id,item_id,verb,occurred_at\n"
        "d1-0,d1,v1,completed,2026-02-25T06:00:00Z\n"
        "d2-0,d2,v2,completed,2026-02-25T07:00:00Z\n"
        "d3-0,d3,v1,completed,2026-02-25T08:00:00Z\n",
        organisation=OTHER,
    )
    return settings.model_copy(update={"organisation": OTHER})


def test_an_event_id_of_one_organisation_is_free_in_another(engine: Engine, bakers: Settings) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, bakers.organisation)
        query = select(func.count()).select_from(events).where(events.c.event_id == "d1-0")
        assert session.scalar(query) == 2
        assert session.scalar(query.where(events.c.organisation_key == key)) == 1


def test_what_an_organisation_studied_is_all_that_its_night_learns_from(
    engine: Engine, bakers: Settings, settings: Settings, now: datetime
) -> None:
    with transaction(engine) as session:
        own, other = (
            load_interactions(
                session,
                organisations.key_of(session, organisation_settings.organisation),
                organisation_settings,
                as_of=now,
            )
            for organisation_settings in (bakers, settings)
        )
    assert list(own.members.index) == ["", "d1", "d2", "d3", "only-here"]
    assert (list(own.items.index), len(own.cells)) == (["v1", "v2", "v3"], 3)
    assert (len(other.members), len(other.items), len(other.cells)) == (24, 17, 61)


def test_importing_for_one_organisation_changes_no_figure_and_no_digest_of_another(
    engine: Engine, settings: Settings, take: Take, now: datetime, served: dict[str, Any]
) -> None:
    before = examine(engine, settings, now=now)
    take("items", "item_id,title\nv1,Bread\n", organisation=OTHER)
    take("members", "member_id,role\nd1,75\n", organisation=OTHER)
    take(
        "events",
        "event_id,member_id,item_id,verb,occurred_at,voided_event_id\nd1-0,d1,v1,viewed,2026-02-25,\n"
        "x,,,voided,2026-02-25,d2-0\n",
        organisation=OTHER,
        auto_create=True,
    )
    assert examine(engine, settings, now=now) == before
    assert nightly(engine, settings, now=now)["data_digest"] == served["data_digest"]


def test_figures_are_those_of_one_organisation(engine: Engine, bakers: Settings, now: datetime) -> None:
    figures = examine(engine, bakers, now=now)["figures"]
    figure_names = (
        "members",
        "items",
        "events",
        "thin_members",
        "items_never_studied",
        "imported_lines",
        "unresolved_events",
    )
    assert [figures[name] for name in figure_names] == [4, 3, 3, 4, 1, 10, 0]


@ON_SQLITE
def test_the_same_member_has_another_list_in_each_organisation(
    engine: Engine, bakers: Settings, settings: Settings, now: datetime
) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, bakers.organisation)
        with pytest.raises(NoPublishedRunError):
            runs.latest(session, key)
    nightly(engine, bakers, now=now)
    with transaction(engine) as session:
        own, other = (
            push_lists.shown(
                session,
                organisations.key_of(session, organisation_settings.organisation),
                "d1",
                ListRequest(n=100, now=now),
            )
            for organisation_settings in (bakers, settings)
        )
        similar = push_lists.similar(session, key, "v1", n=100, now=now)
        with pytest.raises(UnknownMemberError):
            push_lists.shown(session, key, "c1", ListRequest(n=1, now=now))
        with pytest.raises(UnknownMemberError):
            catalog.member(session, organisations.key_of(session, settings.organisation), "only-here")
    assert [(item["item_id"], item["title"]) for item in own["items"]] == [("v2", "Cake"), ("v3", "Rolls")]
    assert {item["item_id"] for item in similar["items"]} <= {"v2", "v3"}
    assert len(other["items"]) == 12
    assert other["items"][0]["title"].startswith("安全驾驶第")
    assert own["run_id"] != other["run_id"]


def test_waiting_for_a_member_of_another_organisation_is_still_waiting(engine: Engine, take: Take) -> None:
    take("members", "member_id\nm1\n")
    take("items", "item_id\ni1\n")
    done = take("events", "member_id,item_id,verb,occurred_at\nm1,i1,viewed,2026-02-25\n", organisation=OTHER)
    assert done.unresolved == 1
    with transaction(engine) as session:
        key = organisations.key_of(session, OTHER)
        assert {name: len(ids) for name, ids in catalog.existing_ids(session, key).items()} == {
            "item_id": 0,
            "member_id": 0,
        }
