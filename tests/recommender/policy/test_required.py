"""Slack of required study and places of required items."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from content_catalog.requirements import Requirement
from recommender.policy.pace import GroupPaces, own_pace
from recommender.policy.required import (
    DEFAULT_PACE_SECONDS,
    RequiredItems,
    StudyRecord,
    next_steps,
    obligations,
    placed,
    slack_days,
)

TODAY = date(2026, 3, 2)
NEEDS = {"c": ["b"], "b": ["a"], "x": ["y"], "y": ["x"]}
ITEMS = RequiredItems(lambda _item: 600.0, lambda item: NEEDS.get(item, []), lambda item: item != "hidden")
ENTRIES = st.lists(st.integers(), max_size=8)


def test_the_days_needed_count_prerequisites_and_what_is_left_only() -> None:
    requirement = Requirement("r", ("a", "c"), due_on=TODAY + timedelta(days=4))
    [owed] = obligations([requirement], StudyRecord((), pace_seconds=300.0), ITEMS, TODAY)
    assert owed.steps == ("a", "b", "c")
    assert owed.slack_days == 5 - 6
    begun = StudyRecord((), finished={"a": TODAY}, pace_seconds=300.0)
    [owed] = obligations([requirement], begun, ITEMS, TODAY)
    assert (owed.steps, owed.slack_days) == (("b", "c"), 5 - 4)
    assert owed.reason("b", TODAY)["code"] == "needed_for_required"
    assert owed.reason("b", TODAY)["arguments"]["item_id"] == "c"
    assert owed.reason("c", TODAY)["code"] == "required"
    assert owed.reason("c", TODAY + timedelta(days=4))["code"] == "required", "on the day it is due"
    assert owed.reason("c", TODAY + timedelta(days=5))["code"] == "overdue"


def test_an_item_of_unknown_length_counts_as_ten_minutes() -> None:
    items = RequiredItems(lambda _item: None, lambda _item: [], lambda _item: True)
    [owed] = obligations([Requirement("r", ("a",), due_on=TODAY)], StudyRecord((), pace_seconds=600.0), items, TODAY)
    assert owed.slack_days == 1 - 1
    [owed] = obligations([Requirement("r", ("a",), due_on=TODAY)], StudyRecord((), pace_seconds=599.0), items, TODAY)
    assert owed.slack_days == 1 - 2


def test_a_share_that_is_not_exactly_whole_puts_the_required_entry_at_its_place() -> None:
    # As floats 0.07 times 100 is a little more than 7, and 0.29 times 100 a little less than 29.
    assert 0.29 * 100 < 29
    entries = list(placed([], ["r"] * 29, iter(range(200)), 0.29))
    assert entries[:100].count("r") == 29


def test_items_that_nobody_can_open_are_not_asked_for_and_cycles_end() -> None:
    assert obligations([Requirement("r", ("hidden",), due_on=TODAY)], StudyRecord(()), ITEMS, TODAY) == []
    [owed] = obligations([Requirement("r", ("hidden", "x"), due_on=TODAY)], StudyRecord(()), ITEMS, TODAY)
    assert owed.steps == ("y", "x")
    chain = replace(ITEMS, prerequisites=lambda item: [f"{int(item) + 1}"] if int(item) < 5_000 else [])
    [owed] = obligations([Requirement("r", ("0",), due_on=TODAY)], StudyRecord(()), chain, TODAY)
    assert (owed.steps[0], owed.steps[-1], len(owed.steps)) == ("5000", "0", 5_001)


def test_a_waiver_an_audience_and_a_day_that_has_not_come_leave_nothing() -> None:
    drivers = Requirement("r", ("a",), targets=(frozenset({"83"}),), due_on=TODAY)
    yearly = Requirement("s", ("a",), due_on=TODAY + timedelta(days=61), months=12, open_days=60)
    driver = StudyRecord((frozenset({"8", "83"}),), waived=frozenset({"r"}))
    assert obligations([drivers, yearly], driver, ITEMS, TODAY) == []
    assert [owed.requirement_id for owed in obligations([yearly], driver, ITEMS, TODAY + timedelta(days=1))] == ["s"]


def test_an_item_of_two_requirements_stands_for_the_more_urgent_one() -> None:
    both = [
        Requirement("late", ("a",), due_on=TODAY + timedelta(days=9)),
        Requirement("soon", ("a", "b"), due_on=TODAY),
    ]
    owed = obligations(both, StudyRecord(()), ITEMS, TODAY)
    assert [(each.requirement_id, item) for each, item in next_steps(owed, lambda _item: True)] == [("soon", "a")]
    assert next_steps(owed, lambda _item: False) == []


@given(
    due=st.integers(-20, 60),
    seconds=st.floats(1, 1e6),
    pace=st.floats(1, 1e5),
    more=st.floats(0, 1e5),
    wait=st.integers(0, 9),
)
def test_slack_falls_with_time_and_with_what_is_left(
    due: int, seconds: float, pace: float, more: float, wait: int
) -> None:
    day = TODAY + timedelta(days=due)
    slack = slack_days(day, TODAY, seconds=seconds, pace_seconds=pace)
    assert slack_days(day, TODAY, seconds=seconds + more, pace_seconds=pace) <= slack
    assert slack_days(day, TODAY, seconds=seconds, pace_seconds=pace + more) >= slack
    assert slack_days(day, TODAY + timedelta(days=wait), seconds=seconds, pace_seconds=pace) == slack - wait


@given(urgent=ENTRIES, required=ENTRIES, others=st.lists(st.integers(), max_size=40), share=st.floats(0, 1))
def test_a_list_has_all_that_is_urgent_first_and_the_rest_within_its_share(
    urgent: list[int], required: list[int], others: list[int], share: float
) -> None:
    marked = list(placed([("u", n) for n in urgent], [("r", n) for n in required], (("o", n) for n in others), share))
    assert [n for kind, n in marked if kind == "o"] == others
    assert [n for kind, n in marked if kind != "o"] == [*urgent, *required], "rank is monotone in slack"
    last = max((place for place, (kind, _) in enumerate(marked, 1) if kind == "o"), default=0)
    for place in range(1, last + 1):
        count = sum(kind != "o" for kind, _ in marked[:place])
        assert count <= max(len(urgent), place * share + 1e-6)


@given(days=st.lists(st.integers(0, 200), max_size=12), tenure=st.integers(1, 400), seconds=st.floats(1, 1e4))
def test_a_pace_never_exceeds_what_was_finished(days: list[int], tenure: int, seconds: float) -> None:
    pace = own_pace([(day, seconds) for day in days], tenure)
    lately = [day for day in days if day < 90]
    if len(lately) < 3:
        assert pace is None
    else:
        assert pace is not None
        assert seconds * len(lately) / 90 <= pace * 1.0001
        assert pace <= seconds * len(lately) / 7 * 1.0001


def test_a_group_that_is_too_small_leaves_the_word_to_the_one_above() -> None:
    lorry, bus = (("8", "83", "833"), ("H",)), (("8", "83", "834"), ("H",))
    groups = GroupPaces([(lorry, 100.0), (lorry, 200.0), (bus, 600.0)], min_group_size=2)
    assert groups.of(lorry) == 150.0
    assert groups.of(bus) == 200.0
    assert groups.of((("1",), ())) == 200.0
    assert GroupPaces([], min_group_size=1).of(bus) == DEFAULT_PACE_SECONDS


def test_slack_counts_what_is_due_before_and_what_has_to_wait() -> None:
    due = {"early": 5, "middle": 6, "late": 12}
    requirements = [Requirement(name, (name,), due_on=TODAY + timedelta(days=days - 1)) for name, days in due.items()]
    # At one day for 600 seconds they take 2, 3 and 9 days: 14 days for all, of which 12 are left.
    seconds = {"early": 1_200.0, "middle": 1_800.0, "late": 5_400.0}
    items = RequiredItems(seconds.get, lambda _: (), lambda _: True)
    owed = obligations(requirements, StudyRecord((), pace_seconds=600.0), items, TODAY)
    assert [(each.requirement_id, each.spare_days, each.slack_days) for each in owed] == [
        ("early", 5 - 2, -2),
        ("middle", 6 - 5, -2),
        ("late", 12 - 14, -2),
    ]


def test_cautious_slack_counts_on_a_part_of_the_pace() -> None:
    required = Requirement("a", ("a",), due_on=TODAY + timedelta(days=9))
    items = RequiredItems(lambda _: 1_800.0, lambda _: (), lambda _: True)
    # 1,800 seconds take 3 days at 600 a day, and 6 at half of that.
    [owed] = obligations([required], StudyRecord((), pace_seconds=600.0), items, TODAY, margin=0.5)
    assert (owed.slack_days, owed.cautious_slack_days) == (10 - 3, 10 - 6)


@given(smaller=st.floats(0, 0.95), larger=st.floats(0, 0.95), seconds=st.integers(1, 50_000))
def test_a_larger_margin_never_lets_a_requirement_wait_longer(smaller: float, larger: float, seconds: int) -> None:
    smaller, larger = sorted((smaller, larger))
    items = RequiredItems(lambda _: float(seconds), lambda _: (), lambda _: True)
    required = Requirement("a", ("a",), due_on=TODAY + timedelta(days=20))
    member = StudyRecord((), pace_seconds=600.0)
    [[early], [late]] = (obligations([required], member, items, TODAY, margin=each) for each in (larger, smaller))
    assert early.cautious_slack_days <= late.cautious_slack_days <= late.slack_days == early.slack_days
