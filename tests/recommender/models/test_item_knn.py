"""Item-item neighbours."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from features.interactions import Interactions
from recommender.models.item_knn import BLOCK_ITEMS, ItemKNN
from tests.recommender.builders import Organisation, items_of, make_interactions

FOREVER = np.inf


def fitted(interactions: Interactions, neighbours: int = 1_000, shrinkage: float = 0.0) -> ItemKNN:
    """Return a fitted model that forgets nothing."""
    model = ItemKNN(neighbours, shrinkage, FOREVER)
    model.fit(interactions)
    return model


def cosines(interactions: Interactions) -> np.ndarray:
    """Return what scikit-learn makes of the same: rows of length one, then cosines of columns, no item with itself."""
    unit = normalize(interactions.matrix(FOREVER).astype(np.float64))
    similarity = cosine_similarity(unit.T, dense_output=True)
    np.fill_diagonal(similarity, 0.0)
    return similarity


def in_common(interactions: Interactions) -> np.ndarray:
    """Return the evidence that each two items have in common."""
    unit = normalize(interactions.matrix(FOREVER).astype(np.float64))
    return (unit.T @ unit).toarray()


def test_without_shrinkage_similarity_is_the_cosine(organisation: Organisation) -> None:
    interactions = organisation.interactions

    similarity = fitted(interactions).similarity.toarray()

    assert (similarity > 0).sum() > 500
    np.testing.assert_allclose(similarity, cosines(interactions), atol=1e-6)


@pytest.mark.parametrize("shrinkage", [1.0, 5.0])
def test_shrinkage_discounts_similarity_by_how_little_two_items_have_in_common(
    organisation: Organisation, shrinkage: float
) -> None:
    interactions = organisation.interactions
    common = in_common(interactions)

    similarity = fitted(interactions, shrinkage=shrinkage).similarity.toarray()

    np.testing.assert_allclose(similarity, cosines(interactions) * common / (common + shrinkage), atol=1e-6)


def test_more_items_than_a_block_have_the_same_similarities() -> None:
    rng = np.random.default_rng(2)
    n_items = BLOCK_ITEMS + 150
    studied = [(f"m{member:02d}", f"i{item:04d}") for member in range(60) for item in rng.choice(n_items, 40)]
    interactions = make_interactions(studied, items={f"i{number:04d}": {} for number in range(n_items)})

    model = fitted(interactions, neighbours=n_items)

    np.testing.assert_allclose(model.similarity.toarray(), cosines(interactions), atol=1e-6)
    items, others, values = model.similar(3)
    assert items.max() >= BLOCK_ITEMS
    np.testing.assert_allclose(values, model.similarity.toarray()[items, others])


def test_each_item_keeps_its_nearest_ones_only(organisation: Organisation) -> None:
    interactions = organisation.interactions
    whole = fitted(interactions).similarity.toarray()

    few = fitted(interactions, neighbours=3).similarity.toarray()

    assert ((few > 0).sum(axis=1) == np.minimum((whole > 0).sum(axis=1), 3)).all()
    for item, row in enumerate(few):
        assert sorted(row[row > 0]) == sorted(np.sort(whole[item])[::-1][: (row > 0).sum()])


def test_items_of_two_circles_of_members_never_meet() -> None:
    circles = {"a": ["i", "j", "k"], "b": ["x", "y", "z"]}
    studied = [(f"{kind}{number}", item) for kind, items in circles.items() for number in range(4) for item in items]
    interactions = make_interactions([*studied, ("new-a", "i"), ("new-b", "z")])

    lists = fitted(interactions, shrinkage=5.0).recommend(["new-a", "new-b"], k=5)

    assert items_of(lists, "new-a") == ["j", "k"]
    assert items_of(lists, "new-b") == ["x", "y"]


def test_items_around_a_ring_are_nearest_to_those_beside_them() -> None:
    # Member n studied items n and n + 1: every item shares one member with each of its two neighbours, by symmetry.
    ring = 8
    interactions = make_interactions([(f"m{n}", f"i{(n + step) % ring}") for n in range(ring) for step in (0, 1)])

    similarity = fitted(interactions).similarity.toarray()

    expected = np.zeros((ring, ring))
    for item in range(ring):
        expected[item, [(item - 1) % ring, (item + 1) % ring]] = 0.5
    np.testing.assert_allclose(similarity, expected, atol=1e-6)


def test_scores_add_up_the_similarities_to_what_the_member_studied(organisation: Organisation) -> None:
    interactions = organisation.interactions
    model = fitted(interactions, neighbours=10, shrinkage=2.0)
    expected = (interactions.matrix(FOREVER).astype(np.float64) @ model.similarity).toarray()

    lists = model.recommend(interactions.members.index, k=100, exclude_seen=False)

    rows = (
        interactions.members.index.get_indexer(lists["member_id"]),
        interactions.items.index.get_indexer(lists["item_id"]),
    )
    np.testing.assert_allclose(lists["score"], expected[rows], rtol=1e-5)
    assert len(lists) == (expected > 0).sum()


def test_who_studies_everything_says_little_about_what_belongs_together() -> None:
    # One member links i and j among two items, another links i and k among thirty.
    many = ["i", "k", *(f"other{number:02d}" for number in range(28))]
    interactions = make_interactions([("few", "i"), ("few", "j"), *(("all", item) for item in many), ("new", "i")])

    assert items_of(fitted(interactions, shrinkage=1.0).recommend(["new"], k=1), "new") == ["j"]


@pytest.mark.parametrize(("half_life_days", "first"), [(30.0, "fresh"), (FOREVER, "old")])
def test_old_evidence_counts_less(half_life_days: float, first: str) -> None:
    # Without decay two members speak for old and one for fresh; with it, what is fresh of a and b lies elsewhere.
    long_ago = [(member, item, "completed", 200.0) for member in "ab" for item in ("i", "old")]
    lately = [("a", "elsewhere"), ("b", "elsewhere"), ("c", "i"), ("c", "fresh"), ("new", "i")]
    interactions = make_interactions([*long_ago, *lately])

    lists = ItemKNN(10, 0.0, half_life_days).fit(interactions).recommend(["new"], k=2, allowed=["old", "fresh"])

    assert items_of(lists, "new")[0] == first


def test_similar_items_are_the_nearest_ones_of_each_item_best_first(organisation: Organisation) -> None:
    interactions = organisation.interactions
    model = fitted(interactions, shrinkage=5.0)
    whole = model.similarity.toarray()

    items, others, values = model.similar(4)

    for item in range(len(interactions.items)):
        mine = values[items == item].tolist()
        assert mine == np.sort(whole[item][whole[item] > 0])[::-1][:4].tolist()
        assert whole[item, others[items == item]].tolist() == mine
        assert item not in others[items == item]


def test_items_that_nobody_studied_have_no_neighbours() -> None:
    interactions = make_interactions([("a", "i"), ("a", "j")], items={"alone": {}})

    items, others, _ = fitted(interactions).similar(5)

    assert set(zip(interactions.items.index[items], interactions.items.index[others], strict=True)) == {
        ("i", "j"),
        ("j", "i"),
    }
