"""A filter on the graph of members and items."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.graph_filter import GraphFilter
from features.interactions import (
    Interactions,
)
from features.weights import WeightingRules
from recommender.model_contract.checks import results
from tests.recommender.builders import items_of, make_interactions

UNBOUNDED = WeightingRules(member_cap=np.inf)


def known_of(seed: int, members: int, items: int) -> Interactions:
    """Return who studied what at random."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((members, items)) < 0.3)
    return make_interactions([(f"m{row:03d}", f"i{item:02d}") for row, item in pairs], rules=UNBOUNDED)


def by_definition(model: GraphFilter, studied: NDArray[Any]) -> NDArray[Any]:
    """Return the scores written out, with the filter as a matrix."""
    members, items = studied.sum(axis=1), studied.sum(axis=0)
    normal = studied / np.sqrt(members)[:, None] / np.sqrt(items)
    goes_with = normal.T @ normal
    vectors = np.linalg.svd(normal, full_matrices=False)[2][: model.rank]
    low = (vectors / np.sqrt(items)).T @ (vectors * np.sqrt(items))
    step = -model.sharpening * goes_with
    powers = [np.linalg.matrix_power(step, power) for power in range(5)]
    sharpen = powers[0] + powers[1] + powers[2] / 2 + powers[3] / 6 + powers[4] / 24
    return studied @ (goes_with + model.low_pass * low) @ sharpen


@pytest.mark.parametrize(("low_pass", "sharpening", "rank"), [(0.2, 2.5, 30), (0.0, 1.0, 1), (0.5, 0.0, 30)])
def test_scores_are_those_of_the_definition(low_pass: float, sharpening: float, rank: int) -> None:
    interactions = known_of(0, 140, 30)
    model = GraphFilter(low_pass, sharpening, rank)

    scores = model.fit(interactions).scores(interactions, np.arange(140))

    np.testing.assert_allclose(scores, by_definition(model, interactions.seen.toarray()), atol=2e-3, rtol=1e-3)


def test_what_goes_with_what_a_member_studied_comes_first() -> None:
    studied = [(f"a{n}", item) for n in range(9) for item in ("excel", "word", "mail")]
    studied += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets", "mail")]
    interactions = make_interactions([*studied, ("new", "pallets")])

    model = GraphFilter().fit(interactions)

    listed = items_of(model.recommend(["new"], k=4), "new")

    assert listed.index("forklift") < min(listed.index("excel"), listed.index("word"))


def test_a_member_who_studied_everything_ties_nothing_together() -> None:
    circles = [
        (f"{circle}{n}", f"{circle}{item}") for circle in "ab" for n in range(9) for item in range(9) if n != item
    ]
    interactions = make_interactions(
        [*circles, *(("hoarder", f"{circle}{item}") for circle in "ab" for item in range(9))]
    )

    lists = GraphFilter(rank=4).fit(interactions).recommend([f"a{n}" for n in range(9)], k=1)

    assert lists["item_id"].tolist() == [f"a{n}" for n in range(9)]


def test_small_dense_catalogues_are_blurred_by_a_quarter_of_the_vectors_and_sharpened_less() -> None:
    interactions = known_of(1, 140, 30)  # 30 % of all pairs

    by_default = GraphFilter().fit(interactions).scores(interactions, np.arange(140))

    same = GraphFilter(sharpening=0.5, rank=7).fit(interactions).scores(interactions, np.arange(140))
    np.testing.assert_array_equal(by_default, same)


def test_large_sparse_catalogues_are_sharpened_as_published() -> None:
    interactions = make_interactions([(f"m{n:04d}", f"i{n + step:04d}") for n in range(1_100) for step in (0, 1)])

    by_default = GraphFilter().fit(interactions).scores(interactions, np.arange(5))

    same = GraphFilter(sharpening=2.5, rank=1_101 // 4).fit(interactions).scores(interactions, np.arange(5))
    np.testing.assert_array_equal(by_default, same)


def test_settings_of_large_catalogues_would_put_last_what_goes_with_a_history_in_a_small_one() -> None:
    rng = np.random.default_rng(0)
    own_club = np.repeat(np.eye(4, dtype=bool), 30, axis=0).repeat(12, axis=1)
    pairs = np.argwhere(rng.random(own_club.shape) < np.where(own_club, 0.4, 0.05))
    interactions = make_interactions([(f"m{row:03d}", f"i{item:02d}") for row, item in pairs])

    def share_of_best_in_own_club(model: GraphFilter) -> float:
        scores = np.where(
            interactions.seen.toarray() > 0, -np.inf, model.fit(interactions).scores(interactions, np.arange(120))
        )
        return float(own_club[np.arange(120), scores.argmax(axis=1)].mean())

    assert share_of_best_in_own_club(GraphFilter()) > 0.9
    assert share_of_best_in_own_club(GraphFilter(sharpening=2.5, rank=448)) < 0.1


def test_it_keeps_the_contract_of_models() -> None:
    assert set(results(GraphFilter).values()) == {None}
