"""Faults put into a night's data and lists on purpose: each must hold the run."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from content_catalog.schema import ITEMS
from features.schema import MEMBERS
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.runs import store as runs
from infra.runs.list_contents import RunLists, hash_of_entries
from infra.settings.sections import NightlySettings
from infra.settings.settings import Settings
from jobs.nightly import gate
from jobs.nightly.night import nightly
from tests.conftest import Take
from tests.jobs.nightly.test_gate import TAXONOMIES, failed, known_of, table

DAY = timedelta(days=1)
Failed = dict[str, str]


def lists_of(items: dict[str, list[str]]) -> RunLists:
    """Return lists as the database holds them."""
    texts = {member: orjson.dumps([{"item_id": item} for item in its]).decode() for member, its in items.items()}
    content = pd.Series({member: hash_of_entries(one) for member, one in texts.items()})
    return RunLists(content, pd.Series({hash_of_entries(one): one for one in texts.values()}))


def change(now: RunLists, then: RunLists) -> gate.Change:
    """Return lists beside those of before."""
    pairs = pd.concat({"now": now.hashes, "then": then.hashes}, axis=1).dropna()
    entries = pd.concat([now.entries, then.entries])
    return gate.Change(pairs, entries[~entries.index.duplicated()])


def served_by(engine: Engine) -> str:
    """Return the id of the run that is served."""
    with transaction(engine) as session:
        return str(runs.latest(session, organisations.key_of(session, "default"))["run_id"])


FAULTS = {
    "an empty catalogue": ("DELETE FROM items", "the catalogue offers something"),
    "a hidden catalogue": ("UPDATE items SET hidden = true", "the catalogue offers something"),
    "half of the events missing": ("DELETE FROM events WHERE event_id LIKE 'd%'", "no events are missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_night_on_broken_data_is_held_and_says_why(
    engine: Engine, settings: Settings, served: dict[str, Any], now: datetime, fault: str
) -> None:
    statement, check = FAULTS[fault]
    with engine.begin() as connection:
        connection.execute(text(statement))
    run = nightly(engine, settings, now=now + DAY)
    assert run["status"] == "held"
    assert check in failed(run["checks"])
    assert served_by(engine) == served["run_id"]


def test_a_night_that_turns_the_lists_over_is_held(
    engine: Engine, settings: Settings, served: dict[str, Any], take: Take, now: datetime
) -> None:
    others = "".join(f"other{number},2026-02-27\n" for number in range(60))
    take("items", "item_id,published_at\n" + others)
    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id NOT LIKE 'other%'"))
    run = nightly(engine, settings, now=now + DAY)
    assert run["status"] == "held"
    assert failed(run["checks"]) == {
        "lists do not turn over": "100% of a list is new against the night before, more than 50%"
    }
    assert served_by(engine) == served["run_id"]
    later = nightly(engine, settings, now=now + 3 * DAY)
    assert later["status"] == "published", "nights that far apart are not compared"


@given(st.integers(0, 10))
def test_lists_are_held_where_more_than_the_limit_of_them_is_new(n_new: int) -> None:
    now = datetime.fromisoformat("2026-03-02T00:00:00Z")
    names = [f"i{number:02d}" for number in range(20)]
    known = replace(known_of(now), items=table([{"item_id": one} for one in names], ITEMS))
    then = lists_of({"clerk": names[:10], "driver": names[:10]})
    after = lists_of(dict.fromkeys(("clerk", "driver"), names[n_new : 10 + n_new]))
    changed, limits = change(after, then), NightlySettings(max_churn=0.5)
    checks = gate.check_change(changed, known.items.index, {"as_of": now}, limits, as_of=known.as_of)
    assert gate.churn(changed, known.items.index) == pytest.approx(n_new / 10)
    assert gate.verdict(checks) == ("held" if n_new > 5 else "published")


def test_members_without_a_list_before_do_not_count_as_turned_over(now: datetime) -> None:
    index = known_of(now).items.index
    assert gate.churn(change(lists_of({"clerk": ["open"]}), lists_of({"driver": ["open"]})), index) == 0.0
    both = lists_of({"clerk": ["open"], "driver": ["drivers"]})
    assert gate.churn(change(both, lists_of({"clerk": ["open"]})), index) == 0.0


def check(known: Any, items: dict[str, list[str]], **limits: float) -> Failed:
    """Return the checks that lists fail by themselves."""
    rows = [(member, item) for member, its in items.items() for item in its]
    frame = pd.DataFrame(rows, columns=["member_id", "item_id"])
    shared = pd.Series(known.members.index, index=known.members.index)
    return failed(gate.check(known, frame, shared, TAXONOMIES, NightlySettings(**limits)))


def test_a_hidden_item_on_one_list_holds_the_run(now: datetime) -> None:
    assert check(known_of(now), {"clerk": ["open"], "driver": ["open", "hidden"]}) == {
        "only available items": "1 fail, such as hidden"
    }


def test_an_item_before_its_prerequisites_holds_the_run(now: datetime) -> None:
    known = known_of(now, ("clerk", "open"))
    items = known.items.assign(prerequisites=[None, None, None, None])
    items.loc["drivers", "prerequisites"] = "open"
    items.loc["drivers", "audience"] = "open"
    with_needs = replace(known, items=items)
    assert check(with_needs, {"clerk": ["drivers"], "driver": ["open"]}) == {}
    early = check(with_needs, {"clerk": ["drivers"], "driver": ["open", "drivers"]})
    assert early == {"no item before its prerequisites": "1 fail, such as drivers"}


def test_a_catalogue_of_which_little_is_listed_holds_the_run(now: datetime) -> None:
    found = check(known_of(now), {"clerk": ["open"], "driver": ["open"]}, min_coverage=0.9)
    assert found == {"enough of the catalogue is listed": "50.0% of the offered items, less than 90.0%"}


@pytest.mark.parametrize(("length", "behind"), [(4, True), (5, False)])
def test_a_role_whose_lists_are_short_holds_the_run(now: datetime, length: int, behind: bool) -> None:
    names = [f"i{number:02d}" for number in range(10)]
    people = [{"member_id": f"a{n:03d}", "role": "41"} for n in range(980)]
    people += [{"member_id": f"b{n:03d}", "role": "83"} for n in range(20)]
    members = table(people, MEMBERS)
    known = replace(known_of(now), members=members, items=table([{"item_id": one} for one in names], ITEMS))
    lists = {member: names if role == "41" else names[:length] for member, role in members["role"].items()}
    found = check(known, lists, min_group_length=0.5)
    assert bool(found) is behind
    if behind:
        assert found == {"no role, industry or tenure falls behind": f"1 fail, such as role 83 ({length:.1f} items)"}


def test_no_check_compares_with_a_run_that_does_not_exist_yet(now: datetime) -> None:
    known = known_of(now)
    assert gate.check_change(None, known.items.index, None, NightlySettings(), as_of=known.as_of) == []
    assert [one["name"] for one in gate.check_data(known.items, 5, None, NightlySettings(), as_of=known.as_of)] == [
        "the catalogue offers something"
    ]


@pytest.mark.parametrize(("known_before", "held"), [(100, False), (101, True), (None, False)])
def test_events_may_be_missing_up_to_the_limit(now: datetime, known_before: int | None, held: bool) -> None:
    known = known_of(now)
    before = {"as_of": now, "counts": {} if known_before is None else {"events": known_before}}
    checks = gate.check_data(known.items, 90, before, NightlySettings(max_event_loss=0.1), as_of=known.as_of)
    assert (gate.verdict(checks) == "held") is held
    earlier = {"as_of": now + DAY, "counts": {"events": 1_000}}
    assert gate.verdict(gate.check_data(known.items, 90, earlier, NightlySettings(), as_of=known.as_of)) == "published"
