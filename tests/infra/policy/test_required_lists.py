"""Required items on lists, on both databases: put there, moved and taken off with the request that comes next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations, requirements
from infra.db.engine import transaction
from infra.events import retention
from infra.policy.required_entries import ListRules
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from recommender.policy.selection import Selection
from tests.conftest import ON_SQLITE, Take
from tests.infra.conftest import for_organisation
from tests.together import together

Shown = Callable[..., list[tuple[str, str]]]
HEADER = "requirement_id,items,target_roles,due_on,recurrence,open_days,starts_on\n"


@pytest.fixture
def shown(engine: Engine, now: datetime) -> Shown:
    """Return what shows the items of a member's list with their reasons."""

    def of(member_id: str, *, n: int = 6, at: datetime = now, share: float = 0.5) -> list[tuple[str, str]]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            rules = ListRules(PolicySettings(required_share=share))
            answer = push_lists.shown(session, key, member_id, ListRequest(n=n, now=at, language="en", rules=rules))
        return [(item["item_id"], item["reason"]["text"]) for item in answer["items"]]

    return of


@pytest.mark.usefixtures("served")
def test_what_cannot_wait_is_at_the_top_and_leaves_once_it_is_finished(take: Take, shown: Shown) -> None:
    before = shown("d1")
    take("requirements", HEADER + "rules,new,8,2026-03-02,,,\n")

    assert shown("d1")[0] == ("new", "Required by March 2, 2026")
    assert [item for item, _ in shown("d1")[1:]] == [item for item, _ in before if item != "new"][:5]
    assert ("new", "Required by March 2, 2026") not in shown("c1"), "a clerk is no driver"

    take("events", "event_id,member_id,item_id,verb,occurred_at\nx1,d1,new,completed,2026-03-02T01:00:00Z\n")
    assert "new" not in dict(shown("d1"))


@pytest.mark.usefixtures("served")
def test_what_can_wait_takes_its_share_and_becomes_urgent(take: Take, shown: Shown, now: datetime) -> None:
    take("requirements", HEADER + "a,o1,83,2026-04-30,,,\nb,o2,83,2026-05-30,,,\n")

    ranked = [item for item, _ in shown("d9")]
    assert (ranked[1], ranked[3]) == ("o1", "o2")
    late = shown("d9", at=now + timedelta(days=60))
    assert late[0] == ("o1", "Required, was due on April 30, 2026")


@pytest.mark.usefixtures("served")
def test_what_cannot_wait_is_taken_first_within_a_time_and_named_where_it_does_not_fit(
    engine: Engine, take: Take, now: datetime
) -> None:
    take("items", "item_id,title,duration_seconds\nlong,Long,900\nnew,New,600\n")
    take("requirements", HEADER + "a,long,8,2026-03-01,,,\nb,new,8,2026-03-02,,,\n")

    def within(minutes: int, topics: frozenset[str] = frozenset()) -> dict[str, Any]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            return push_lists.shown(
                session,
                key,
                "d1",
                ListRequest(n=9, now=now, language="en", selection=Selection(minutes, topics=topics)),
            )

    short, whole = within(12), within(25)
    assert short["items"][0]["item_id"] == "new"
    assert sum(item["duration_seconds"] for item in short["items"]) <= 720
    [left_out] = short["due_left_out"]
    assert (left_out["item_id"], left_out["duration_seconds"]) == ("long", 900)
    assert left_out["reason"]["text"] == "Required, was due on March 1, 2026"
    assert [item["item_id"] for item in whole["items"]][:2] == ["long", "new"]
    assert "due_left_out" not in whole
    none = within(25, frozenset({"no such topic"}))
    assert (none["items"], none["empty"]["code"]) == ([], "none_of_these_topics_and_formats")
    assert [item["item_id"] for item in none["due_left_out"]] == ["long", "new"]


@pytest.mark.usefixtures("served")
def test_what_is_waived_leaves_at_once_and_comes_back_with_the_end_of_the_waiver(
    engine: Engine, take: Take, shown: Shown, now: datetime
) -> None:
    take("requirements", HEADER + "rules,new,8,2026-03-02,,,\n")

    for_organisation(engine, requirements.waive, "d1", "rules", now=now, reason="ill")
    assert dict(shown("d1")).get("new") != "Required by March 2, 2026"
    for_organisation(engine, requirements.end_waiver, "d1", "rules")
    assert shown("d1")[0][0] == "new"
    for_organisation(engine, requirements.remove, "rules")
    assert dict(shown("d1")).get("new") != "Required by March 2, 2026"


@pytest.mark.usefixtures("served")
def test_who_finished_a_yearly_item_long_ago_gets_it_again(take: Take, shown: Shown, now: datetime) -> None:
    take("requirements", HEADER + "yearly,v1,83,2026-03-01,yearly,20,\n")

    assert "v1" not in dict(shown("d0")), "finished within 20 days before the first of March"
    assert shown("d0", at=now + timedelta(days=365))[0] == ("v1", "Required, was due on March 1, 2027")


@pytest.mark.usefixtures("served")
def test_a_member_who_joins_after_the_day_gets_it_too(take: Take, shown: Shown) -> None:
    take("requirements", HEADER + "yearly,v1,83,2026-02-20,yearly,30,\n")
    take("members", "member_id,role,joined_on\nlate,83,2026-03-02\n")

    assert ("v1", "Required by April 1, 2026") in shown("late")


@pytest.mark.usefixtures("served")
def test_who_changes_the_role_has_the_requirements_of_the_new_one_from_the_next_request_on(
    take: Take, shown: Shown
) -> None:
    take("requirements", HEADER + "drivers,new,83,2026-03-02,,,\nclerks,o2,4,2026-03-02,,,\n")
    required = "Required by March 2, 2026"
    take("members", "member_id,role,personalised\nd1,83,false\n")
    assert [item for item, reason in shown("d1") if reason == required] == ["new"], "whether personalised or not"

    take("members", "member_id,role\nd1,41\n")
    assert [item for item, reason in shown("d1") if reason == required] == ["o2"]


@pytest.mark.usefixtures("served")
def test_what_retention_deleted_stays_met(
    engine: Engine, take: Take, shown: Shown, now: datetime, settings: Settings
) -> None:
    take("requirements", HEADER + "once,v1,83,2026-03-01,,,\n")
    assert "v1" not in dict(shown("d0"))

    later = now + timedelta(days=100)
    for_organisation(engine, retention.retain, days=10, now=later, min_group_size=5, apply=True)
    for_organisation(engine, retention.retain, days=5, now=later, min_group_size=5, apply=True)
    assert dict(shown("d0")).get("v1", "") != "Required, was due on March 1, 2026"
    nightly(engine, settings, now=later)
    assert dict(shown("d0", at=later)).get("v1", "") != "Required, was due on March 1, 2026"


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_a_night_counts_required_entries_and_keeps_them_for_lists_of_the_past(
    engine: Engine, take: Take, settings: Settings, now: datetime
) -> None:
    take("requirements", HEADER + "rules,new,83,2026-03-02,,,\n")
    run = nightly(engine, settings, now=now)
    assert run["counts"]["required_entries"] == 12
    check = run["checks"][-1]
    assert (check["state"], check["passed"]) == ("at_risk", None)

    for_organisation(engine, requirements.remove, "rules")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        then = push_lists.archived(session, key, "d1", n=3, day=now.date(), language="en")
    assert then["items"][0]["reason"]["text"] == "Required by March 2, 2026"


@pytest.mark.usefixtures("couriers")
def test_days_that_have_passed_are_warned_of(take: Take) -> None:
    lines = "past,v1,,2026-03-01,,,\ntoday,v1,,2026-03-02,,,\nyearly,v1,,2020-03-01,yearly,,\n"
    assert take("requirements", HEADER + lines).warnings == [
        "requirement 'past': due_on 2026-03-01 has passed; who has not met it is overdue at once"
    ]
    header = "curation_id,action,items,ends_at\n"
    done = take("curations", header + "old,pin,v1,2026-03-01T00:00:00Z\nnew,pin,v1,2026-04-01T00:00:00Z\n")
    assert done.counts.stored == 2
    assert [warning.split(":")[0] for warning in done.warnings] == ["curation 'old'"]
    many = "".join(f"r{number},v1,,2026-01-01,,,\n" for number in range(30))
    assert len(take("requirements", HEADER + many).warnings) == 20


@pytest.mark.usefixtures("couriers")
@together(
    ("line", "reason"),
    [
        ("r,v9,,2026-03-02,,,", "unknown item 'v9'; nearest: v"),
        ("r,v1,99999,2026-03-02,,,", "unknown code '99999'"),
        ("r,v1,,,,,", "give one of due_on, days_after_joining and days_after_role"),
        ("r/s,v1,,2026-03-02,,,", "holds a slash"),
        ("r,v1,,2026-03-02,quarterly,90,", "a quarterly requirement is open for at most 60 days"),
        ("r,v1,,2026-03-02,monthly,,", "unknown; known: "),
    ],
)
def test_a_line_that_is_no_requirement_is_a_reject(take: Take, line: str, reason: str) -> None:
    done = take("requirements", HEADER + line + "\n", max_reject_share=1.0)
    assert done.counts.stored == 0
    assert done.rejects_file is not None
    assert reason in done.rejects_file.read_text(encoding="utf-8")
