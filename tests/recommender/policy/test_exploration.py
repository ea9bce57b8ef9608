"""Exploration: propensities are the shares of many draws, and what a rule put on a list stays."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.policy.policies import Policies
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.registry import PolicyParameters, make_policies
from recommender.policy.rules.exploration import TO_TRY, Exploration
from tests.recommender.builders import NOW, Study, fitted_pipeline, make_interactions
from tests.recommender.policy.test_rules import anything

N_MEMBERS, SEEDS, K = 300, 20, 4
NAMES = "abcdefgh"
ITEMS = {name: {"topics": "safety" if number % 2 else "office"} for number, name in enumerate(NAMES)}
MEMBERS = {f"m{number}": {} for number in range(N_MEMBERS)} | {
    "off": {"personalised": "false"},
    "bored": {"less_topics": "safety"},
}
INTERACTIONS = make_interactions([Study("m0", "h")], members=MEMBERS, items=ITEMS)


def ranked(interactions: Interactions, members: list[str], width: int, fixed: frozenset[int]) -> RankedLists:
    """Return the same list of the first items for each member, of which some entries have the reason of a rule."""
    position = interactions.members.index.get_indexer(members)
    row, item = np.repeat(np.arange(len(members)), width), np.tile(np.arange(width), len(members))
    lists = RankedLists.of(position, row, item, 1.0 - item / 10, np.arange(len(item)))
    for rank in sorted(fixed):
        at = np.full(len(members), rank)
        lists = lists.explained(np.arange(len(members)), at, [reason_of("opens")] * len(members))
    return lists


def explored(rule: Exploration, members: list[str], width: int, fixed: frozenset[int] = frozenset()) -> RankedLists:
    """Return lists of ``K`` entries after the rule."""
    lists = ranked(INTERACTIONS, members, width, fixed)
    return rule.apply(lists, INTERACTIONS, k=K, may_be_offered=anything).first(K)


@pytest.mark.parametrize(
    ("rule", "width", "fixed"),
    [
        (Exploration(0.5, places=10), 8, frozenset()),
        (Exploration(1.0, places=2), 6, frozenset({1})),
        (Exploration(0.8, places=3, alike=("topics",)), 7, frozenset({0})),
    ],
    ids=["every place", "beside a rule", "alike"],
)
def test_propensities_are_the_shares_of_many_draws(rule: Exploration, width: int, fixed: frozenset[int]) -> None:
    members = [f"m{number}" for number in range(N_MEMBERS)]
    counts: Counter[tuple[int, int]] = Counter()
    said: dict[tuple[int, int], set[float]] = {}
    for seed in range(SEEDS):
        lists = explored(replace(rule, seed=seed), members, width, fixed)
        for item, propensity in zip(lists.item, lists.propensity, strict=True):
            for cell, value in zip(enumerate(item.tolist()), propensity.tolist(), strict=True):
                counts[cell] += 1
                said.setdefault(cell, set()).add(round(value, 12))

    n = N_MEMBERS * SEEDS
    for cell, count in counts.items():
        [propensity] = said[cell]
        assert count / n == pytest.approx(propensity, abs=4 * np.sqrt(propensity * (1 - propensity) / n) + 1e-9)
    for place in range(K):
        total = sum(next(iter(said[cell])) for cell in said if cell[0] == place)
        assert total == pytest.approx(1.0), "every item that can stand there has been seen, and nothing else can"
    for place in fixed:
        assert said[place, place] == {1.0}


@given(st.integers(0, 1_000), st.integers(1, 8), st.integers(1, 5), st.frozensets(st.integers(0, 7)))
@settings(max_examples=30)
def test_one_entry_at_most_is_tried_and_those_of_rules_stay(
    seed: int, width: int, places: int, fixed: frozenset[int]
) -> None:
    fixed = frozenset(rank for rank in fixed if rank < width)
    lists = explored(Exploration(1.0, places, seed=seed), ["m1", "m2", "off"], width, fixed)

    for item, reason, propensity in zip(lists.item, lists.reason, lists.propensity, strict=True):
        tried = [rank for rank, number in enumerate(reason) if number >= 0 and lists.reasons[number]["code"] == TO_TRY]
        moved = [rank for rank in range(min(K, width)) if item[rank] != rank]
        assert len(set(item[item >= 0].tolist())) == min(K, width)
        assert tried == moved[:1]
        assert not fixed & set(moved)
        assert len(moved) <= 2
        assert all(0 < value <= 1 for value in propensity)
        assert [propensity[rank] for rank in fixed if rank < K] == [1.0 for rank in fixed if rank < K]
    assert lists.item[2].tolist() == [rank if rank < width else -1 for rank in range(lists.item.shape[1])]


def test_the_worked_example_of_the_documentation() -> None:
    outcomes = {
        tuple(zip(item.tolist()[:1], propensity.round(9).tolist()[:1], strict=True))
        for item, propensity in (
            (lists.item[0], lists.propensity[0])
            for lists in (explored(Exploration(0.3, 1, seed=seed), ["m1"], 3) for seed in range(60))
        )
    }

    assert outcomes == {((0, 0.8),), ((1, 0.1),), ((2, 0.1),)}


def test_what_a_member_wants_less_of_is_not_tried() -> None:
    for seed in range(30):
        lists = explored(Exploration(1.0, 4, seed=seed), ["bored"], 8)
        odd = [rank for rank in range(K) if rank % 2]
        assert lists.item[0, odd].tolist() == odd, "items of the topic have odd numbers"
        assert set(lists.item[0, ::2].tolist()) <= {0, 2, 4, 6}


def test_the_draw_is_the_same_all_day_and_another_on_the_next() -> None:
    rule, members = Exploration(1.0), [f"m{number}" for number in range(50)]
    days = [
        rule.apply(ranked(of_day, members, 8, frozenset()), of_day, k=K, may_be_offered=anything).item.tolist()
        for of_day in (replace(INTERACTIONS, as_of=NOW + pd.Timedelta(hours=hours)) for hours in (0, 1, 24))
    ]

    assert days[0] == days[1] != days[2]


def test_lists_that_do_not_explore_are_those_without_the_rule() -> None:
    assert make_policies(PolicyParameters()).active(INTERACTIONS)[-1:] != (Exploration(),)
    without, wide = (make_policies(PolicyParameters(exploration_share=share)) for share in (0.0, 1e-9))
    pipeline = fitted_pipeline(INTERACTIONS)
    lists = [
        [
            (block.member.tolist(), block.item.tolist(), block.reason)
            for block in replace(pipeline, policies=policies).listed(INTERACTIONS, INTERACTIONS.members.index, k=3)
        ]
        for policies in (without, wide)
    ]

    assert lists[0] == lists[1]


def test_members_whose_lists_explore_share_them_with_nobody_else() -> None:
    rule = Exploration(0.3)
    pipeline = replace(fitted_pipeline(INTERACTIONS), policies=Policies((rule,)))

    shared = pipeline.representatives(INTERACTIONS)

    own = pd.Series(rule.own_lists(INTERACTIONS), index=INTERACTIONS.members.index)
    assert 50 < own.sum() < 130
    assert not own["off"]
    assert (shared[own] == shared.index[own]).all()
    assert not shared[~own].isin(shared.index[own]).any()
    assert shared[~own].nunique() < 10
    lists = pipeline.recommend(INTERACTIONS, shared.index, k=3).groupby("member_id")["item_id"].agg(tuple)
    for member, owner in product(["m1", "m2", "m3"], ["m4", "m5"]):
        if shared[member] == shared[owner]:
            assert lists[member] == lists[owner]
