"""Rates of push lists, attributed to list, run, strategy and slice."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from infra.catalog import organisations
from infra.db.core_tables import lists
from infra.db.engine import transaction
from infra.reports import analytics
from infra.reports.push_rates import Slice
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.training.data import load_interactions
from tests.conftest import Take

HEAD = "event_id,member_id,item_id,verb,occurred_at,progress,push_list_id,voided_event_id\n"


@pytest.fixture
def list_of(engine: Engine, served: dict[str, Any]) -> Callable[[str], str]:
    """Return what tells the id of a member's list."""
    del served

    def list_id_of(member_id: str) -> str:
        with transaction(engine) as session:
            return session.execute(select(lists.c.list_id).where(lists.c.member_id == member_id)).scalar_one()

    return list_id_of


def rates(engine: Engine, by: Slice, **period: date) -> dict[str | None, dict[str, Any]]:
    """Return rates by the value of a slice."""
    with transaction(engine) as session:
        rows = analytics.rates(session, organisations.key_of(session, "default"), by=by, min_group_size=1, **period)
    return {row.pop("value"): row for row in rows}


@pytest.fixture
def push_events(take: Take, list_of: Callable[[str], str]) -> None:
    """Tell of three lists: of a driver and a clerk with history, and of nobody in particular."""
    driver, clerk, anyone = list_of("d1"), list_of("c1"), list_of("")
    rows = [
        f"f1,d1,v5,shown,2026-03-02T08:00:00Z,,{driver},",
        f"f2,d1,v5,shown,2026-03-02T09:00:00Z,,{driver},",
        f"f3,d1,v5,viewed,2026-03-02T09:01:00Z,,{driver},",
        f"f4,d1,v5,progressed,2026-03-02T09:09:00Z,0.97,{driver},",
        f"f5,d1,v6,shown,2026-03-02T08:00:00Z,,{driver},",
        f"f6,d1,v6,dismissed,2026-03-02T08:05:00Z,,{driver},",
        f"f7,c1,o4,viewed,2026-03-03T08:00:00Z,,{clerk},",
        f"f8,c1,o4,liked,2026-03-03T08:00:00Z,,{clerk},",
        f"f9,unknown,v1,shown,2026-03-03T08:00:00Z,,{anyone},",
        f"f10,new-driver,v1,shown,2026-03-03T08:00:00Z,,{anyone},",
        f"f11,new-driver,v1,completed,2026-03-03T08:09:00Z,1,{anyone},",
        "f12,d1,v4,shown,2026-03-02T08:00:00Z,,no-such-list,",
        "f13,d1,v4,viewed,2026-03-02T08:00:00Z,,,",
        f"f14,c1,o5,viewed,2026-03-03T08:00:00Z,,{clerk},",
        "f15,,,voided,2026-03-03T09:00:00Z,,,f14",
    ]
    take("events", HEAD + "\n".join(rows) + "\n")


@pytest.mark.usefixtures("push_events")
def test_entries_count_once_for_the_strategy_of_their_list(engine: Engine) -> None:
    by_strategy = rates(engine, "strategy")
    assert by_strategy["history"] == {
        "lists": 2,
        "members": 2,
        "shown": 2,
        "opened": 2,
        "completed": 1,
        "dismissed": 1,
        "liked": 1,
        "opened_rate": 0.5,
        "completed_rate": 0.5,
        "suppressed": False,
    }
    assert (
        by_strategy["popular"]["lists"],
        by_strategy["popular"]["shown"],
        by_strategy["popular"]["opened_rate"],
    ) == (1, 2, 0.5)
    assert set(by_strategy) == {"history", "popular"}


@pytest.mark.usefixtures("push_events")
def test_entries_are_attributed_to_run_member_and_item(engine: Engine, served: dict[str, Any]) -> None:
    by_run = rates(engine, "run_id")
    assert list(by_run) == [served["run_id"]]
    assert (by_run[served["run_id"]]["lists"], by_run[served["run_id"]]["shown"]) == (3, 4)
    by_role = rates(engine, "role")
    assert list(by_role) == [None, "41", "83"]
    assert (by_role["83"]["shown"], by_role["83"]["completed"], by_role["83"]["opened_rate"]) == (3, 2, 2 / 3)
    assert rates(engine, "format")["video"]["shown"] == 4


@pytest.mark.usefixtures("push_events")
def test_where_nothing_was_shown_there_is_no_rate(engine: Engine) -> None:
    clerk = rates(engine, "role")["41"]
    assert (clerk["shown"], clerk["opened"], clerk["opened_rate"], clerk["completed_rate"]) == (0, 1, None, None)


@pytest.mark.usefixtures("push_events")
def test_months_count_whole_and_an_entry_in_the_month_of_its_first_event(
    engine: Engine, take: Take, list_of: Callable[[str], str]
) -> None:
    take("events", HEAD + f"f20,d1,v5,completed,2026-04-02T08:00:00Z,,{list_of('d1')},\n")
    march = rates(engine, "strategy", since=date(2026, 3, 1), until=date(2026, 4, 1))
    assert march == rates(engine, "strategy")
    assert march == rates(engine, "strategy", since=date(2026, 3, 31), until=date(2026, 3, 2))
    assert rates(engine, "strategy", since=date(2026, 4, 1)) == {}
    assert rates(engine, "strategy", until=date(2026, 3, 1)) == {}


@pytest.mark.usefixtures("push_events")
def test_rates_are_by_item_and_by_unit_too(engine: Engine, take: Take) -> None:
    take("members", "member_id,units\nd1,North/Depot 3;South\n")
    assert {item: row["shown"] for item, row in rates(engine, "item").items()} == {"o4": 0, "v1": 2, "v5": 1, "v6": 1}
    by_unit = rates(engine, "unit")
    assert (by_unit["North/Depot 3"]["shown"], by_unit["South"]["shown"]) == (2, 2)


@pytest.mark.usefixtures("push_events")
def test_events_of_others_and_of_unknown_members_count_for_no_list(
    engine: Engine, take: Take, list_of: Callable[[str], str]
) -> None:
    before = rates(engine, "strategy")
    lines = [f"a{n},c{n},v5,viewed,2026-03-02T08:00:00Z,,{list_of('d1')}," for n in (1, 2, 3)]
    lines += [f"b{n},invented{n},v1,shown,2026-03-02T08:00:00Z,,{list_of('')}," for n in range(9)]
    take("events", HEAD + "\n".join(lines) + "\n")
    assert rates(engine, "strategy") == before


@pytest.mark.parametrize(
    "event",
    ["dismissed,2026-03-02T08:00:00Z,", "completed,2026-03-02T08:00:00Z,", "progressed,2026-03-02T08:00:00Z,0.95"],
)
@pytest.mark.usefixtures("served")
def test_what_a_member_finished_or_dismissed_is_gone_from_the_next_list(
    engine: Engine, take: Take, now: datetime, event: str
) -> None:
    def shown() -> list[str]:
        with transaction(engine) as session:
            push_list = push_lists.shown(
                session, organisations.key_of(session, "default"), "c1", ListRequest(n=5, now=now)
            )
        return [item["item_id"] for item in push_list["items"]]

    first, second, *others = shown()
    verb, rest = event.split(",", 1)
    take("events", f"event_id,member_id,item_id,verb,occurred_at,progress\nf1,c1,{first},{verb},{rest}\n")
    assert shown()[:4] == [second, *others]
    take("events", "event_id,member_id,item_id,verb,occurred_at,voided_event_id\nf2,,,voided,2026-03-02T09:00:00Z,f1\n")
    assert shown() == [first, second, *others]


@pytest.mark.usefixtures("couriers")
def test_being_shown_an_item_is_no_study(engine: Engine, take: Take, settings: Any, now: datetime) -> None:

    take("events", HEAD + "f1,unknown,v1,shown,2026-03-01T08:00:00Z,,,\n")
    with transaction(engine) as session:
        interactions = load_interactions(session, organisations.key_of(session, "default"), settings, as_of=now)
    assert interactions.seen[interactions.members.index.get_loc("unknown")].nnz == 0
