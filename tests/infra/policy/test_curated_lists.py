"""Curated lists, on both databases: pins, boosts and bans hold on every kind of list with the next request."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from infra.catalog import records
from infra.policy.curated_entries import Curated, curated, of_organisation, stored_curated
from infra.serving import anonymous_lists, push_lists
from infra.serving.anonymous_lists import Profile, SessionStep
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take
from tests.infra.conftest import for_organisation
from tests.together import together

HEADER = "curation_id,action,items,target_roles,target_units,target_regions,starts_at,ends_at,places\n"
END = "2026-04-01T00:00:00Z"


@pytest.fixture
def shown(engine: Engine, now: datetime) -> Callable[..., list[str]]:
    """Return what shows the items of a member's list."""

    def of(member_id: str, *, at: datetime = now, n: int = 20) -> list[str]:
        answer = for_organisation(engine, push_lists.shown, member_id, ListRequest(n=n, now=at))
        return [item["item_id"] for item in answer["items"]]

    return of


def anonymous(engine: Engine, now: datetime, role: str, *steps: SessionStep) -> list[dict[str, Any]]:
    """Return the items of a list for a role, or of a session."""
    request = ListRequest(20, now, "en")
    body = for_organisation(engine, anonymous_lists.anonymous_list, Profile(role), request, steps)
    return list(orjson.loads(body)["items"])


@pytest.mark.usefixtures("served")
def test_a_pin_is_on_top_for_its_audience_alone_and_says_so(
    engine: Engine, take: Take, shown: Callable[..., list[str]], now: datetime
) -> None:
    drivers, clerks = shown("d1"), shown("c1")
    take("curations", HEADER + f"new,pin,o1;new,8,,,,{END},\n")

    assert shown("d1") == ["o1", "new", *(item for item in drivers if item not in {"o1", "new"})]
    assert shown("c1") == clerks
    answer = for_organisation(engine, push_lists.shown, "d1", ListRequest(n=2, now=now, language="zh-CN"))
    assert [item["reason"]["text"] for item in answer["items"]] == ["您的组织为您选定"] * 2
    assert [item["reason"]["code"] for item in anonymous(engine, now, "83")[:2]] == ["pinned"] * 2
    session = anonymous(engine, now, "83", SessionStep("v1", "completed"))
    assert [item["item_id"] for item in session][:2] == ["o1", "new"]
    assert len({item["item_id"] for item in session}) == len(session)
    assert shown("d1", at=now + timedelta(days=60))[0] == drivers[0], "its time is over"


@pytest.mark.usefixtures("served")
def test_a_pin_shows_nothing_that_the_member_finished_dismissed_or_may_not_be_offered(
    take: Take, shown: Callable[..., list[str]]
) -> None:
    take("curations", HEADER + f"all,pin,v1;o1;new,,,,,{END},\n")
    assert "v1" not in shown("d0"), "finished"
    take("events", "event_id,member_id,item_id,verb,occurred_at\ny1,d1,o1,dismissed,2026-03-02T01:00:00Z\n")
    take("items", "item_id,hidden\nnew,true\n")
    assert not {"o1", "new"} & {*shown("d1")}


@pytest.mark.usefixtures("served")
def test_a_ban_holds_on_every_list_until_its_end(
    engine: Engine, take: Take, shown: Callable[..., list[str]], now: datetime
) -> None:
    first, *rest = shown("d1")
    take("curations", HEADER + f"recall,ban,{first},8,,,,{END},\npin,pin,{first},,,,,{END},\n")

    assert shown("d1") == rest, "a ban goes before a pin"
    assert first in shown("c1"), "a clerk is not of its audience"
    assert first not in [item["item_id"] for item in anonymous(engine, now, "83")]
    steps = SessionStep("v1", "completed")
    assert first not in [item["item_id"] for item in anonymous(engine, now, "83", steps)]
    take("requirements", f"requirement_id,items,due_on\nr,{first},2026-03-02\n")
    assert first not in shown("d1"), "what is banned is not required"
    for_organisation(engine, records.remove, "curations", "recall")
    assert shown("d1")[0] == first


@pytest.mark.usefixtures("served")
def test_a_boost_moves_up_and_less_of_a_topic_stays_at_the_end(take: Take, shown: Callable[..., list[str]]) -> None:
    ranked = shown("d1")
    take("curations", HEADER + f"up,boost,{ranked[-1]},,,,,{END},2\n")
    assert shown("d1") == [*ranked[:-3], ranked[-1], *ranked[-3:-1]]

    take("items", f"item_id,topics\n{ranked[-1]},chess\n")
    take("members", "member_id,less_topics\nd1,chess\n")
    assert shown("d1") == ranked


@pytest.mark.usefixtures("served")
def test_units_and_regions_are_targets_too(take: Take, shown: Callable[..., list[str]]) -> None:
    take("units", "unit\nNorth\nNorth/Depot\n")
    take("members", "member_id,units,region\nd1,North/Depot,CN/East\n")
    first = shown("d1")[0]
    take("curations", HEADER + f"a,ban,{first},,North,CN,,{END},\n")
    assert first not in shown("d1")
    take("members", "member_id,region\nd1,FR\n")
    assert shown("d1")[0] == first


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_past_lists_show_the_curations_of_their_night(
    engine: Engine, take: Take, settings: Settings, shown: Callable[..., list[str]], now: datetime
) -> None:
    first, *rest = shown("d1")
    lines = f"a,ban,{first},8,,,,{END},\nb,pin,o1,,,,,{END},\nc,pin,v1,4,,,,{END},\nd,boost,{rest[-1]},,,,,{END},1\n"
    take("curations", HEADER + lines)
    nightly(engine, settings, now=now)
    expected = shown("d1")
    assert (expected[0], first in expected) == ("o1", False)
    for name in "abcd":
        for_organisation(engine, records.remove, "curations", name)

    then = for_organisation(engine, push_lists.archived, "d1", n=20, day=now.date())
    assert [item["item_id"] for item in then["items"]] == expected
    assert shown("d1")[0] == first


def test_what_is_stored_with_a_list_comes_back() -> None:
    value = Curated(("a", "b"), {"c": 2}, frozenset({"d"}))
    assert stored_curated(orjson.dumps({**value._asdict(), "banned": ["d"]}).decode()) == value


@pytest.mark.usefixtures("couriers")
@together(
    ("line", "reason"),
    [
        (f"c,pin,v9,,,,,{END},", "unknown item 'v9'; nearest: v"),
        (f"c,pin,v1,99999,,,,{END},", "unknown code '99999'"),
        (f"c,pin,v1,,South,,,{END},", "unknown unit 'South'"),
        (f"c,hide,v1,,,,,{END},", "unknown; known: "),
        ("c,pin,v1,,,,,,", "missing, and required"),
        (f"c,ban,v1,,,,{END},{END},", "is not after starts_at"),
        (f"c,ban,v1,,,,,{END},2", "is for boosts only"),
        (f"c,boost,v1,,,,,{END},1.5", "give whole places"),
        (f"bulk,ban,v1,,,,,{END},", "is one of bulk"),
    ],
)
def test_a_line_that_is_no_curation_is_a_reject(take: Take, line: str, reason: str) -> None:
    done = take("curations", HEADER + line + "\n", max_reject_share=1.0)
    assert done.counts.stored == 0
    assert done.rejects_file is not None
    assert reason in done.rejects_file.read_text(encoding="utf-8")


@pytest.mark.usefixtures("couriers")
def test_curations_come_in_order_of_their_ids(engine: Engine, take: Take, now: datetime) -> None:
    take("curations", HEADER + f"b,boost,v1,,,,,{END},\na,pin,v2,,,,2026-03-01T00:00:00Z,{END},\n")
    rules = for_organisation(engine, of_organisation)
    assert [(each.curation_id, each.places) for each in rules] == [("a", 3), ("b", 3)]
    assert curated(rules, (), now) == Curated(("v2",), {"v1": 3}, frozenset())
