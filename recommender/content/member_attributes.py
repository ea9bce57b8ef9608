"""Member attributes: role, industry and units as columns of a matrix, for factorisation with side information."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from content_catalog.audience import units_of
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.segments import path_of

Label = tuple[str, str]


class MemberAttributes:
    """Role, industry and units of members, with all above them, as columns beside those of the items.

    Parameters
    ----------
    roles, industries : Taxonomy
        Taxonomies of the codes; a code that is not in them counts as unknown.
    weight : float
        Value of a column, in the unit of interaction weights.
    """

    def __init__(self, roles: Taxonomy, industries: Taxonomy, weight: float = 0.5) -> None:
        self.roles = roles
        self.industries = industries
        self.weight = weight

    def columns(self, interactions: Interactions) -> dict[Label, int]:
        """Return the column of each label that any personalised member has."""
        labels, which = self._labels(interactions.members)
        in_use = np.unique(which[interactions.personalised])
        return {label: column for column, label in enumerate(sorted({label for n in in_use for label in labels[n]}))}

    def of(self, interactions: Interactions, columns: dict[Label, int]) -> csr_matrix:
        """Return the weight where a member has a label, as (members, columns) of float32.

        Members who switched personalisation off have none.
        """
        labels, which = self._labels(interactions.members)
        pairs = [(row, columns[label]) for row, of_row in enumerate(labels) for label in of_row if label in columns]
        rows, places = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
        values = np.full(len(pairs), self.weight, dtype=np.float32)
        distinct = csr_matrix((values, (rows, places)), shape=(len(labels) + 1, len(columns)))
        return csr_matrix(distinct[np.where(interactions.personalised, which, len(labels))])

    def _labels(self, members: pd.DataFrame) -> tuple[list[list[Label]], np.ndarray]:
        """Return the labels of each distinct combination of attributes, and the combination each member has."""
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
