"""Outcomes that lists are judged by: items begun, completed, passed, and members who come back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from content_catalog.schema import ITEMS
from features.schema import MEMBERS
from features.weights import WeightingRules
from recommender.evaluation.cut_offs import EvaluatedCut
from recommender.evaluation.log import Log
from recommender.evaluation.summary import summarise, weighted
from recommender.model_contract.sample import NOW, event_frame, table

CUT = NOW - pd.Timedelta(days=20)


def log_of(*rows: tuple[int, int, str, float]) -> Log:
    """Return the log of events: member, item, verb, and days after the cut-off."""
    members, items, verbs, days = (np.array(column) for column in zip(*rows, strict=True))
    events = event_frame(
        members,
        items,
        verb=verbs.astype(object),
        days_ago=20.0 - days.astype(float),
        seconds=np.full(len(rows), np.nan),
        progress=np.full(len(rows), np.nan),
    )
    people, content = (table(kind, {name: {} for name in names}) for kind, names in ((MEMBERS, "ab"), (ITEMS, "xyz")))
    return Log(events, people, content, WeightingRules())


BEGUN = np.array([[True, True, False], [False, False, True]])
EVENTS = (
    (0, 0, "viewed", 0.5),
    (0, 1, "viewed", 0.6),
    (0, 0, "completed", 6.9),
    (0, 1, "completed", 7.1),
    (1, 2, "passed", 0.2),
    (1, 2, "dismissed", 8.0),
)


def test_outcomes_count_within_their_days_alone() -> None:
    outcomes = log_of(*EVENTS, (1, 0, "viewed", 14.5)).outcomes(CUT, np.array([0, 1]), BEGUN)

    assert {name: led.toarray().tolist() for name, led in outcomes.items()} == {
        "completed": [[True, False, False], [False, False, True]],
        "passed": [[False, False, False], [False, False, True]],
        "returned": [[True, True, False], [False, False, False]],
    }


def test_outcomes_that_the_log_ends_too_early_for_are_left_out() -> None:
    members = np.array([0, 1])

    assert set(log_of(*EVENTS).outcomes(CUT, members, BEGUN)) == {"completed", "passed"}
    assert log_of(*EVENTS[:3]).outcomes(CUT - pd.Timedelta(days=0.5), members, BEGUN).keys() == {"completed", "passed"}
    assert log_of(*EVENTS[:2]).outcomes(CUT, members, BEGUN) == {}


def test_the_objective_is_the_mean_of_ndcg_by_outcome_over_the_lists_that_have_it() -> None:
    listed = np.array([[1, 0], [0, 2]])
    hits = np.array([[True, True], [False, True]])
    completed = csr_matrix(np.array([[True, False, False], [False, False, False]]))
    cut = EvaluatedCut(
        cut=CUT,
        members=np.array([0, 1]),
        warm=np.array([True, True]),
        tenure_days=np.array([1.0, 1.0]),
        true=BEGUN,
        n_true=np.array([2, 1]),
        listed={"als": listed},
        hits={"als": hits},
        studied=np.zeros(3, dtype=np.int64),
        n_open=3,
        seen=csr_matrix(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])),
        outcomes={"completed": completed},
    )
    objective = {"began": 1.0, "completed": 1.0, "passed": 8.0}
    rows = summarise([cut], {"warm": [cut.warm]}, vectors=csr_matrix((3, 1)), n_members=2, objective=objective)

    assert rows[0]["miscalibration"] is None, "no item has a topic"
    # The completed item stands second on the only list that has one: 1 / log2(3).
    second = 1 / np.log2(3)
    began = (1.0 + second) / 2
    assert rows[0]["objectives"] == {
        "began": pytest.approx(began),
        "completed": pytest.approx(second),
        "passed": None,
        "returned": None,
    }
    assert rows[0]["objective"] == pytest.approx((began + second) / 2)
    (plain,) = summarise([replace(cut, outcomes={})], {"warm": [cut.warm]}, vectors=csr_matrix((3, 1)), n_members=2)
    assert plain["objective"] == plain["ndcg"]
    assert weighted(plain["objectives"], {"completed": 1.0}) is None


def test_miscalibration_is_of_the_lists_of_members_with_a_history() -> None:
    """The member studied one item of each of two topics, and the list is of the first alone.

    With 0.01 of the member's shares mixed into the list's, these are 0.995 and 0.005.
    """
    cut = EvaluatedCut(
        cut=CUT,
        members=np.array([0, 1]),
        warm=np.array([True, False]),
        tenure_days=np.array([1.0, 1.0]),
        true=BEGUN,
        n_true=np.array([2, 1]),
        listed={"als": np.array([[1, -1], [0, 2]])},
        hits={"als": np.zeros((2, 2), dtype=bool)},
        studied=np.zeros(3, dtype=np.int64),
        n_open=3,
        seen=csr_matrix(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])),
    )
    topics = csr_matrix(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))

    all_lists = {"all": [np.array([True, True])], "cold": [~cut.warm]}
    (row, cold) = summarise([cut], all_lists, vectors=topics, n_members=2)

    assert row["miscalibration"] == pytest.approx(0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005))
    assert cold["miscalibration"] is None
