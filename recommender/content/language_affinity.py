"""Languages: how much more often members of a language study items of a language than everybody does."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.histories import first_interactions
from features.interactions import Interactions

PRIOR_STUDIES = 20.0
"""Studies at which what members of a language make of items of a language counts half."""


class Languages:
    """What members of a language studied of items of a language, over what would be expected were it all the same.

    Both plus a prior (Gamma-Poisson shrinkage, DuMouchel 1999, https://doi.org/10.1080/00031305.1999.10474456), so that
    it is 1 where little has been studied. Members who studied much count no more than their influence.
    """

    def __init__(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        speaks, languages = pd.factorize(interactions.members["language"])
        self._language_of, of_items = pd.factorize(interactions.items["language"])
        self._numbers = {language: number for number, language in enumerate(languages)}
        both = speaks[firsts.member], self._language_of[firsts.item]
        known = (both[0] >= 0) & (both[1] >= 0)
        studied = np.zeros((len(languages), len(of_items)))
        np.add.at(studied, (both[0][known], both[1][known]), firsts.influence[known])
        expected = np.outer(studied.sum(axis=1), studied.sum(axis=0)) / max(studied.sum(), 1e-12)
        likes = (studied + PRIOR_STUDIES) / (expected + PRIOR_STUDIES)
        self._likes = np.hstack([likes, np.ones((len(likes), 1))])  # the last column is for items without a language

    def of(self, language: str) -> NDArray[np.float64]:
        """Return how much more often members of a language study each item: (n_items,), 1 where nothing is known."""
        number = self._numbers.get(language)
        if number is None:
            return np.ones(len(self._language_of))
        return np.asarray(self._likes[number, self._language_of])
