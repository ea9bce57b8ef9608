"""Attributes: what is known of a member beside what it studied, as columns of a matrix."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from content_catalog.audience import units_of
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.segments import path_of

Label = tuple[str, str]


class Attributes:
    """Role, industry and units of members, those above them included, as columns to stand beside those of items.

    Parameters
    ----------
    roles, industries : Taxonomy
        What the codes mean; a code that is not in them counts as not known.
    weight : float
        What a column is worth, in the unit of evidence.
    """

    def __init__(self, roles: Taxonomy, industries: Taxonomy, weight: float = 0.5) -> None:
        self.roles = roles
        self.industries = industries
        self.weight = weight

    def columns(self, known: Interactions) -> dict[Label, int]:
        """Return the number of each label that any personalised member has."""
        labels, which = self._labels(known.members)
        given = np.unique(which[known.personalised])
        return {label: number for number, label in enumerate(sorted({one for n in given for one in labels[n]}))}

    def of(self, known: Interactions, columns: dict[Label, int]) -> csr_matrix:
        """Return the weight where a member has a label, as (members, columns) of float32.

        Members who switched personalisation off have none.
        """
        labels, which = self._labels(known.members)
        pairs = [(row, columns[one]) for row, mine in enumerate(labels) for one in mine if one in columns]
        rows, places = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
        values = np.full(len(pairs), self.weight, dtype=np.float32)
        distinct = csr_matrix((values, (rows, places)), shape=(len(labels) + 1, len(columns)))
        return csr_matrix(distinct[np.where(known.personalised, which, len(labels))])

    def _labels(self, members: pd.DataFrame) -> tuple[list[list[Label]], np.ndarray]:
        """Return the labels of each distinct description of a member, and which one each member has."""
        described = members[["role", "industry", "units"]]
        if described.isna().to_numpy().all():
            return [[]], np.zeros(len(members), dtype=np.intp)
        which, distinct = pd.factorize(pd.MultiIndex.from_frame(described.fillna("")))
        labels = [
            [
                *(("role", code) for code in path_of(self.roles, role)),
                *(("industry", code) for code in path_of(self.industries, industry)),
                *(("unit", unit) for unit in sorted(units_of(units))),
            ]
            for role, industry, units in distinct
        ]
        return labels, which
