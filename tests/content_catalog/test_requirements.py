"""Due dates of requirements."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.requirements import Requirement, add_months, fault_of, met_on

FIRST = date(2026, 3, 1)
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
MAYBE = st.none() | DAYS


def due_on(
    requirement: Requirement,
    *,
    joined_on: date | None = None,
    role_since: date | None = None,
    finished_on: date | None = None,
) -> date | None:
    """Return the day of the due date, None where there is none."""
    due = requirement.due(joined_on=joined_on, role_since=role_since, finished_on=finished_on)
    return None if due is None else due.due_on


@pytest.mark.parametrize(
    ("joined_on", "finished_on", "expected"),
    [
        (None, None, FIRST),
        (date(2020, 1, 1), None, FIRST),
        (None, date(2019, 1, 1), None),
        (date(2026, 3, 2), None, date(2026, 3, 12)),
    ],
)
def test_a_day_for_everybody_is_later_for_who_joins_after_it(
    joined_on: date | None, finished_on: date | None, expected: date | None
) -> None:
    requirement = Requirement("r", ("i",), due_on=FIRST, open_days=10)
    assert due_on(requirement, joined_on=joined_on, finished_on=finished_on) == expected


def test_days_count_from_joining_from_the_role_and_from_the_start_of_the_requirement() -> None:
    joining = Requirement("r", ("i",), days_after_joining=30)
    assert due_on(joining, joined_on=FIRST) == date(2026, 3, 31)
    assert due_on(joining) is None
    started = Requirement("r", ("i",), days_after_joining=30, starts_on=date(2026, 6, 1))
    assert due_on(started, joined_on=FIRST) == due_on(started) == date(2026, 7, 1)
    role = Requirement("r", ("i",), days_after_role=7)
    assert due_on(role, joined_on=FIRST, role_since=date(2026, 5, 1)) == date(2026, 5, 8)
    assert due_on(role, joined_on=FIRST) == date(2026, 3, 8)


@pytest.mark.parametrize(
    ("finished_on", "expected"),
    [
        (None, FIRST),
        (date(2026, 1, 29), FIRST),  # before it opens
        (date(2026, 1, 30), date(2026, 6, 1)),  # the first of 30 days
        (date(2026, 4, 1), date(2026, 6, 1)),  # late, and not yet for June
        (date(2026, 5, 2), date(2026, 9, 1)),
    ],
)
def test_a_quarterly_requirement_is_met_from_its_opening_on(finished_on: date | None, expected: date) -> None:
    requirement = Requirement("r", ("i",), due_on=FIRST, months=3, open_days=30)
    assert due_on(requirement, finished_on=finished_on) == expected


@pytest.mark.parametrize(
    ("joined_on", "finished_on", "expected"),
    [
        (date(2026, 3, 1), None, FIRST),
        (date(2026, 3, 2), None, date(2026, 5, 31)),
        (date(2026, 3, 2), date(2026, 3, 5), date(2027, 3, 1)),
        (date(2026, 12, 15), None, date(2027, 3, 1)),  # that of the next year is open already
    ],
)
def test_who_joins_after_the_day_of_a_year_has_the_open_days(
    joined_on: date, finished_on: date | None, expected: date
) -> None:
    requirement = Requirement("r", ("i",), due_on=FIRST, months=12, open_days=90)
    assert due_on(requirement, joined_on=joined_on, finished_on=finished_on) == expected


@given(
    joined_on=MAYBE,
    finished_on=MAYBE,
    later=st.integers(0, 800),
    months=st.sampled_from([0, 3, 12]),
    open_days=st.integers(1, 60),
    starts_on=MAYBE,
)
def test_finishing_later_never_brings_a_due_date_forward(
    joined_on: date | None,
    finished_on: date | None,
    later: int,
    months: int,
    open_days: int,
    starts_on: date | None,
) -> None:
    requirement = Requirement("r", ("i",), due_on=FIRST, months=months, open_days=open_days, starts_on=starts_on)
    first = due_on(requirement, joined_on=joined_on)
    before = due_on(requirement, joined_on=joined_on, finished_on=finished_on)
    after = due_on(
        requirement,
        joined_on=joined_on,
        finished_on=None if finished_on is None else finished_on + timedelta(days=later),
    )
    if months:
        assert first is not None
        assert before is not None
        assert after is not None
        assert first <= before <= after
    else:
        assert first is not None
        assert (before is None) == (finished_on is not None)


@given(joined_on=DAYS, months=st.sampled_from([0, 3, 12]), open_days=st.integers(1, 60))
def test_nobody_who_joins_is_late_on_the_first_day(joined_on: date, months: int, open_days: int) -> None:
    requirement = Requirement("r", ("i",), due_on=FIRST, months=months, open_days=open_days)
    due = requirement.due(joined_on=joined_on, role_since=None, finished_on=None)
    assert due is not None
    assert due.due_on >= joined_on
    assert due.opens_on <= max(due.due_on, joined_on)


def test_months_end_on_their_last_day_at_most() -> None:
    assert add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert add_months(date(2026, 3, 31), -1) == date(2026, 2, 28)


def test_all_items_are_met_on_the_day_of_the_last_one() -> None:
    finished = {"a": date(2026, 1, 1), "b": date(2026, 1, 3)}
    assert met_on(("a", "b"), finished) == date(2026, 1, 3)
    assert met_on(("a", "c"), finished) is None
    assert met_on((), finished) is None


def test_days_are_whole() -> None:
    row = dict.fromkeys(("due_on", "days_after_role", "recurrence", "open_days")) | {"requirement_id": "r"}
    assert fault_of({**row, "days_after_joining": 1.5}) == ("days_after_joining", "give whole days")
    assert fault_of({**row, "days_after_joining": 1.0}) is None
