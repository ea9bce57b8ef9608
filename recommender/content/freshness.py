"""Freshness: how often an item is begun these days, judged by its age and its likes where it is too new to tell."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.histories import bounded, first_interactions
from features.interactions import Interactions

AGES: Final = np.array([0.0, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 120.0, np.inf])
"""Days at which an age begins; items of the same age are begun about equally often."""
OBSERVED_DAYS: Final = 60.0
PRIOR_STUDIES: Final = 3.0
"""Studies that are expected anyhow, beside what an item, or all that is like it, was begun."""
PRIOR_DAYS: Final = 10.0
"""Days of items that the rate of all ages is worth, beside that of an age."""
Floats = NDArray[np.float64]


def pull(known: Interactions, alike: csr_matrix) -> Floats:
    """Return how many members a day are expected to begin each item: (n_items,), 0 where nobody began any lately.

    The rate of items of its age, times what it was begun in the last sixty days over what its ages made expect, with a
    prior of three studies (Gamma-Poisson shrinkage, DuMouchel 1999, https://doi.org/10.1080/00031305.1999.10474456):
    as often as what is like it, over what the ages of that made expect, shrunk alike towards 1. An item without a day
    of publication counts among the oldest.

    Parameters
    ----------
    known : Interactions
    alike : csr_matrix
        How alike items are: (items, items), of which a column holds what is like its item; empty where nothing is told
        of it.
    """
    firsts = first_interactions(known)
    published = known.items["published_at"]
    age = (known.as_of - published).dt.total_seconds().fillna(np.inf).to_numpy(dtype=np.float64) / 86_400
    observed = min(OBSERVED_DAYS, max(1.0, firsts.age_days.max(initial=0.0)))
    spent = _days_at_each_age(age, observed)
    recent = firsts.age_days < OBSERVED_DAYS
    weight = bounded(firsts, recent.astype(np.float64), known.rules.member_cap)
    begun_at = _age_of(age[firsts.item] - firsts.age_days)
    begun = np.bincount(begun_at, weights=weight, minlength=spent.shape[1])
    days = spent.sum(axis=0)
    overall = begun.sum() / max(days.sum(), 1.0)
    rate = (begun + PRIOR_DAYS * overall) / (days + PRIOR_DAYS)
    own = np.bincount(firsts.item, weights=weight, minlength=len(age))
    expected = spent @ rate
    usual = (own @ alike + PRIOR_STUDIES) / (expected @ alike + PRIOR_STUDIES)
    return np.asarray(rate[_age_of(age)] * (own + PRIOR_STUDIES * usual) / (expected + PRIOR_STUDIES))


def _age_of(days: Floats) -> NDArray[np.intp]:
    """Return the number of the age that a time since publication falls in."""
    return np.searchsorted(AGES[1:-1], days, side="right")


def _days_at_each_age(age: Floats, observed: float) -> Floats:
    """Return how many of the observed days each item spent at each age: (n_items, ages)."""
    now = np.where(np.isinf(age), AGES[-2] + observed, np.maximum(age, 0.0))[:, None]
    then = np.maximum(now - observed, 0.0)
    return np.clip(np.minimum(AGES[1:], now) - np.maximum(AGES[:-1], then), 0.0, None)
