"""Affinity: lift over the base rate, shrunk towards larger groups."""

import numpy as np
import pytest

from features.interactions import Interactions
from recommender.content.affinity import Affinity
from tests.recommender.builders import INDUSTRIES, ROLES, make_interactions

ITEMS = {"a": {"topics": "x"}, "b": {"topics": "x"}, "c": {"topics": "y"}, "bare": {}}
"""Of the same topics, so that a and b have a similarity of 1, and of none with c."""


def affinity_of(interactions: Interactions, half_life_days: float = np.inf) -> Affinity:
    """Return the affinity with a shrinkage of 1."""
    return Affinity(interactions, ROLES, INDUSTRIES, half_life_days, 1.0, 1.0, 10)


def values_of(interactions: Interactions, member: str, half_life_days: float = np.inf) -> dict[str, float]:
    """Return a member's affinity for each item."""
    values, _ = affinity_of(interactions, half_life_days).of(
        interactions, np.array([interactions.members.index.get_loc(member)])
    )
    return dict(zip(interactions.items.index, values[0], strict=True))


def test_a_members_affinity_is_its_lift_shrunk_towards_one() -> None:
    # Half of all first interactions are of a, half of c. The member's one is of a: (1 / ½ + 1 · 1) / (1 + 1) = 1.5 for
    # a and for b, which is like it; (0 + 1) / 2 for c.
    interactions = make_interactions([("m", "a"), ("n", "c")], items=ITEMS)

    affinities = values_of(interactions, "m")

    assert [affinities[name] for name in "abc"] == pytest.approx([1.5, 1.5, 0.5])


def test_a_newcomer_has_the_affinity_of_its_role_shrunk_step_by_step() -> None:
    # a has 2 of 3 first interactions. Role 8: (2 / ⅔ + 1) / (2 + 1) = 4/3, and role 83 within it: (3 + 4/3) / 3 = 13/9.
    # For c role 8 has (0 + 1) / 3, and role 83 (0 + 1/3) / 3 = 1/9.
    members = {"d1": {"role": "83"}, "d2": {"role": "83"}, "clerk": {"role": "41"}, "new": {"role": "83"}}
    interactions = make_interactions([("d1", "a"), ("d2", "a"), ("clerk", "c")], members=members, items=ITEMS)

    affinities = values_of(interactions, "new")

    assert affinities["a"] == affinities["b"] == pytest.approx(13 / 9)
    assert affinities["c"] == pytest.approx(1 / 9)


def test_old_first_interactions_count_less() -> None:
    # m studied a 7 days ago: ½ of 1, and n c just now. The share of a is ½ / 1½ = ⅓, and m's is (½ / ⅓ + 1) / (½ + 1).
    interactions = make_interactions([("m", "a", "viewed", 7.0), ("n", "c", "viewed", 0.0)], items=ITEMS)

    assert values_of(interactions, "m", half_life_days=7.0)["a"] == pytest.approx((1.5 + 1) / 1.5)


def test_items_without_a_description_and_members_without_anything_to_go_by_are_named() -> None:
    members = {"new": {"role": "83"}, "unknown": {}, "odd": {"role": "no such code"}}
    interactions = make_interactions([("m", "a"), ("n", "c")], members=members, items=ITEMS)
    affinity = affinity_of(interactions)

    _, unscored = affinity.of(interactions, interactions.members.index.get_indexer(["m", "new", "unknown", "odd"]))

    assert interactions.items.index[affinity.undescribed].tolist() == ["bare"]
    assert unscored.tolist() == [False, False, True, True]


def test_a_language_that_its_members_study_has_the_higher_affinity() -> None:
    items = {"en": {"topics": "x", "language": "en"}, "zh": {"topics": "x", "language": "zh-CN"}}
    members = {f"m{n}": {"language": "en" if n % 2 else "zh-CN"} for n in range(40)}
    studied = [(name, "en" if values["language"] == "en" else "zh") for name, values in members.items()]
    interactions = make_interactions(studied, members=members | {"new": {"role": "83", "language": "en"}}, items=items)

    affinities = values_of(interactions, "new")

    # 20 members of each language studied 20 items of it: (20 + 20) / (10 + 20) of the own, (0 + 20) / 30 of the other.
    assert affinities["en"] == pytest.approx(4 / 3)
    assert affinities["zh"] == pytest.approx(2 / 3)
