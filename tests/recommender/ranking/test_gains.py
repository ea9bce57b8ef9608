"""Objectives that a ranker learns by: gains of outcomes, weights of lists, graded NDCG."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.ranking.examples import (
    BEGAN_ALONE,
    OUTCOMES,
    TrainingExamples,
    counts_by_outcomes,
    gains,
    n_positives,
    ndcg_of_lists,
    weight_of_items,
    weight_of_lists,
)
from recommender.ranking.prior import Prior, fit_prior
from recommender.ranking.ranker import LEARNED_POSITIVES, Ranker

BEGAN, COMPLETED, PASSED = (1 << OUTCOMES.index(name) for name in ("began", "completed", "passed"))
CANDIDATES = 30


def examples_of(outcomes: np.ndarray, features: np.ndarray | None = None) -> TrainingExamples:
    """Return lists with all of their candidates: outcomes (n_lists, n_candidates)."""
    ids = np.array([f"m{number}" for number in range(len(outcomes))], dtype=object)
    row = np.repeat(np.arange(len(outcomes)), outcomes.shape[1])
    features = np.zeros((len(row), 1), dtype=np.float32) if features is None else features
    return TrainingExamples.of(features, row, outcomes.ravel(), counts_by_outcomes(outcomes), ids)


def test_a_rare_outcome_gains_more_on_each_list_that_has_it() -> None:
    """Weights 1:3 are a quarter and three quarters; of four lists one has an item passed: it gains 4 times 3/4."""
    outcomes = np.uint8([[BEGAN | PASSED, BEGAN, 0], [BEGAN, 0, 0], [BEGAN, 0, 0], [BEGAN, BEGAN, 0]])
    examples = examples_of(outcomes)

    gain = gains([examples], {"began": 1.0, "passed": 3.0})

    assert gain[[0, BEGAN, BEGAN | PASSED]].tolist() == [0.0, 0.25, 3.25]
    assert weight_of_lists(examples, gain).tolist() == [3.25, 0.25, 0.25, 0.25]
    assert weight_of_items(examples, gain).tolist() == [1.625, 0.25, 0.25, 0.125]


def test_items_without_an_outcome_of_the_objective_are_not_positive() -> None:
    outcomes = np.uint8([[BEGAN | PASSED, BEGAN, 0], [BEGAN | COMPLETED, 0, 0]])
    examples, objective = examples_of(outcomes), {"began": 0.0, "passed": 1.0}

    gain = gains([examples], objective)

    assert n_positives([examples], objective) == 1
    assert gain[[BEGAN, BEGAN | COMPLETED, BEGAN | PASSED]].tolist() == [0.0, 0.0, 2.0]
    assert weight_of_lists(examples, gain).tolist() == [2.0, 0.0]
    assert gains([examples], {"returned": 1.0}).tolist() == [0.0] * 16, "no list has it"
    assert gains([], {"began": 1.0, "passed": 3.0})[[BEGAN, BEGAN | PASSED]].tolist() == [0.25, 1.0]


@given(
    seed=st.integers(0, 10_000), lists=st.integers(1, 8), weights=st.lists(st.integers(0, 5), min_size=4, max_size=4)
)
def test_weights_of_lists_have_the_mean_1_and_are_1_where_only_items_begun_count(
    seed: int, lists: int, weights: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    outcomes = (rng.integers(0, 16, size=(lists, 5)) | BEGAN).astype(np.uint8)
    outcomes[:, -1] = 15  # every outcome is somewhere
    examples = examples_of(outcomes)

    begun = gains([examples], BEGAN_ALONE)

    assert begun[outcomes].all()
    assert weight_of_lists(examples, begun).tolist() == [1.0] * lists
    if sum(weights):
        gain = gains([examples], dict(zip(OUTCOMES, weights, strict=True)))
        assert weight_of_lists(examples, gain).mean() == pytest.approx(1.0)
        assert np.nanmax(ndcg_of_lists(gain[outcomes].ravel(), examples, gain), initial=1.0) == pytest.approx(1.0)


def test_graded_ndcg_is_worked_out_by_hand() -> None:
    """Gains 3 and 1: ranked second and first they have 1 + 3 / log2(3) of 3 + 1 / log2(3); one list has none."""
    outcomes = np.uint8([[BEGAN | PASSED, BEGAN, 0], [BEGAN | COMPLETED, 0, 0]])
    gain = np.zeros(16)
    gain[BEGAN | PASSED], gain[BEGAN] = 3.0, 1.0
    score = np.array([0.5, 0.9, 0.1, 0.3, 0.2, 0.1])

    graded = ndcg_of_lists(score, examples_of(outcomes), gain)

    assert graded[0] == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))
    assert np.isnan(graded[1])


def simulated(lists: int, seed: int) -> TrainingExamples:
    """Return lists whose items are begun by the first feature, and passed, of those begun, by the second."""
    rng = np.random.default_rng(seed)
    features = rng.random((lists, CANDIDATES, 2)).astype(np.float32)
    begun = rng.random((lists, CANDIDATES)) < 0.6 * features[:, :, 0] ** 4
    begun[~begun.any(axis=1), 0] = True
    passed = begun & (rng.random((lists, CANDIDATES)) < features[:, :, 1] ** 3)
    names = np.full((lists * CANDIDATES, 4), np.nan, dtype=np.float32)
    names[:, :2] = features.reshape(-1, 2)
    return examples_of((begun * BEGAN + passed * PASSED).astype(np.uint8), names)


@pytest.fixture(scope="module")
def prior() -> Prior:
    """Return a prior that was learned from items begun."""
    return Prior(fit_prior([simulated(200, 1)], ("a", "b", "c", "d")), ("a", "b", "c", "d"))


def test_a_ranker_is_best_at_what_it_learned_by(prior: Prior) -> None:
    rankers = [
        Ranker(prior, objective).fit([simulated(1_500, 2)])
        for objective in (BEGAN_ALONE, {"began": 0.5, "passed": 0.5}, {"passed": 1.0})
    ]
    on = simulated(300, 3)
    begun, passed = (gains([on], {name: 1.0}) for name in ("began", "passed"))

    by_begun = [np.nanmean(ndcg_of_lists(ranker.score(on.features), on, begun)) for ranker in rankers]
    by_passed = [np.nanmean(ndcg_of_lists(ranker.score(on.features), on, passed)) for ranker in rankers]

    assert by_begun[0] == max(by_begun)
    assert by_passed == sorted(by_passed)
    assert by_passed[2] > 1.1 * by_passed[0]


def test_outcomes_change_nothing_where_only_items_begun_count(prior: Prior) -> None:
    part = simulated(300, 2)
    plain = TrainingExamples.of(
        part.features, part.row, part.studied, part.n_true.sum(axis=1), np.arange(300).astype(str).astype(object)
    )

    graded, binary = (Ranker(prior).fit([examples]) for examples in (part, plain))

    assert np.array_equal(graded.score(part.features), binary.score(part.features))
    assert graded.n_positives == binary.n_positives


def test_the_prior_fades_by_the_positive_items_of_the_objective(prior: Prior) -> None:
    part = simulated(600, 2)

    by_passed = Ranker(prior, {"passed": 1.0}).fit([part])

    n_passed = int((part.outcomes & PASSED > 0).sum())
    assert by_passed.n_positives == n_passed < LEARNED_POSITIVES < n_positives([part])
    assert by_passed.state == "mixed"
    assert by_passed.prior_weight == pytest.approx(1 - n_passed / LEARNED_POSITIVES)
    never = Ranker(prior, {"returned": 1.0}).fit([part])
    assert never.state == "prior", "no list has that outcome"
    assert np.array_equal(never.score(part.features), prior.score(part.features))
