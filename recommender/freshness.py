"""Freshness: how often an item is begun these days, judged by the age of others where it is too new to tell."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.histories import bounded, first_studies
from features.interactions import Interactions

AGES: Final = np.array([0.0, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 120.0, np.inf])
"""Days at which an age begins; items of the same age are begun about equally often."""
OBSERVED_DAYS: Final = 30.0
PRIOR_STUDIES: Final = 5.0
"""Studies that an item's age is worth, beside its own."""
PRIOR_DAYS: Final = 10.0
"""Days of items that the rate of all ages is worth, beside that of an age."""
Floats = NDArray[np.float64]


def pull(known: Interactions) -> Floats:
    """Return how many members a day are expected to begin each item: (n_items,), 0 where nobody began any lately.

    The rate of items of its age, times what it was begun in the last thirty days over what its ages made expect, both
    plus a prior of five (Gamma-Poisson shrinkage, DuMouchel 1999, https://doi.org/10.1080/00031305.1999.10474456). An
    item without a day of publication counts among the oldest.
    """
    made: Floats = known.once("pull", lambda: _pull(known))
    return made


def _pull(known: Interactions) -> Floats:
    firsts = first_studies(known)
    published = known.items["published_at"]
    age = (known.as_of - published).dt.total_seconds().fillna(np.inf).to_numpy(dtype=np.float64) / 86_400
    spent = _days_at_each_age(age)
    recent = firsts.age_days < OBSERVED_DAYS
    weight = bounded(firsts, recent.astype(np.float64), known.rules.member_influence)
    begun_at = _age_of(age[firsts.item] - firsts.age_days)
    begun = np.bincount(begun_at, weights=weight, minlength=spent.shape[1])
    days = spent.sum(axis=0)
    overall = begun.sum() / max(days.sum(), 1.0)
    rate = (begun + PRIOR_DAYS * overall) / (days + PRIOR_DAYS)
    own = np.bincount(firsts.item, weights=weight, minlength=len(age))
    return np.asarray(rate[_age_of(age)] * (own + PRIOR_STUDIES) / (spent @ rate + PRIOR_STUDIES))


def _age_of(days: Floats) -> NDArray[np.intp]:
    """Return the number of the age that a time since publication falls in."""
    return np.searchsorted(AGES[1:-1], days, side="right")


def _days_at_each_age(age: Floats) -> Floats:
    """Return how many of the observed days each item spent at each age: (n_items, ages)."""
    now = np.where(np.isinf(age), AGES[-2] + OBSERVED_DAYS, np.maximum(age, 0.0))[:, None]
    then = np.maximum(now - OBSERVED_DAYS, 0.0)
    return np.clip(np.minimum(AGES[1:], now) - np.maximum(AGES[:-1], then), 0.0, None)
