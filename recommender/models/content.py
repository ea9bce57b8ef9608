"""Content-based model: affinity for similar items, times the expected start rate of the item."""

import numpy as np

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.affinity import Affinity
from recommender.content.freshness import start_rate
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Content(Model):
    """Items by the member's affinity for similar items, times how often an item of their age is started.

    With ``w`` the :func:`similarity <recommender.content.item_similarity.item_similarity>` of two items, ``n`` the
    first interactions of a member or group, ``N`` their sum, and ``p`` every item's share of all first interactions,
    the affinity for item ``j`` is

    ``(Σ n_i w_ij / Σ p_i w_ij + s · affinity of the parent group) / (N + s)``

    It is 1 for everybody, times the affinity between languages
    (:class:`recommender.content.language_affinity.LanguageAffinity`). This is the lift of a kernel estimate (Nadaraya
    1964, https://doi.org/10.1137/1109020) over the base rate, shrunk towards larger groups. The groups are those of
    :func:`recommender.content.segments.chain`; the smallest one is the member itself. Items without any description
    and members without history, role and industry are not scored. Needs no study of the item: serves new items.

    Parameters
    ----------
    roles, industries : Taxonomy
        Taxonomies of members' codes and items' targets.
    half_life_days : float
        A first interaction counts half after this many days.
    shrinkage : float
        First interactions at which the affinity of a group or member counts half, beside that of its parent group.
    exponent : float
        Power of the cosines.
    nearest : int
        Similar items that count for an item.
    min_members : int
        Fewest members with history that a group's own affinity is of; a smaller one is left to its parent group.
    with_start_rate : bool
        Multiply by :func:`recommender.content.freshness.start_rate`; otherwise scores are affinities alone.
    """

    def __init__(
        self,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float = 90.0,
        *,
        shrinkage: float = 20.0,
        exponent: float = 4.0,
        nearest: int = 100,
        min_members: int = 1,
        with_start_rate: bool = True,
    ) -> None:
        self.roles = roles
        self.industries = industries
        self.half_life_days = half_life_days
        self.shrinkage = shrinkage
        self.exponent = exponent
        self.nearest = nearest
        self.min_members = min_members
        self.with_start_rate = with_start_rate

    def _fit(self, interactions: Interactions) -> None:
        shape = (self.half_life_days, self.shrinkage, self.exponent, self.nearest, self.min_members)
        settings = (self.roles, self.industries, *shape)
        # Shared by models that differ in `with_start_rate` alone.
        self._affinity = interactions.memo(("affinity", *settings), lambda: Affinity(interactions, *settings))
        if self.with_start_rate:
            self._start_rate = start_rate(interactions, self._affinity.similarity)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        affinity, unscored = self._affinity.of(interactions, rows)
        scores = (affinity * self._start_rate if self.with_start_rate else affinity).astype(np.float32)
        scores[:, self._affinity.undescribed] = -np.inf
        if self.with_start_rate:
            scores[:, self._start_rate <= 0] = -np.inf  # in a log that ended long ago all are alike
        scores[unscored] = -np.inf
        return scores
