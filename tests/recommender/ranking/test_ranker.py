"""Learned ranking: the prior alone, mixed with own trees, and own trees alone."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.errors import ModelError
from recommender.ranking.examples import (
    BEGAN_ALONE,
    TrainingExamples,
    gains,
    n_positives,
    ndcg_of_lists,
    weight_of_items,
)
from recommender.ranking.linear import LinearRanking
from recommender.ranking.prior import LOCAL_FEATURES, PRIOR_FILE, Prior, fit_prior, shipped_prior
from recommender.ranking.ranker import LEARNED_POSITIVES, OWN_TREES_POSITIVES, Ranker, prior_weight
from recommender.registry import feature_names

CANDIDATES = 40
NAMES = ("a", "b", "c", "weekday")
EACH_FEATURE = np.eye(len(NAMES) + 1)
MAX_PRIOR_BYTES = 500_000


def night(lists: int, *, feature: int, power: float, seed: int) -> TrainingExamples:
    """Return a night on which one item of each list is studied, with odds that are a power of one feature."""
    rng = np.random.default_rng(seed)
    features = rng.random((lists * CANDIDATES, len(NAMES))).astype(np.float32)
    odds = np.power(features[:, feature].reshape(lists, CANDIDATES).astype(np.float64), power)
    odds /= odds.sum(axis=1, keepdims=True)
    studied = np.zeros((lists, CANDIDATES), dtype=bool)
    studied[np.arange(lists), [rng.choice(CANDIDATES, p=row) for row in odds]] = True
    row = np.repeat(np.arange(lists), CANDIDATES)
    ids = np.arange(lists).astype(str).astype(object)
    return TrainingExamples.of(features, row, studied.ravel(), np.ones(lists, dtype=np.int64), ids)


@pytest.fixture(scope="module")
def prior() -> Prior:
    """Return a prior fitted where the first feature decides."""
    return Prior(fit_prior([night(300, feature=0, power=8, seed=1)], NAMES), NAMES)


def quality(ranker: Ranker, on: TrainingExamples) -> float:
    return float(ndcg_of_lists(ranker.score(on.features), on).mean())


def test_without_examples_the_prior_ranks(prior: Prior) -> None:
    ranker = Ranker(prior).fit([])
    on = night(200, feature=0, power=8, seed=2)

    assert ranker.state == "prior"
    assert np.array_equal(ranker.score(on.features), prior.score(on.features))
    assert quality(ranker, on) > 0.3


def test_own_trees_take_over_as_examples_grow_without_a_cliff(prior: Prior) -> None:
    on = night(200, feature=1, power=8, seed=3)
    sizes = (0, 50, 400, LEARNED_POSITIVES)
    fitted = [Ranker(prior).fit([night(size, feature=1, power=8, seed=4)] if size else []) for size in sizes]

    qualities = [quality(ranker, on) for ranker in fitted]

    assert [ranker.state for ranker in fitted] == ["prior", "mixed", "mixed", "learned"]
    assert qualities == sorted(qualities)
    assert qualities[-1] > 3 * qualities[0]


def test_the_prior_is_kept_where_own_examples_agree(prior: Prior) -> None:
    on = night(200, feature=0, power=8, seed=3)

    alone, mixed = (Ranker(prior).fit(nights) for nights in ([], [night(30, feature=0, power=8, seed=4)]))

    assert quality(mixed, on) > 0.97 * quality(alone, on)


@pytest.mark.parametrize("size", [0, 100, LEARNED_POSITIVES])
def test_contributions_add_up_to_the_score(prior: Prior, size: int) -> None:
    ranker = Ranker(prior).fit([night(size, feature=1, power=8, seed=4)] if size else [])
    features = night(5, feature=1, power=8, seed=5).features

    parts = ranker.contributions(features, EACH_FEATURE)

    assert parts.shape == (len(features), len(NAMES) + 1)
    np.testing.assert_allclose(parts.sum(axis=1), ranker.score(features), atol=1e-5)


def test_the_feature_that_decides_contributes_most(prior: Prior) -> None:
    ranker = Ranker(prior).fit([night(LEARNED_POSITIVES, feature=1, power=8, seed=4)])
    on = night(20, feature=1, power=8, seed=5)
    best = ranker.score(on.features).reshape(20, CANDIDATES).argmax(axis=1) + np.arange(20) * CANDIDATES

    assert (ranker.contributions(on.features[best], EACH_FEATURE)[:, :-1].argmax(axis=1) == 1).all()


def test_a_constant_feature_contributes_nothing(prior: Prior) -> None:
    part = night(LEARNED_POSITIVES, feature=1, power=8, seed=4)
    part.features[:, 2] = 0.5

    parts = Ranker(prior).fit([part]).contributions(part.features[:100], EACH_FEATURE)

    assert not parts[:, 2].any()


def test_lists_with_many_studied_items_weigh_no_more_than_others() -> None:
    many = night(50, feature=2, power=8, seed=7)
    best = np.argsort(-many.features[:, 2].reshape(50, CANDIDATES), axis=1)[:, :10]
    studied = np.zeros((50, CANDIDATES), dtype=bool)
    np.put_along_axis(studied, best, values=True, axis=1)
    ids = np.arange(50).astype(str).astype(object)
    many = TrainingExamples.of(many.features, many.row, studied.ravel(), np.full(50, 10), ids)

    weight = weight_of_items(many, gains([many], BEGAN_ALONE))

    assert weight.max() == pytest.approx(0.1)
    assert weight[many.row[many.studied]].sum() == pytest.approx(50.0)


def test_the_first_tree_is_worked_out_by_hand(prior: Prior) -> None:
    """Of three candidates the first is studied in half of the lists: a Newton step from the share of all, a third."""
    lists = OWN_TREES_POSITIVES
    features = np.zeros((lists, 3, len(NAMES)), dtype=np.float32)
    features[:, 0, 1] = 1.0
    studied = np.zeros((lists, 3), dtype=bool)
    studied[::2, 0] = studied[1::2, 1] = True
    row, ids = np.repeat(np.arange(lists), 3), np.arange(lists).astype(str).astype(object)
    examples = TrainingExamples.of(
        features.reshape(-1, len(NAMES)), row, studied.ravel(), np.ones(lists, dtype=np.int64), ids
    )

    ranker = Ranker(prior, max_iter=1, max_leaf_nodes=2, learning_rate=0.08, l2_regularization=5.0).fit([examples])

    share = (lists + 1) / (3 * lists + 2)
    first = 0.08 * (lists / 2 - lists * share) / (lists * share * (1 - share) + 5.0)
    others = 0.08 * (lists / 2 - 2 * lists * share) / (2 * lists * share * (1 - share) + 5.0)
    assert ranker.score(examples.features[:2]) == pytest.approx([first, others])


def test_the_start_fades_beside_the_trees(prior: Prior) -> None:
    """A quarter of the way its scores count three quarters; the rest of the score is the trees'."""
    part = night(OWN_TREES_POSITIVES // 4, feature=1, power=8, seed=4)
    ranker = Ranker(prior, max_iter=1).fit([part])

    start = 0.75 * LinearRanking(NAMES).fit(part.features, part.studied, part.row, np.zeros(len(part.row))).score(
        part.features
    )

    assert ranker.start_weight == 0.75
    assert np.array_equal(ranker.score(part.features), start), "one tree of so few examples is none"


class Raised(Prior):
    """A prior whose scores are all higher by 5."""

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return super().score(features) + 5.0


def test_how_high_the_start_stands_changes_no_order(prior: Prior) -> None:
    part = night(400, feature=1, power=8, seed=4)
    raised = Raised(fit_prior([night(300, feature=0, power=8, seed=1)], NAMES), NAMES)

    plain, higher = (Ranker(each).fit([part]) for each in (prior, raised))

    by = plain.start_weight * plain.prior_weight * 5.0
    np.testing.assert_allclose(higher.score(part.features) - plain.score(part.features), by, atol=1e-3)


def test_a_ranker_is_deterministic_and_can_be_stored(prior: Prior) -> None:
    part = night(300, feature=1, power=8, seed=4)
    first, second = Ranker(prior).fit([part]), Ranker(prior).fit([part])

    stored, again = (pickle.loads(pickle.dumps(first)) for _ in range(2))  # noqa: S301 - pickled here

    assert stored.prior is again.prior, "parsed once"
    assert np.array_equal(first.score(part.features), second.score(part.features))
    assert np.array_equal(first.score(part.features), stored.score(part.features))


def test_the_prior_fades_linearly() -> None:
    assert [prior_weight(n) for n in (0, LEARNED_POSITIVES // 4, LEARNED_POSITIVES)] == [1.0, 0.75, 0.0]


def test_the_shipped_prior_is_small_and_knows_only_features_that_carry_over() -> None:
    text = PRIOR_FILE.read_text(encoding="utf-8")
    used = set(next(line for line in text.splitlines() if line.startswith("feature_names=")).split("=")[1].split())

    assert len(text.encode()) < MAX_PRIOR_BYTES
    assert used == set(feature_names()) - set(LOCAL_FEATURES)
    assert np.isfinite(
        shipped_prior(feature_names()).score(np.full((3, len(feature_names())), np.nan, np.float32))
    ).all()


def test_a_prior_of_other_features_is_refused() -> None:
    text = fit_prior([night(50, feature=0, power=8, seed=1)], NAMES)

    with pytest.raises(ModelError, match="needs the feature 'c'"):
        Prior(text, ("a", "b"))


def test_the_same_examples_give_the_same_bytes() -> None:
    parts = [night(50, feature=0, power=8, seed=1)]

    assert fit_prior(parts, NAMES) == fit_prior(parts, NAMES)
    assert n_positives(parts) == 50
