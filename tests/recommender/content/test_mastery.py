"""Mastery and recall: worked by hand, and their order whatever members did."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.interactions import Interactions, build_interactions
from features.schema import VERBS
from features.study_time import DAY_MICROSECONDS
from recommender.content.mastery import COMPLETED, GRADED, item_recall, mastery, recall, topic_mastery

AS_OF = pd.Timestamp("2026-03-01T12:00Z")
COUNTS = st.floats(0, 1_000)
TOPICS = ["safety", "safety;history", None]


def interactions_of(*events: tuple[Any, ...], personalised: bool = True) -> Interactions:
    """Return interactions from events ``item, verb, days ago, score, progress`` of one member."""
    rows = pd.DataFrame([(*event, *[math.nan] * (5 - len(event))) for event in events])
    rows.columns = pd.Index(["item", "verb", "days", "score", "progress"])
    frame = pd.DataFrame(
        {
            "member": np.zeros(len(rows), dtype="int32"),
            "item": rows["item"].astype("int32"),
            "verb": pd.Categorical(rows["verb"], categories=VERBS),
            "occurred_at": AS_OF.value // 1_000 - (rows["days"] * DAY_MICROSECONDS).astype("int64"),
            "duration_seconds": math.nan,
            "progress": rows["progress"].astype("float64"),
            "score": rows["score"].astype("float64"),
            "session": 0,
        }
    )
    members = pd.DataFrame({"personalised": [personalised]}, index=["m"])
    items = pd.DataFrame({"duration_seconds": math.nan, "topics": TOPICS}, index=["a", "b", "c"])
    return build_interactions(frame, members=members, items=items, as_of=AS_OF)


def test_graded_attempts_add_their_scores_and_finished_days_count_once() -> None:
    cells = interactions_of(
        (0, "passed", 3),
        (0, "failed", 3),
        (0, "answered", 2, 0.25),
        (0, "completed", 1),
        (0, "progressed", 1, math.nan, 1),
    ).cells
    row = cells.iloc[0]

    # A pass, a fail and a quarter: 1.25 and 0 + 1 + .75; finished three days and one day ago.
    assert (row["successes"], row["failures"], row["finished_days"]) == (1.25, 1.75, 2)


def test_mastery_of_a_topic_is_of_graded_attempts_and_else_of_completions() -> None:
    table = topic_mastery(
        interactions_of((0, "completed", 9), (0, "completed", 4), (1, "answered", 5, 1.0), (2, "passed", 1))
    )

    # The first item was completed, the second answered: safety is graded, by the one answer alone.
    expected = 1 / (1 + math.exp(-(0.73 + 0.58 * math.log(2))))
    assert table["topic"].tolist() == ["history", "safety"]
    assert table["basis"].tolist() == [GRADED, GRADED]
    assert table["mastery"].tolist() == pytest.approx([expected, expected])
    completions = topic_mastery(
        interactions_of((0, "completed", 9), (0, "completed", 4), (1, "completed", 4))
    ).set_index("topic")
    assert completions["basis"].tolist() == [COMPLETED, COMPLETED]
    assert completions["successes"].to_dict() == {"history": 1.0, "safety": 2.0}


def test_what_was_only_begun_says_nothing_and_members_without_personalisation_have_no_mastery() -> None:
    assert topic_mastery(interactions_of((0, "progressed", 3, math.nan, 0.5), (1, "viewed", 2))).empty
    assert topic_mastery(interactions_of((0, "passed", 3, 0.9), personalised=False)).empty


def test_recall_of_an_item_counts_days_from_the_last_study_and_each_finished_day() -> None:
    values = item_recall(interactions_of((0, "completed", 40), (0, "completed", 30), (1, "viewed", 2)))

    odds = math.exp(1.81 + 0.74 * math.log(3)) * 30**-0.25
    assert values[0] == pytest.approx(odds / (1 + odds))
    assert math.isnan(values[1])


def test_as_many_failures_as_successes_are_graded_attempts_all_the_same() -> None:
    values = item_recall(interactions_of((0, "passed", 2), (0, "failed", 1), (0, "completed", 1)))

    # One success and one failure, a day ago: 1.81 + .74 ln 2 - 1.43 ln 2 = 1.33 in log-odds; not two finished days.
    assert values[0] == pytest.approx(1 / (1 + math.exp(-(1.81 - 0.69 * math.log(2)))))


def test_passing_an_item_several_times_in_a_day_is_one_success() -> None:
    once, often, spaced = (
        item_recall(interactions_of(*((0, "passed", day) for day in days)))[0]
        for days in ([30.1], [30.3, 30.2, 30.1], [40, 30.1])
    )

    assert once == often < spaced


@given(st.lists(st.tuples(st.sampled_from(["passed", "completed"]), st.integers(1, 9)), min_size=1))
def test_a_day_counts_the_same_whether_the_item_was_passed_or_completed_on_it(events: list[tuple[str, int]]) -> None:
    mixed = item_recall(interactions_of(*((0, verb, day) for verb, day in events)))
    completed = item_recall(interactions_of(*((0, "completed", day) for _, day in events)))

    assert mixed[0] == completed[0]


@given(COUNTS, COUNTS, st.floats(0, 3_000), st.floats(0.01, 10))
def test_recall_falls_with_days_and_failures_and_rises_with_successes(
    successes: float, failures: float, days: float, more: float
) -> None:
    def at(right: float, wrong: float, ago: float) -> float:
        return float(recall(np.array([right]), np.array([wrong]), np.array([ago]))[0])

    assert 0 < at(successes, failures, days) < 1
    assert at(successes, failures, days + more) <= at(successes, failures, days)
    assert at(successes, failures + more, days) < at(successes, failures, days) < at(successes + more, failures, days)


@given(COUNTS, COUNTS, st.floats(0.01, 10))
def test_mastery_rises_with_successes_and_falls_with_failures(successes: float, failures: float, more: float) -> None:
    low, middle, high = mastery(
        np.array([successes, successes, successes + more]), np.array([failures + more, failures, failures])
    )

    assert 0 < low < middle < high < 1
