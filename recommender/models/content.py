"""Content: items like those that a member, and others of its role and industry, study more than everybody."""

import numpy as np

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.affinity import Tastes
from recommender.content.freshness import pull
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Content(Model):
    """Items by the taste for what is like them, times how often an item of their age is begun; serves new items.

    With ``w`` the :func:`likeness <recommender.content.item_similarity.likeness>` of two items, ``n`` what somebody
    studied and ``N``
    its sum, and ``p`` every item's share of what everybody studied, the taste for item ``j`` is

    ``(Σ n_i w_ij / Σ p_i w_ij + s · taste of the group around) / (N + s)``

    and 1 for everybody, but for what members of a language make of items of another one
    (:class:`recommender.content.language_affinity.Languages`): what is studied around an item over what would be
    expected, a kernel
    estimate (Nadaraya 1964, https://doi.org/10.1137/1109020) shrunk towards larger groups. The groups are those of
    :func:`recommender.content.segments.chain`; the smallest one is the member itself. There is no opinion on items of
    which
    nothing is told, and none for members without history, role and industry.

    Parameters
    ----------
    roles, industries : Taxonomy
        What members' codes and items' targets mean.
    half_life_days : float
        A first study counts half after this many days.
    shrinkage : float
        Items studied at which the taste of a group or member counts half, beside that of the group around it.
    sharpness : float
        Power of the cosines.
    nearest : int
        Like items that count for an item.
    pulled : bool
        Whether scores are tastes times :func:`recommender.content.freshness.pull`, or tastes alone.
    """

    def __init__(
        self,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float = 90.0,
        *,
        shrinkage: float = 20.0,
        sharpness: float = 4.0,
        nearest: int = 100,
        pulled: bool = True,
    ) -> None:
        self.roles = roles
        self.industries = industries
        self.half_life_days = half_life_days
        self.shrinkage = shrinkage
        self.sharpness = sharpness
        self.nearest = nearest
        self.pulled = pulled

    def _fit(self, interactions: Interactions) -> None:
        given = (self.roles, self.industries, self.half_life_days, self.shrinkage, self.sharpness, self.nearest)
        # Shared by models that differ in what they make of it.
        self._tastes = interactions.memo(("tastes", *given), lambda: Tastes(interactions, *given))
        self._pull = pull(interactions, self._tastes.alike) if self.pulled else np.ones(interactions.shape[1])

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        tastes, silent = self._tastes.of(known, rows)
        scores = (tastes * self._pull).astype(np.float32) if self.pulled else tastes.astype(np.float32)
        scores[:, self._tastes.untold] = -np.inf
        scores[silent] = -np.inf
        return scores
