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
from features.interactions import Interactions, build_interactions
from features.schema import MEMBERS, VERBS
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.runs import store as runs
from infra.runs.list_contents import RunLists, hash_of_entries
from infra.settings.sections import NightlySettings
from infra.settings.settings import Settings
from jobs.nightly import gate
from jobs.nightly.night import nightly
from jobs.nightly.training_data import TrainingData
from jobs.progress import StepProgress
from recommender.content.open_items import OpenItems
from tests.conftest import ON_SQLITE, Take
from tests.jobs.nightly.test_gate import TAXONOMIES, failed, known_of, table

DAY = timedelta(days=1)
Failed = dict[str, str]


def lists_of(items: dict[str, list[str]]) -> RunLists:
    """Return lists as the database holds them."""
    texts = {member: orjson.dumps([{"item_id": item} for item in its]).decode() for member, its in items.items()}
    content = pd.Series({member: hash_of_entries(entries) for member, entries in texts.items()})
    return RunLists(content, pd.Series({hash_of_entries(entries): entries for entries in texts.values()}))


def change(now: RunLists, then: RunLists) -> gate.ListChange:
    """Return lists beside those of before."""
    hashes = pd.DataFrame({"now": now.hashes, "then": then.hashes.reindex(now.hashes.index)})
    entries = pd.concat([now.entries, then.entries])
    return gate.ListChange(hashes, entries[~entries.index.duplicated()])


def churn(now: RunLists, then: RunLists, interactions: Interactions) -> float:
    """Return how much of the lists is new, where all items are available."""
    both = change(now, then)
    row_of = pd.Series(range(len(both.entries)), index=both.entries.index)
    holds = gate._items_of(both.entries, interactions.items.index)
    open_items = OpenItems(interactions, TAXONOMIES)
    return gate.churn(both.hashes.dropna(), holds, row_of, open_items, interactions.items.index)


def check_change(
    interactions: Interactions, lists: gate.ListChange, before: dict[str, Any] | None, limits: NightlySettings
) -> tuple[list[dict[str, Any]], int]:
    """Return the checks of lists of ten events beside those of before, and how many items are on any list."""
    open_items = OpenItems(interactions, TAXONOMIES)
    return gate.check_change(lists, open_items, interactions.items, 10, before, limits, as_of=interactions.as_of)


def data_of(interactions: Interactions, n_events: int) -> TrainingData:
    """Return the data of some interactions."""
    nothing = pd.DataFrame()
    return TrainingData(
        nothing, n_events, interactions.members, interactions.items, nothing, TAXONOMIES, interactions.as_of
    )


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


@ON_SQLITE
def test_a_night_that_turns_the_lists_over_is_held(couriers: Engine, settings: Settings, now: datetime) -> None:
    short = settings.models.model_copy(update={"list_length": 3})
    strict = settings.model_copy(update={"models": short, "nightly": NightlySettings(max_churn=0.0)})
    first = nightly(couriers, strict, now=now)
    with couriers.begin() as connection:
        connection.execute(text("UPDATE events SET item_id = 'o' || substr(item_id, 2) WHERE member_id LIKE 'd%'"))
        of_clerks = (
            "UPDATE events SET item_id = 'v' || substr(item_id, 2) WHERE item_id LIKE 'o_' AND member_id LIKE 'c%'"
        )
        connection.execute(text(of_clerks))
    run = nightly(couriers, strict, now=now + DAY)
    assert run["status"] == "held"
    assert "of a list is new, more than `nightly.max_churn` = 0%" in failed(run["checks"])["lists do not turn over"]
    assert served_by(couriers) == first["run_id"]
    later = nightly(couriers, strict, now=now + 3 * DAY)
    assert later["status"] == "published", "nights that far apart are not compared"


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_a_catalogue_that_is_replaced_as_a_whole_is_no_turnover(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    """A weekly catalogue: on Mondays nothing of the served lists can be listed any more."""
    take("items", "item_id,published_at\n" + "".join(f"other{number},2026-02-27\n" for number in range(60)))
    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id NOT LIKE 'other%'"))
    assert failed(nightly(engine, settings, now=now + DAY)["checks"]) == {}


@ON_SQLITE
@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "removal",
    [
        "DELETE FROM items WHERE item_id IN ('v1', 'v2', 'v3', 'o1', 'o2')",
        (
            "INSERT INTO events (organisation_key, event_id, verb, occurred_at, voided_event_id) "
            "SELECT 1, 'w' || event_id, 'voided', occurred_at, event_id FROM events WHERE event_id LIKE 'd%'"
        ),
    ],
)
def test_events_that_do_not_count_any_more_on_purpose_are_not_missed(
    engine: Engine, settings: Settings, now: datetime, removal: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text(removal))
    loose = settings.model_copy(update={"nightly": NightlySettings(max_churn=1.0)})
    assert failed(nightly(engine, loose, now=now + DAY)["checks"]) == {}


@pytest.mark.usefixtures("served")
def test_events_that_retention_or_an_erasure_removed_are_not_missed(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM events WHERE event_id LIKE 'c%'"))
        connection.execute(text("INSERT INTO study_totals VALUES (1, '2026-02', 'o1', 'completed', 30, 10)"))
        connection.execute(text("DELETE FROM events WHERE event_id LIKE 'd%'"))
    with transaction(engine) as session:
        runs.discount_events(session, organisations.key_of(session, "default"), 30)
    loose = settings.model_copy(update={"nightly": NightlySettings(max_churn=1.0)})
    assert failed(nightly(engine, loose, now=now + DAY)["checks"]) == {}


def test_events_removed_on_purpose_are_not_missed_after_a_rollback_or_a_night_meanwhile(
    engine: Engine, settings: Settings, served: dict[str, Any], now: datetime
) -> None:
    loose = settings.model_copy(update={"nightly": NightlySettings(max_churn=1.0)})

    def remove(which: str) -> None:
        with transaction(engine) as session:
            n = session.execute(text("DELETE FROM events WHERE event_id LIKE :which"), {"which": which}).rowcount
            runs.discount_events(session, organisations.key_of(session, "default"), n)

    def remove_meanwhile(step: StepProgress) -> None:
        if (step.step, step.state) == ("lists", "started"):
            remove("d%")

    second = nightly(engine, loose, now=now + DAY)
    remove("c%")
    with transaction(engine) as session:
        assert runs.roll_back(session, organisations.key_of(session, "default"))[1]["run_id"] == served["run_id"]
    strict = settings.model_copy(update={"nightly": NightlySettings(max_churn=0.0)})
    third = nightly(engine, strict, now=now + DAY, progress=remove_meanwhile)
    last = nightly(engine, loose, now=now + DAY)
    assert [failed(run["checks"]) for run in (second, third, last)] == [{}, {}, {}]


@ON_SQLITE
def test_the_first_day_of_study_is_no_turnover(engine: Engine, settings: Settings, take: Take, now: datetime) -> None:
    """A new organisation: many items, then some events, then many more."""
    take("items", "item_id,title\n" + "".join(f"i{number:04d},Item {number}\n" for number in range(401)))
    take("members", "member_id,role\n" + "".join(f"m{number},83\n" for number in range(30)))
    for day, events in enumerate([0, 5, 30, 30]):
        log = "".join(f"m{n},i{(37 * n + 11 * day) % 401:04d},completed,2026-03-0{day + 1}\n" for n in range(events))
        if log:
            take("events", "member_id,item_id,verb,occurred_at\n" + log)
        run = nightly(engine, settings, now=now + day * DAY)
        assert (run["status"], failed(run["checks"])) == ("published", {}), day


@given(st.integers(0, 10))
def test_lists_are_held_where_more_than_the_limit_of_them_is_new(n_new: int) -> None:
    now = datetime.fromisoformat("2026-03-02T00:00:00Z")
    names = [f"i{number:02d}" for number in range(20)]
    interactions = known_of(now, catalogue=[{"item_id": name} for name in names])
    then = lists_of({"clerk": names[:10], "driver": names[:10]})
    after = lists_of(dict.fromkeys(("clerk", "driver"), names[n_new : 10 + n_new]))
    limits, before = NightlySettings(max_churn=0.5), {"as_of": now, "counts": {}}
    checks, listed = check_change(interactions, change(after, then), before, limits)
    assert churn(after, then, interactions) == pytest.approx(n_new / 10)
    assert gate.GateResult(checks).status == ("held" if n_new > 5 else "published")
    assert listed == 10
    grown = {"as_of": now, "counts": {"events": 7}}
    checks, _ = check_change(interactions, change(after, then), grown, limits)
    assert gate.GateResult(checks).status == "published", "a quarter more is known now"
    for removed, comparable in ((2, True), (3, False)):
        erased = {"as_of": now, "counts": {"events": 10, "removed_events": removed}}
        checks, _ = check_change(interactions, change(after, then), erased, limits)
        status = "held" if comparable and n_new > 5 else "published"
        assert gate.GateResult(checks).status == status, "a fifth is known no more"


def test_members_without_a_list_before_do_not_count_as_turned_over(now: datetime) -> None:
    interactions = known_of(now)
    assert churn(lists_of({"clerk": ["open"]}), lists_of({"driver": ["open"]}), interactions) == 0.0
    both = lists_of({"clerk": ["open"], "driver": ["drivers"]})
    assert churn(both, lists_of({"clerk": ["open"]}), interactions) == 0.0


def test_items_that_cannot_be_listed_any_more_do_not_count_as_turned_over(now: datetime) -> None:
    """Two of three items are gone: what is left stayed, so nothing turned over; one of two replaced is a half."""
    after, then = lists_of({"a": ["x", "n"], "b": ["y", "n"]}), lists_of({"a": ["x", "g", "h"], "b": ["x", "z"]})
    interactions = known_of(now, catalogue=[{"item_id": name} for name in "nxyz"])
    assert churn(after, then, interactions) == pytest.approx((0.0 + 1.0) / 2)


def test_items_that_are_closed_to_one_member_since_do_not_count_as_turned_over(now: datetime) -> None:
    """By audience, prerequisites, device or as it has studied them; to the driver the first is open."""
    catalogue = [
        {"item_id": "a", "audience": "restricted", "target_roles": "83"},
        {"item_id": "b", "prerequisites": "c"},
        {"item_id": "c", "format": "vr"},
        *({"item_id": name} for name in "dnopqx"),
    ]
    then = lists_of({"clerk": ["a", "b", "c", "d", "x"], "driver": ["a"]})
    after = lists_of({"clerk": ["n", "o", "p", "q", "x"], "driver": ["n"]})
    interactions = known_of(now, ("clerk", "d"), catalogue=catalogue)
    assert churn(after, then, interactions) == pytest.approx((0.0 + 1.0) / 2)


def check(interactions: Any, items: dict[str, list[str]], **limits: float) -> Failed:
    """Return the checks that lists fail by themselves."""
    rows = [(member, item) for member, its in items.items() for item in its]
    frame = pd.DataFrame(rows, columns=["member_id", "item_id"])
    shared = pd.Series(interactions.members.index, index=interactions.members.index)
    open_items = OpenItems(interactions, TAXONOMIES)
    return failed(gate.check_lists(open_items, frame, shared, NightlySettings(**limits), length=10))


def test_a_hidden_item_on_one_list_holds_the_run(now: datetime) -> None:
    assert check(known_of(now), {"clerk": ["open"], "driver": ["open", "hidden"]}) == {
        "only available items": "1 fail, such as hidden"
    }


def test_an_item_before_its_prerequisites_holds_the_run(now: datetime) -> None:
    interactions = known_of(now, ("clerk", "open"))
    items = interactions.items.assign(prerequisites=[None, None, None, None])
    items.loc["drivers", "prerequisites"] = "open"
    items.loc["drivers", "audience"] = "open"
    with_needs = replace(interactions, items=items)
    assert check(with_needs, {"clerk": ["drivers"], "driver": ["open"]}) == {}
    early = check(with_needs, {"clerk": ["drivers"], "driver": ["open", "drivers"]})
    assert early == {"no item before its prerequisites": "1 fail, such as drivers"}


@pytest.mark.parametrize(("listed_before", "held"), [(0, False), (4, False), (5, True)])
def test_a_catalogue_of_which_little_is_listed_holds_the_run_where_far_more_was_listed_before(
    now: datetime, listed_before: int, held: bool
) -> None:
    interactions = known_of(now, catalogue=[{"item_id": f"i{number}"} for number in range(10)])
    after = change(lists_of({"clerk": ["i1"], "driver": ["i2"]}), lists_of({}))
    before = {"as_of": now, "counts": {"listed_items": listed_before}}
    limits = NightlySettings(min_coverage=0.9)
    checks, _ = check_change(interactions, after, before, limits)
    assert bool(failed(checks)) is held
    if held:
        assert failed(checks)["enough of the catalogue is listed"] == (
            "20.0% of the available items, less than `nightly.min_coverage` = 90.0%, and 2 items where the served run"
            " lists 5"
        )


@pytest.mark.parametrize(("length", "behind"), [(4, True), (5, False)])
def test_a_role_whose_lists_are_short_holds_the_run(now: datetime, length: int, behind: bool) -> None:
    names = [f"i{number:02d}" for number in range(10)]
    people = [{"member_id": f"a{n:03d}", "role": "41"} for n in range(980)]
    people += [{"member_id": f"b{n:03d}", "role": "83"} for n in range(20)]
    members = table(people, MEMBERS)
    interactions = replace(known_of(now), members=members, items=table([{"item_id": name} for name in names], ITEMS))
    lists = {member: names if role == "41" else names[:length] for member, role in members["role"].items()}
    failures = check(interactions, lists, min_group_length=0.5)
    assert bool(failures) is behind
    if behind:
        message = f"1 fail, such as role 83 ({length / 10:.0%} of what could be listed)"
        assert failures == {"no role, industry or tenure falls behind": message}


def test_a_role_that_has_studied_nearly_everything_does_not_fall_behind(now: datetime) -> None:
    names = [f"i{number:02d}" for number in range(10)]
    people = [{"member_id": f"a{n:03d}", "role": "41"} for n in range(30)]
    people += [{"member_id": f"b{n:03d}", "role": "83"} for n in range(30)]
    members, items = table(people, MEMBERS), table([{"item_id": name} for name in names], ITEMS)
    events = pd.DataFrame(
        [(row, item) for row in range(30, 60) for item in range(9)], columns=["member", "item"]
    ).assign(verb=pd.Categorical(["completed"] * 270, categories=VERBS), occurred_at=1, session=0)
    events[["duration_seconds", "progress", "score"]] = float("nan")
    interactions = build_interactions(events, members=members, items=items, as_of=pd.Timestamp(now))
    lists = {member: names if role == "41" else names[9:] for member, role in members["role"].items()}
    assert check(interactions, lists, min_group_length=0.5) == {}


def test_no_check_compares_with_a_run_that_does_not_exist_yet(now: datetime) -> None:
    interactions = known_of(now)
    lists = change(lists_of({"clerk": ["open"]}), lists_of({}))
    checks, _ = check_change(interactions, lists, None, NightlySettings())
    assert [check["name"] for check in checks] == ["enough of the catalogue is listed"]
    assert [check["name"] for check in gate.check_data(data_of(interactions, 5), None, NightlySettings())] == [
        "the catalogue offers something",
        "the organisation has members",
    ]


@pytest.mark.parametrize(("known_before", "held"), [(100, False), (101, True), (None, False)])
def test_events_may_be_missing_up_to_the_limit(now: datetime, known_before: int | None, held: bool) -> None:
    data = data_of(known_of(now), 90)
    before = {"as_of": now, "counts": {} if known_before is None else {"events": known_before}}
    checks = gate.check_data(data, before, NightlySettings(max_event_loss=0.1))
    assert (gate.GateResult(checks).status == "held") is held
    earlier = {"as_of": now + DAY, "counts": {"events": 1_000}}
    assert gate.GateResult(gate.check_data(data, earlier, NightlySettings())).status == "published"
