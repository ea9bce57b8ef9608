"""The pipeline: retrieve, blend, drop what a member must not be offered, explain."""

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import pandas as pd

from content_catalog.catalog import Audience, available
from content_catalog.prerequisites import locked
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.base import Eligibility, Model
from recommender.blend import reciprocal_rank
from recommender.explain import Reasons
from recommender.models.als import Als
from recommender.models.neighbours import ItemNeighbours
from recommender.models.newest import Newest
from recommender.models.popularity import Popularity
from recommender.models.segment import SegmentPopularity

PATHS: Final[dict[str, dict[str, float]]] = {
    "history": {"neighbours": 1.0, "als": 0.5, "segment": 1.0, "popularity": 1.0, "newest": 1e-6},
    "segment": {"segment": 1.0, "popularity": 1e-3, "newest": 1e-6},
    "popular": {"popularity": 1.0, "newest": 1e-6},
}
"""What each retriever weighs on each path to a list. Tiny weights fill a list that would stay short."""

LIST_COLUMNS: Final = ["member_id", "item_id", "rank", "path", "source"]
BLOCK_MEMBERS: Final = 5_000


@dataclass(frozen=True)
class ModelParameters:
    """What can be set of the models; see the models for each."""

    popularity_half_life_days: float = 7.0
    segment_half_life_days: float = 14.0
    segment_shrinkage: float = 20.0
    half_life_days: float = 90.0
    neighbours_per_item: int = 100
    neighbour_shrinkage: float = 5.0
    als_factors: int = 8
    als_iterations: int = 15
    als_regularization: float = 5.0
    als_alpha: float = 3.0
    seed: int = 0
    threads: int = 0


def make_models(parameters: ModelParameters, *, roles: Taxonomy, industries: Taxonomy) -> dict[str, Model]:
    """Return a new, unfitted model under each registered name."""
    return {
        "popularity": Popularity(parameters.popularity_half_life_days),
        "segment": SegmentPopularity(
            roles, industries, parameters.segment_half_life_days, parameters.segment_shrinkage
        ),
        "neighbours": ItemNeighbours(
            parameters.neighbours_per_item, parameters.neighbour_shrinkage, parameters.half_life_days
        ),
        "als": Als(
            parameters.als_factors,
            parameters.als_iterations,
            parameters.als_regularization,
            parameters.als_alpha,
            parameters.half_life_days,
            parameters.seed,
            parameters.threads,
        ),
        "newest": Newest(),
    }


@dataclass(frozen=True)
class Pipeline:
    """Fixed stages from fitted models to lists.

    Attributes
    ----------
    models : dict
        A model under each name that :data:`PATHS` weighs.
    roles, industries : Taxonomy
        What members' and items' codes mean.
    depth : int
        Candidates each model proposes for a member.
    """

    models: dict[str, Model]
    roles: Taxonomy
    industries: Taxonomy
    depth: int = 100

    @property
    def neighbours(self) -> ItemNeighbours:
        """The model whose similarities explain lists and serve as similar items."""
        return cast("ItemNeighbours", self.models["neighbours"])

    def fit(self, interactions: Interactions) -> None:
        """Fit every model."""
        for model in self.models.values():
            model.fit(interactions)

    def representatives(self, interactions: Interactions) -> pd.Series:
        """Return for every member the member whose list it shares: itself, or one without history like it.

        Members without any events get the same list where path, role, industry and audience are the same.
        """
        members = interactions.members
        audience = Audience(interactions.items, roles=self.roles, industries=self.industries)
        alike = pd.DataFrame({"path": paths(interactions), "group": audience.groups(members)[0]}, index=members.index)
        alike[["role", "industry"]] = members[["role", "industry"]].fillna("")
        alike["history"] = np.where(np.diff(interactions.seen.indptr) > 0, np.arange(len(members)), -1)
        first = alike.groupby(list(alike.columns), sort=False).ngroup()
        own = pd.Series(members.index, index=members.index)
        return own.groupby(first).transform("first")

    def recommend(self, interactions: Interactions, members: pd.Index, *, k: int) -> pd.DataFrame:
        """Return the lists of members: ``member_id, item_id, rank, path, source``.

        Left out are items that are hidden, unavailable or already studied, of a restricted audience a member is not
        part of, or with prerequisites it has not finished. The path is ``history`` where a member has evidence, else
        ``segment`` where its role or industry is known, else ``popular``; also ``popular`` for a member who switched
        personalisation off.
        """
        everyone = interactions.members
        offered = available(interactions.items, interactions.as_of)
        audience = Audience(interactions.items, roles=self.roles, industries=self.industries)
        path_of = paths(interactions).loc[members]
        parts = []
        for path, weights in PATHS.items():
            on_path = members[(path_of == path).to_numpy()]
            for start in range(0, len(on_path), BLOCK_MEMBERS):
                asked = on_path[start : start + BLOCK_MEMBERS]
                groups, masks = audience.groups(everyone.loc[asked])
                eligibility = reachable(interactions, asked, Eligibility(groups, masks & offered))
                ranked = self._blend(asked, weights, eligibility)
                ranked["rank"] = ranked.groupby("member_id").cumcount() + 1
                parts.append(ranked[ranked["rank"] <= k].assign(path=path))
        lists = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=LIST_COLUMNS)
        return lists[LIST_COLUMNS]

    def explain(
        self, interactions: Interactions, lists: pd.DataFrame, *, learned: Interactions | None = None
    ) -> pd.DataFrame:
        """Return the lists with a reason for every item: the column ``reason``.

        ``learned`` is what the models were fitted on, where ``interactions`` are newer.
        """
        similarity = self.neighbours.similarity
        reasons = Reasons(learned or interactions, similarity=similarity, roles=self.roles, industries=self.industries)
        return lists.assign(reason=reasons.of(lists, interactions))

    def _blend(self, members: pd.Index, weights: dict[str, float], eligibility: Eligibility) -> pd.DataFrame:
        found = [
            self.models[name].recommend(members, k=self.depth, allowed=eligibility).assign(source=name)
            for name in weights
        ]
        return reciprocal_rank(pd.concat(found, ignore_index=True), weights)


def reachable(interactions: Interactions, members: pd.Index, eligibility: Eligibility) -> Eligibility:
    """Return the eligibility of members without items whose prerequisites they have not finished."""
    items = interactions.items
    if items["prerequisites"].isna().all():
        return eligibility
    closed = locked(items, interactions.finished[interactions.members.index.get_indexer(members)])
    return Eligibility(np.arange(len(members)), eligibility.masks[eligibility.group_of] & ~closed)


def paths(interactions: Interactions) -> pd.Series:
    """Return the path of every member's list: ``history``, ``segment`` or ``popular``."""
    members = interactions.members
    evidence = np.bincount(interactions.cells["member"], weights=interactions.cells["weight"], minlength=len(members))
    described = members["role"].notna() | members["industry"].notna()
    path = np.where(evidence > 0, "history", np.where(described, "segment", "popular"))
    switched_off = ~members["personalised"].fillna(value=True).to_numpy(dtype=bool)
    return pd.Series(np.where(switched_off, "popular", path), index=members.index)
