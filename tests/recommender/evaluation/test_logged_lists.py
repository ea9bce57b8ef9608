"""Estimates from lists that explored, beside the truth: what other lists of the same members lead to."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.evaluation.off_policy import (
    choices_of_lists,
    difference,
    doubly_robust,
    ips,
    predicted_rewards_of_lists,
    snips,
)
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.rules.exploration import Exploration
from tests.recommender.builders import make_interactions
from tests.recommender.policy.test_rules import anything

N_MEMBERS, N_ITEMS, K, NIGHTS, LOGS = 300, 8, 3, 4, 25
INTERACTIONS = make_interactions(
    [], members={f"m{number}": {} for number in range(N_MEMBERS)}, items={f"i{number}": {} for number in range(N_ITEMS)}
)
EXAMINED = np.array([0.9, 0.6, 0.4])
"""Chance that a member looks at each place."""


def orders(appeal: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return items by noisy appeal, the best first, for each member."""
    return np.argsort(-(appeal + rng.normal(0, noise, appeal.shape)), axis=1)


def logged_entries(
    base: np.ndarray, wanted: np.ndarray, chance: np.ndarray, rule: Exploration, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the entries of some nights' lists that explored, as opened by the members."""
    rows, member = np.repeat(np.arange(N_MEMBERS), N_ITEMS), np.arange(N_MEMBERS)
    parts = []
    for night in range(NIGHTS):
        of_day = replace(INTERACTIONS, as_of=INTERACTIONS.as_of + pd.Timedelta(days=night))
        lists = RankedLists.of(member, rows, base.ravel(), np.ones(len(rows)), np.arange(len(rows)))
        lists = rule.apply(lists, of_day, k=K, may_be_offered=anything).first(K)
        opened = rng.random(lists.item.shape) < np.take_along_axis(chance, lists.item, axis=1) * EXAMINED
        columns = {
            "member": np.repeat(member, K),
            "place": np.tile(np.arange(K), N_MEMBERS),
            "item": lists.item.ravel(),
            "wanted": wanted[:, :K].ravel(),
            "propensity": lists.propensity.ravel(),
            "reward": opened.ravel().astype(float),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def test_intervals_hold_the_truth_of_other_lists_and_the_better_lists_are_chosen() -> None:
    held = {"ips": 0, "snips": 0, "dr": 0}
    better = weights = 0.0
    for seed in range(LOGS):
        rng = np.random.default_rng(seed)
        appeal = rng.normal(0, 1, N_ITEMS) + rng.normal(0, 0.5, (N_MEMBERS, N_ITEMS))
        chance = 1 / (1 + np.exp(-appeal))
        base, wanted = orders(appeal, 2.0, rng), orders(appeal, 0.5, rng)
        entries = logged_entries(base, wanted, chance, Exploration(0.8, places=K, seed=seed), rng)
        truth = float((np.take_along_axis(chance, wanted[:, :K], axis=1) * EXAMINED).mean())

        logged = choices_of_lists(entries)
        robust = doubly_robust(logged, predicted_rewards_of_lists(entries))
        for name, each in {"ips": ips(logged), "snips": snips(logged), "dr": robust}.items():
            held[name] += each.low <= truth <= each.high
        as_logged = ips(choices_of_lists(entries.assign(wanted=entries["item"], propensity=1.0)))
        better += difference(robust, as_logged, logged.member)[0] > 0
        weights += logged.weight.mean() / LOGS

    assert min(held.values()) >= 0.88 * LOGS, held
    assert better >= 0.95 * LOGS
    assert weights == pytest.approx(1.0, abs=0.03), "all that the other lists hold is tried"


def test_what_the_wanted_item_leads_to_is_predicted_without_the_members_own_choices() -> None:
    entries = pd.DataFrame(
        {
            "member": ["m", "m", "n", "n"],
            "place": [1, 2, 1, 2],
            "item": ["a", "b", "a", "b"],
            "wanted": ["b", None, "new", "a"],
            "reward": [1.0, 1.0, 0.0, 1.0],
        }
    )

    predicted = predicted_rewards_of_lists(entries, folds=2, shrinkage=0.0)

    # Of n: places .0 and 1, so a lift of 1 for b; an item that was never logged counts as any other at its place.
    assert predicted[:2].tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert predicted[2:].tolist() == [[1.0, 1.0], [1.0, 1.0]]
