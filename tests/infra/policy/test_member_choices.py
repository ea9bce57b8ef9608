"""Choices of members, on both databases: what a member saved for later is on every kind of its lists."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import NotFoundError, UnknownMemberError
from infra.policy import member_choices
from infra.serving import push_lists
from infra.serving.list_json import ListRequest, rows_json
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from recommender.policy.required import placed
from tests.conftest import Take

EVENT = "event_id,member_id,item_id,verb,occurred_at\n"


@pytest.fixture
def of_organisation(engine: Engine) -> Callable[..., Any]:
    """Return what does something for the organisation in a transaction of its own."""

    def done(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with transaction(engine) as session:
            return work(session, organisations.key_of(session, "default"), *arguments, **options)

    return done


@pytest.fixture
def shown(of_organisation: Callable[..., Any], now: datetime) -> Callable[..., dict[str, str]]:
    """Return what shows the items of a member's list, each with the code of its reason."""

    def of(member_id: str) -> dict[str, str]:
        answer = of_organisation(push_lists.shown, member_id, ListRequest(n=20, now=now))
        return {item["item_id"]: item["reason"]["code"] for item in answer["items"]}

    return of


@pytest.mark.usefixtures("served")
def test_what_is_saved_returns_until_it_is_finished_dismissed_or_taken_off(
    of_organisation: Callable[..., Any], shown: Callable[..., dict[str, str]], take: Take, now: datetime
) -> None:
    before = [*shown("d1")]
    first, second, third = before[0], before[1], before[2]
    take("events", f"{EVENT}x0,d1,{third},dismissed,2026-03-01T12:00:00Z\n")
    for seconds, item_id in enumerate((second, first, third)):
        of_organisation(member_choices.save, "d1", item_id, now=now + timedelta(seconds=seconds))

    after = shown("d1")
    assert [item_id for item_id, code in after.items() if code == "saved"] == [second, first, third]
    assert [*after][4] == second, "the first of them at place 5"
    assert shown("d2").get(first) != "saved"

    of_organisation(member_choices.unsave, "d1", second)
    take(
        "events", f"{EVENT}x1,d1,{first},completed,2026-03-02T07:00:00Z\nx2,d1,{third},disliked,2026-03-02T07:00:00Z\n"
    )
    later = shown("d1")
    assert "saved" not in later.values()
    assert not {first, third} & {*later}
    assert of_organisation(member_choices.saved_of, "d1") == []


@pytest.mark.usefixtures("served")
def test_saved_items_have_a_row_hold_without_personalisation_and_stay_on_past_lists(
    engine: Engine,
    of_organisation: Callable[..., Any],
    shown: Callable[..., dict[str, str]],
    settings: Settings,
    take: Take,
    now: datetime,
) -> None:
    saved = [*shown("d1")][-1]
    take("members", f"member_id,personalised,less_topics\nd1,false,{'safety'}\n")
    of_organisation(member_choices.save, "d1", saved, now=now - timedelta(hours=1))
    assert shown("d1")[saved] == "saved"
    body = orjson.dumps(of_organisation(push_lists.shown, "d1", ListRequest(n=20, now=now, language="zh-CN")))
    [row] = [row for row in orjson.loads(rows_json(body, 3))["rows"] if row["code"] == "saved"]
    assert (row["title"], [item["item_id"] for item in row["items"]]) == ("稍后学习", [saved])

    nightly(engine, settings, now=now)
    of_organisation(member_choices.unsave, "d1", saved)
    past = of_organisation(push_lists.archived, "d1", n=20, day=now.date())
    assert [item["item_id"] for item in past["items"] if item["reason"]["code"] == "saved"] == [saved]
    assert "saved" not in shown("d1").values()


@pytest.mark.usefixtures("served")
def test_unknown_members_and_items_are_not_saved(of_organisation: Callable[..., Any], now: datetime) -> None:
    with pytest.raises(UnknownMemberError):
        of_organisation(member_choices.save, "d99", "v1", now=now)
    with pytest.raises(NotFoundError, match="v99"):
        of_organisation(member_choices.save, "d1", "v99", now=now)
    with pytest.raises(NotFoundError, match="not saved"):
        of_organisation(member_choices.unsave, "d1", "v1")


@given(st.integers(0, 8), st.integers(0, 30), st.floats(0.05, 1.0))
def test_no_beginning_of_a_list_has_more_than_the_share_of_saved_items(
    n_saved: int, n_others: int, share: float
) -> None:
    entries = list(placed((), ["saved"] * n_saved, iter(["other"] * n_others), share))
    assert entries.count("saved") == n_saved
    until_last_other = max((place for place, entry in enumerate(entries, 1) if entry == "other"), default=0)
    for length in range(1, until_last_other + 1):
        assert [*islice(entries, length)].count("saved") <= share * length + 1e-6


def test_the_first_saved_comes_first() -> None:
    choices = orjson.dumps([["saved", "b", 2], ["other", "c", 0], ["saved", "a", 1]]).decode()
    assert member_choices.saved_items(choices) == ("a", "b")
    assert member_choices.saved_items("[]") == member_choices.saved_items(None) == ()
