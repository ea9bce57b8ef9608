"""Report on an item: members who get it, and what became of it on push lists."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, insert, select, update

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import list_entries, lists
from infra.db.engine import transaction
from infra.errors import NotFoundError
from infra.policy import member_choices
from infra.reports.item_report import item_report
from infra.runs import list_contents
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import FAR, ON_SQLITE

Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(engine: Engine) -> Report:
    """Return the report of an item with groups of two members or more."""

    def report_of(item_id: str, min_group_size: int = 2) -> dict[str, Any]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            return item_report(session, key, item_id, min_group_size=min_group_size)

    return report_of


@pytest.fixture
def list_of(engine: Engine, served: dict[str, Any]) -> Callable[..., None]:
    """Return what gives the first of a strategy's members a list of items with the reason ``v1``."""

    def give(member_ids: list[str], *item_ids: str) -> None:
        entries = [
            {"item_id": item_id, "reason": {"code": "because", "arguments": {"item_id": "v1"}}} for item_id in item_ids
        ]
        own = {"organisation_key": served["organisation_key"], "entries_hash": "-".join(item_ids)}
        with transaction(engine) as session:
            session.execute(insert(list_entries).values(**own, entries=orjson.dumps(entries).decode()))
            of_run = (lists.c.run_key == served["run_key"]) & lists.c.member_id.in_(member_ids)
            session.execute(update(lists).where(of_run).values(strategy="history", entries_hash=own["entries_hash"]))

    return give


@pytest.fixture
def members(engine: Engine, served: dict[str, Any], list_of: Callable[..., None]) -> list[str]:
    """Return the members of the run, all of them with a list of ``o1`` alone."""
    with transaction(engine) as session:
        query = select(lists.c.member_id).where(lists.c.run_key == served["run_key"], lists.c.member_id != "")
        member_ids = [str(member_id) for member_id in session.scalars(query.order_by(lists.c.member_id))]
    list_of(member_ids, "o1")
    return member_ids


@pytest.mark.parametrize("item_id", ["v1", FAR[-1]])
def test_every_stored_list_with_the_item_counts(
    engine: Engine, served: dict[str, Any], report: Report, item_id: str
) -> None:
    with transaction(engine) as session:
        contents = list_contents.lists_of(session, served)
    held = contents.entries.map(lambda text: item_id in {entry["item_id"] for entry in orjson.loads(text)})
    holders = contents.hashes.drop("").map(held).sum()
    shown = report(item_id, 1)
    assert shown["members"] == holders > 0


def test_members_are_counted_whose_list_holds_the_item(
    members: list[str], list_of: Callable[..., None], report: Report, served: dict[str, Any]
) -> None:
    list_of(members[:3], "v1", "o2")
    list_of(members[3:8], "v1", "V2")
    v1 = report("v1")
    assert (v1["run_id"], v1["members"], v1["months"], v1["total"]) == (served["run_id"], 8, [], None)
    assert v1["by_strategy"] == [{"value": "history", "members": 8, "suppressed": False}]
    assert report("o2")["members"] == 3
    assert report("v2")["by_strategy"] == [], "v2 and V2 are two items"
    assert report("v3")["by_strategy"] == []


def test_few_members_with_the_item_and_few_without_it_have_no_figures(
    members: list[str], list_of: Callable[..., None], report: Report
) -> None:
    hidden = [{"value": "history", "members": None, "suppressed": True}]
    list_of(members[:3], "v1", "o2")
    assert report("v1", 4)["by_strategy"] == hidden
    assert report("o1", 4)["by_strategy"] == hidden, "all but three get it"
    assert report("o1", 4)["members"] == 0
    assert report("o1", 3)["by_strategy"][0]["members"] == len(members) - 3


def test_shown_opened_and_completed_are_counted_by_month(
    engine: Engine, served: dict[str, Any], report: Report, take: Callable[..., Any]
) -> None:
    with transaction(engine) as session:
        query = select(lists.c.member_id, lists.c.list_id).where(lists.c.run_key == served["run_key"])
        rows = session.execute(query.where(lists.c.member_id.like("d%")).order_by(lists.c.member_id)).all()[:4]
    lines = [f"{row.member_id},v1,shown,2026-03-02T09:00:00Z,{row.list_id}\n" for row in rows]
    lines += [
        f"{row.member_id},v1,{verb},2026-03-03T09:00:00Z,{row.list_id}\n"
        for row in rows[:2]
        for verb in ("viewed", "completed")
    ]
    take("events", "member_id,item_id,verb,occurred_at,push_list_id\n" + "".join(lines))
    v1 = report("v1")
    figures = {"lists": 4, "members": 4, "shown": 4, "opened": 2, "completed": 2, "dismissed": 0, "liked": 0}
    figures |= {"opened_rate": 0.5, "completed_rate": 0.5, "suppressed": False}
    assert v1["months"] == [{"value": "2026-03-01", **figures}]
    assert v1["total"] == {"value": "v1", **figures}
    assert report("v2")["total"] is None
    assert report("v1", 5)["total"]["shown"] is None


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("item_id", ["nope", "v1\x00"])
def test_an_unknown_item_has_no_report(report: Report, item_id: str) -> None:
    with pytest.raises(NotFoundError):
        report(item_id)


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_required_and_pinned_items_count_and_banned_ones_do_not(
    engine: Engine, take: Callable[..., Any], settings: Settings, now: datetime, report: Report
) -> None:
    take(
        "requirements",
        "requirement_id,items,target_roles,due_on\nrules,new;v1,83,2026-03-02\n",
    )
    take(
        "curations",
        "curation_id,action,items,target_roles,ends_at\n"
        f"pin,pin,{FAR[0]},4,2026-04-01T00:00:00Z\nban,ban,o1,,2026-04-01T00:00:00Z\n",
    )
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        member_choices.save(session, key, "c1", FAR[1], now=now)
    run = nightly(engine, settings, now=now)
    with transaction(engine) as session:
        everybody = catalog.existing_ids(session, key)["member_id"]
        request = ListRequest(100, now)
        shown = push_lists.shown_many(session, key, [*everybody], request)
    for item_id in ("new", "v1", FAR[0], FAR[1], "o1"):
        holders = [name for name, body in shown.items() if item_id in {item["item_id"] for item in body["items"]}]
        assert report(item_id, 1)["members"] == len(holders), item_id
    assert run["run_id"] == report("new", 1)["run_id"]
