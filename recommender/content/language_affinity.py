"""Language affinity: lift of the first interactions between a language of members and a language of items."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.histories import first_interactions
from features.interactions import Interactions

PRIOR_STUDIES = 20.0
"""First interactions at which the observed lift of a pair of languages counts half."""


class LanguageAffinity:
    """First interactions by language of member and of item, over what independence would make expect.

    Both plus a prior (Gamma-Poisson shrinkage, DuMouchel 1999, https://doi.org/10.1080/00031305.1999.10474456), so that
    it is 1 where little has been studied. Members who studied much count no more than their influence.
    """

    def __init__(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        of_members, languages = pd.factorize(interactions.members["language"])
        self._item_language, item_languages = pd.factorize(interactions.items["language"])
        self._numbers = {language: number for number, language in enumerate(languages)}
        member, item = of_members[firsts.member], self._item_language[firsts.item]
        both = (member >= 0) & (item >= 0)
        observed = np.zeros((len(languages), len(item_languages)))
        np.add.at(observed, (member[both], item[both]), firsts.influence[both])
        expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / max(observed.sum(), 1e-12)
        lift = (observed + PRIOR_STUDIES) / (expected + PRIOR_STUDIES)
        self._lift = np.hstack([lift, np.ones((len(lift), 1))])  # the last column is for items without a language

    def of(self, language: str) -> NDArray[np.float64]:
        """Return the lift of each item for members of a language: (n_items,), 1 where either is not known."""
        number = self._numbers.get(language)
        if number is None:
            return np.ones(len(self._item_language))
        return np.asarray(self._lift[number, self._item_language])
