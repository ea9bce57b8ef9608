"""Start rate: expected first interactions of an item per day, by its age and by similar items (Gamma-Poisson)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.histories import bounded, first_interactions
from features.interactions import Interactions

AGES: Final = np.array([0.0, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 120.0, np.inf])
"""Days at which an age group begins; items of one age group are started about equally often."""
OBSERVED_DAYS: Final = 60.0
PRIOR_STUDIES: Final = 3.0
"""Prior first interactions added to the observed and the expected ones, of an item and of all similar items."""
PRIOR_DAYS: Final = 10.0
"""Prior item days at the overall rate, added to those of an age group."""
Floats = NDArray[np.float64]


def start_rate(interactions: Interactions, similarity: csr_matrix) -> Floats:
    """Return how many members a day are expected to start each item: (n_items,), 0 where none was started lately.

    The rate of the item's age group, times observed over expected first interactions of the last sixty days, expected
    being what the item's ages predict. With a prior of three first interactions (Gamma-Poisson shrinkage, DuMouchel
    1999, https://doi.org/10.1080/00031305.1999.10474456) it is shrunk towards the same ratio of similar items, and that
    towards 1. An item without a day of publication counts among the oldest.

    Parameters
    ----------
    similarity : csr_matrix
        Similarity of items: (items, items), of which a column holds the items similar to its item; empty where it has
        no description.
    """
    firsts = first_interactions(interactions)
    published = interactions.items["published_at"]
    age = (interactions.as_of - published).dt.total_seconds().fillna(np.inf).to_numpy(dtype=np.float64) / 86_400
    observed_days = min(OBSERVED_DAYS, max(1.0, firsts.age_days.max(initial=0.0)))
    exposure = _days_in_age_groups(age, observed_days)
    recent = firsts.age_days < OBSERVED_DAYS
    weight = bounded(firsts, recent.astype(np.float64), interactions.rules.member_cap)
    group_at_start = _age_group(age[firsts.item] - firsts.age_days)
    started = np.bincount(group_at_start, weights=weight, minlength=exposure.shape[1])
    days = exposure.sum(axis=0)
    overall = started.sum() / max(days.sum(), 1.0)
    rate = (started + PRIOR_DAYS * overall) / (days + PRIOR_DAYS)
    observed = np.bincount(firsts.item, weights=weight, minlength=len(age))
    expected = exposure @ rate
    similar_ratio = (observed @ similarity + PRIOR_STUDIES) / (expected @ similarity + PRIOR_STUDIES)
    shrunk = (observed + PRIOR_STUDIES * similar_ratio, expected + PRIOR_STUDIES)
    return np.asarray(rate[_age_group(age)] * shrunk[0] / shrunk[1])


def _age_group(days: Floats) -> NDArray[np.intp]:
    """Return the number of the age group that a time since publication falls in."""
    return np.searchsorted(AGES[1:-1], days, side="right")


def _days_in_age_groups(age: Floats, observed_days: float) -> Floats:
    """Return how many of the observed days each item spent in each age group: (n_items, age groups)."""
    now = np.where(np.isinf(age), AGES[-2] + observed_days, np.maximum(age, 0.0))[:, None]
    then = np.maximum(now - observed_days, 0.0)
    return np.clip(np.minimum(AGES[1:], now) - np.maximum(AGES[:-1], then), 0.0, None)
