"""Ranking: what a ranker makes of the scores beside its trees."""

import numpy as np
import pytest

from recommender.ranking.ranker import (
    NEW_DAYS,
    NEW_ODDS,
    WEIGHTS,
    BaseScore,
    Ranker,
    Scores,
    TrainingExamples,
    why_too_few,
)

LISTS, CANDIDATES = 60, 40
BESIDE = BaseScore(scores=0, published_days=3)


def nights(n: int, *, told: float, seed: int = 0) -> list[TrainingExamples]:
    """Return nights on which items are studied as the first feature tells to a power, the others nothing."""
    rng = np.random.default_rng(seed)
    return [night(rng, told) for _ in range(n)]


def night(rng: np.random.Generator, told: float) -> TrainingExamples:
    """Return what one night teaches: one item of each list is studied."""
    features = rng.random((LISTS * CANDIDATES, 4)).astype(np.float32)
    features[:, 0] **= 3
    features[:, 3] += NEW_DAYS
    chance = np.power(features[:, 0].reshape(LISTS, CANDIDATES).astype(np.float64), told)
    chance /= chance.sum(axis=1, keepdims=True)
    picked = [rng.choice(CANDIDATES, p=one) for one in chance]
    studied = np.zeros((LISTS, CANDIDATES), dtype=bool)
    studied[np.arange(LISTS), picked] = True
    row = np.repeat(np.arange(LISTS), CANDIDATES)
    members = np.arange(LISTS).astype(str).astype(object)
    return TrainingExamples.of(features, row, studied.ravel(), np.ones(LISTS, np.int64), members)


def untold(given: list[TrainingExamples]) -> list[TrainingExamples]:
    """Return nights of which the first feature is not known."""
    for one in given:
        one.features[:, 0] = np.nan
    return given


def scores_of(given: list[TrainingExamples]) -> Scores:
    """Return the features of the last night."""
    return given[-1].features


def test_scores_that_tell_what_is_studied_are_added_to_what_the_trees_say() -> None:
    given = nights(16, told=2.0)

    ranker = Ranker(base_score=BESIDE).fit(given)

    assert ranker.stacking_weight > 0
    likely = ranker.score(scores_of(given))
    assert np.all((likely >= 0) & (likely <= 1))


def test_scores_that_would_put_the_best_last_are_not_added() -> None:
    given = nights(16, told=-2.0)

    assert Ranker(base_score=BESIDE).fit(given).stacking_weight == 0


@pytest.mark.parametrize("n", [4, 16])
def test_without_scores_or_with_few_nights_the_trees_rank_alone(n: int) -> None:
    given = nights(n, told=2.0)
    if n == 16:
        untold(given)
    assert not why_too_few(given)

    ranker = Ranker(base_score=BESIDE).fit(given)

    assert ranker.stacking_weight == 0
    assert np.array_equal(ranker.score(scores_of(given)), Ranker().fit(given).score(scores_of(given)))


def test_a_candidate_without_a_score_counts_as_a_middling_one() -> None:
    given = nights(16, told=2.0)
    ranker = Ranker(base_score=BESIDE).fit(given)
    one = scores_of(given)[:1].repeat(3, axis=0)
    one[:, 0] = [0.001, np.nan, 1.0]

    low, _, high = ranker.score(one)

    assert ranker.stacking_weight in WEIGHTS
    assert low < high
    assert np.isfinite(ranker.score(one)).all()


def test_new_items_that_content_has_an_opinion_of_have_higher_odds() -> None:
    given = nights(16, told=2.0)
    ranker = Ranker(base_score=BESIDE).fit(given)
    one = scores_of(given)[:1].repeat(4, axis=0)
    one[:, 3] = [NEW_DAYS, NEW_DAYS - 0.01, NEW_DAYS, NEW_DAYS - 0.01]  # no tree tells these apart
    one[2:, 0] = np.nan

    likely = ranker.score(one)

    odds = likely / (1 - likely)
    assert odds[1] / odds[0] == pytest.approx(NEW_ODDS)
    assert odds[3] == odds[2]
