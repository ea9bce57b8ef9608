"""Collaborative filtering by alternating least squares."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from recommender.models.als import FITS, Als
from tests.recommender.builders import Organisation, items_of, make_interactions, random_organisation

PER_CIRCLE = 8


def circles() -> Interactions:
    """Return two circles of members, each of whom studied all but one of the eight items of its circle."""
    studied = [
        (f"{circle}{number}", f"{circle}-item{item}")
        for circle in "ab"
        for number in range(24)
        for item in range(PER_CIRCLE)
        if item != number % PER_CIRCLE
    ]
    return make_interactions(studied)


@pytest.mark.parametrize("seed", range(4))
def test_the_one_item_of_its_circle_that_a_member_has_not_studied_comes_first(seed: int) -> None:
    interactions = circles()
    lists = Als(factors=2, seed=seed, threads=1).fit(interactions).recommend(interactions.members.index, k=1)

    assert len(lists) == len(interactions.members)
    for member in interactions.members.index:
        assert items_of(lists, member) == [f"{member[0]}-item{int(member[1:]) % PER_CIRCLE}"]


def test_what_a_circle_studies_is_expected_and_what_the_other_studies_is_not() -> None:
    interactions = circles()
    lists = (
        Als(factors=2, alpha=10.0, regularization=0.05, threads=1)
        .fit(interactions)
        .recommend(interactions.members.index, k=100, exclude_seen=False)
    )

    own = lists["item_id"].str[0] == lists["member_id"].str[0]
    assert len(lists) == interactions.shape[0] * interactions.shape[1]
    assert lists.loc[own, "score"].between(0.7, 1.1).all()
    assert lists.loc[~own, "score"].between(-0.15, 0.15).all()


def folded_in(evidence: np.ndarray, items: np.ndarray, *, regularization: float, alpha: float) -> np.ndarray:
    """Return a member's factors by the normal equations, written out."""
    left = regularization * np.eye(items.shape[1])
    right = np.zeros(items.shape[1])
    for weight, own in zip(evidence, items, strict=True):
        confidence = 1.0 + alpha * weight
        left += confidence * np.outer(own, own)
        right += (confidence if weight > 0 else 0.0) * own
    return np.linalg.solve(left, right)


def test_scores_are_the_mean_over_fits_of_the_product_of_the_members_factors_folded_in_and_the_items(
    organisation: Organisation,
) -> None:
    interactions = organisation.interactions
    model = Als(factors=3, iterations=4, regularization=1.0, alpha=2.0, half_life_days=50.0, seed=8, threads=1)
    evidence = interactions.matrix(50.0).toarray().astype(np.float64)
    expected = np.zeros(interactions.shape)
    for seed in np.random.SeedSequence(8).generate_state(FITS).tolist():
        fit = AlternatingLeastSquares(
            factors=3, iterations=4, regularization=1.0, alpha=1.0, random_state=seed, num_threads=1
        )
        fit.fit(csr_matrix(evidence > 0) + 2.0 * interactions.matrix(50.0), show_progress=False)
        items = fit.item_factors.astype(np.float64)
        members = np.array([folded_in(row, items, regularization=1.0, alpha=2.0) for row in evidence])
        expected += members @ items.T / FITS

    lists = model.fit(interactions).recommend(interactions.members.index, k=100, exclude_seen=False)

    rows = (
        interactions.members.index.get_indexer(lists["member_id"]),
        interactions.items.index.get_indexer(lists["item_id"]),
    )
    assert len(lists) > 1_000
    np.testing.assert_allclose(lists["score"], expected[rows], atol=1e-4)


def test_another_seed_gives_other_scores_and_much_the_same_lists() -> None:
    interactions = random_organisation(2, members=300, items=60, studies=4_000).interactions
    first, second = (
        Als(seed=seed, threads=1).fit(interactions).recommend(interactions.members.index, k=10, exclude_seen=False)
        for seed in (0, 1)
    )

    assert not np.array_equal(first["score"], second["score"])
    both = first.merge(second, on=["member_id", "item_id"])
    # A single fit of each seed shares six items in ten: this is what several are for.
    assert len(both) > 0.7 * len(first)


def test_items_that_nobody_studied_are_never_proposed_and_members_without_evidence_not_served() -> None:
    interactions = make_interactions(
        [("a", "i"), ("b", "i"), ("b", "j"), ("c", "bad", "dismissed")],
        members={"quiet": {}, "off": {"personalised": "false"}},
        items={"alone": {}},
    )

    lists = Als(factors=2, threads=1).fit(interactions).recommend(interactions.members.index, k=10, exclude_seen=False)

    assert set(lists["member_id"]) == {"a", "b"}
    assert set(lists["item_id"]) == {"i", "j"}


def test_where_nobody_has_any_evidence_nothing_is_proposed() -> None:
    interactions = make_interactions([], members={"a": {}, "b": {}}, items={"i": {}, "j": {}})

    assert Als(factors=2, threads=1).fit(interactions).recommend(["a", "b"], k=10).empty


@pytest.mark.parametrize(("half_life_days", "first"), [(30.0, "fresh"), (np.inf, "old")])
def test_old_evidence_counts_less(half_life_days: float, first: str) -> None:
    # Twenty who studied i long ago went on to old, ten who studied it lately to fresh.
    studied = [(f"a{n}", item, "completed", 300.0) for n in range(20) for item in ("i", "old")]
    studied += [(f"b{n}", item, "completed", 1.0) for n in range(10) for item in ("i", "fresh")]
    interactions = make_interactions([*studied, ("new", "i")])

    lists = Als(factors=2, half_life_days=half_life_days, threads=1).fit(interactions).recommend(["new"], k=2)

    assert items_of(lists, "new")[0] == first
