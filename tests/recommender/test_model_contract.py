"""Contract of every registered model."""

import re
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal

from features.interactions import Interactions
from recommender.model_contract.checked_model import CheckedModel
from recommender.model_contract.checks import CHECKS, results
from recommender.models.base import Eligibility, Model
from recommender.models.factor_base import FactorModel
from tests.recommender.builders import (
    MODELS,
    SMALL,
    Study,
    items_of,
    make_interactions,
    make_model,
    random_organisation,
)

FROM_HISTORY = (
    "item_knn", "als", "ease", "ease_recent", "transitions", "next_day", "same_day", "user_knn", "user_knn_recent",
    "precedence",
)  # fmt: skip
"""Models that have nothing to say to a member without evidence."""

FROM_DESCRIPTION = ("content", "taste")  # nothing to say to members of whom nothing is known

FOR_NEWCOMERS = ("first_items", "cohort")
"""Models that have nothing to say to a member with history."""

OF_MORE_DAYS = ("next_day", "trend_returning")
"""Models that learn from members who come back on another day."""

QUIET = "m000"  # a member of the organisation that never studied anything


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each model in turn."""
    chosen: str = request.param
    return chosen


@cache
def checked_model_of(name: str) -> CheckedModel:
    """Return each model as the checks take it, fitted once."""
    return CheckedModel(lambda: make_model(name))


@pytest.mark.parametrize("sentence", CHECKS)
def test_every_registered_model_keeps_the_contract(name: str, sentence: str) -> None:
    CHECKS[sentence](checked_model_of(name))


def test_a_member_without_events_gets_a_list_from_models_that_need_no_history_alone(name: str) -> None:
    mine = items_of(checked_model_of(name).model.recommend([QUIET], k=5), QUIET)

    assert len(mine) == (0 if name in FROM_HISTORY else 5)


def test_newcomers_models_list_nothing_that_was_seen_and_all_others_do(name: str) -> None:
    checked = checked_model_of(name)

    assert checked.seen(checked.complete).any() != (name in FOR_NEWCOMERS)


def test_a_member_who_disliked_everything_it_met_counts_as_one_without_evidence(name: str) -> None:
    interactions = make_interactions(
        [("a", "i"), ("a", "j"), ("b", "i"), ("b", "j"), Study("c", "i", "viewed", 3.0), Study("c", "i", "disliked")]
    )

    mine = items_of(make_model(name).fit(interactions).recommend(["c"], k=5), "c")

    assert mine == ([] if name in (*FROM_HISTORY, *FROM_DESCRIPTION, *FOR_NEWCOMERS, *OF_MORE_DAYS) else ["j"])


# ALS begins from different factors, EASE inverts a matrix, and transitions take equal times in the order of ids.
NO_EXACT_TIES = ("als", "ease", "ease_recent", "transitions")


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in (*NO_EXACT_TIES, *FOR_NEWCOMERS, *OF_MORE_DAYS)]
)
def test_items_that_nothing_tells_apart_are_equal_and_come_by_id(name: str) -> None:
    twins = ["y", "x", "z"]
    items = {item: {"topics": "safety"} for item in [*twins, "w"]}
    interactions = make_interactions([(member, item) for member in "abc" for item in items] + [("d", "w")], items=items)

    lists = make_model(name).fit(interactions).recommend(["d"], k=2)

    assert items_of(lists, "d") == ["x", "y"]
    assert len(set(lists["score"])) == 1


# -- the same for the same


@cache
def busy_interactions() -> Interactions:
    """Return the interactions of an organisation large enough for work in threads."""
    return random_organisation(2, members=300, items=60, studies=4_000).interactions


def test_the_same_seed_gives_the_same_lists_with_one_and_with_two_threads(name: str) -> None:
    interactions = busy_interactions()
    lists_by_run = [
        make_model(name, replace(SMALL, threads=threads, seed=5))
        .fit(interactions)
        .recommend(interactions.members.index, k=10)
        for threads in (1, 1, 2, 0)
    ]

    assert len(lists_by_run[0])
    for other in lists_by_run[1:]:
        assert_frame_equal(lists_by_run[0], other)


# -- planted faults


class Sound(Model):
    """Scores items by their evidence."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def _fit(self, interactions: Interactions) -> None:
        self.sums = np.asarray(interactions.matrix(np.inf).sum(axis=0)).ravel().round(3).astype(np.float32)

    def _score(self, interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        del interactions
        return np.tile(self.sums, (len(rows), 1)) * np.float32(self.strength)


class Accumulating(Sound):
    """Remembers that it was fitted before."""

    def _fit(self, interactions: Interactions) -> None:
        super()._fit(interactions)
        self.fits = getattr(self, "fits", 0) + 1
        self.sums *= (-1.0) ** self.fits


class Random(Sound):
    """Scores at random."""

    def _score(self, interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.random.default_rng().random((len(rows), interactions.shape[1]), dtype=np.float32)


class OfPlace(Sound):
    """Scores by the place of a member in the request."""

    def _score(self, interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        scores = super()._score(interactions, rows)
        return scores * np.where(np.arange(len(rows)) % 2, -1, 1).astype(np.float32)[:, None]


class Padding(Sound):
    """Fills lists with items that may not be listed."""

    def _best(self, interactions: Interactions, rows: Any, eligibility: Any, seen: Any, k: int) -> Any:
        del eligibility, seen
        return super()._best(
            interactions,
            rows,
            Eligibility(np.zeros(len(rows), dtype=np.intp), np.ones((1, interactions.shape[1]), dtype=bool)),
            None,
            k,
        )


class Renaming(Sound):
    """Changes its parameter."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(strength * 2)


class OwnState(Sound):
    """Scores by what it learned of members, and not by their interactions."""

    def _fit(self, interactions: Interactions) -> None:
        self.rows = interactions.matrix(np.inf).toarray().astype(np.float32).round(3)

    def _score(self, interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        del interactions
        return self._interactions.matrix(np.inf)[rows].toarray().astype(np.float32) + self.rows[rows]


class Rescaling(Sound):
    """Changes the matrix that other models learn from."""

    def _fit(self, interactions: Interactions) -> None:
        interactions.matrix(np.inf).data[:] = 1.0
        super()._fit(interactions)


class Impatient(Sound):
    """Cannot be fitted on nothing."""

    def _fit(self, interactions: Interactions) -> None:
        self.newest = interactions.cells["last_at"].to_numpy().max()
        super()._fit(interactions)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Accumulating, "it has forgotten what it learned before"),
        (Random, "Asked again it answers the same"),
        (OfPlace, "the same alone and among others"),
        (Padding, "Only allowed items are listed"),
        (Renaming, "A clone has learned nothing"),
        (OwnState, "Stored and loaded again"),
        (OwnState, "Members are scored by the interactions that it is asked with"),
        (Rescaling, "It leaves the interactions as they are"),
        (Impatient, "members and items without any events"),
    ],
)
def test_a_planted_fault_fails_its_check(broken: type[Model], words: str) -> None:
    faults = results(broken)

    assert [sentence for sentence, fault in faults.items() if words in sentence and fault]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda scores: scores[:, 1:], r"the shape \(3, 39\) for 3 rows and 40 items; return \(3, 40\)"),
        (lambda scores: scores.astype(float), "returns float64; return float32"),
        (lambda scores: scores.tolist(), "returns a list; return an array"),
        (lambda scores: np.where(scores > 1, np.nan, scores), "a score is NaN or inf"),
        (lambda scores: np.broadcast_to(scores[:1], scores.shape), "cannot be written to"),
        (lambda _: 1 // 0, r"ZeroDivisionError: .* \(line \d+ of .*test_model_contract.py\)"),
        (lambda _: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_scores_of_another_form_are_described_once(changed: Callable[[Any], Any], words: str) -> None:
    class Other(Sound):
        def _score(self, interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.float32]:
            return changed(super()._score(interactions, rows))

    (fault,) = results(Other).values()

    assert re.search(words, str(fault))


def test_a_sound_model_passes_every_check() -> None:
    assert set(results(Sound).values()) == {None}


# -- memory


@cache
def wide_interactions(n_items: int, n_members: int) -> Interactions:
    """Return interactions of few members with many items."""
    rng = np.random.default_rng(0)
    studied = [
        (f"m{member:02d}", f"i{item:04d}") for member in range(n_members) for item in rng.integers(0, n_items, 8)
    ]
    items = {f"i{n:04d}": {"published_at": f"2026-01-{1 + n % 28:02d}", "topics": f"t{n % 90}"} for n in range(n_items)}
    return make_interactions(studied, items=items)


def test_many_members_are_served_in_blocks_of_bounded_memory_with_the_lists_they_get_alone(name: str) -> None:
    n_items, n_members = 2_000, 50
    interactions = wide_interactions(n_items, n_members)
    model = make_model(name).fit(interactions)
    of_vectors = isinstance(model, FactorModel)
    if not of_vectors:  # products of vectors are taken in blocks of their own, which do not become smaller
        model.block_cells = 1_000_000
    once = model.recommend(interactions.members.index, k=2)
    per_block = model.block_cells // n_items // n_members

    def peak_bytes(times: int) -> tuple[int, pd.DataFrame]:
        tracemalloc.start()
        try:
            lists = model.recommend(list(interactions.members.index) * times, k=2)
            return tracemalloc.get_traced_memory()[1], lists
        finally:
            tracemalloc.stop()

    # While a block is made, the one before is still there: two are the least that many can take.
    two_blocks, _ = peak_bytes(per_block * 2)
    four_blocks, lists = peak_bytes(per_block * 4 - 1)

    assert of_vectors or two_blocks > model.block_cells * np.dtype(np.float32).itemsize
    assert four_blocks < two_blocks * 1.25
    assert len(lists) == len(once) * (per_block * 4 - 1)
    assert lists["item_id"].tolist() == once["item_id"].tolist() * (per_block * 4 - 1)
    assert lists["score"].tolist() == once["score"].tolist() * (per_block * 4 - 1)
