"""The models, one under each registered name, and what those of the default pipeline weigh where ranks are fused."""

from dataclasses import dataclass
from typing import Final

from content_catalog.taxonomy import Taxonomy, shipped
from recommender.content.member_attributes import Attributes
from recommender.models.als import Als
from recommender.models.base import Model
from recommender.models.cohort import Cohort
from recommender.models.content import Content
from recommender.models.ease import Ease
from recommender.models.first_items import FirstItems
from recommender.models.graph import GraphFilter
from recommender.models.item_knn import ItemKNN
from recommender.models.newest import Newest
from recommender.models.next_day import NextDay
from recommender.models.popularity import Popularity
from recommender.models.same_day import SameDay
from recommender.models.segment import SegmentPopularity
from recommender.models.transitions import Transitions
from recommender.models.trend import Trend
from recommender.models.user_knn import UserKNN
from recommender.ranking.features import CONTEXT

STRATEGIES: Final[dict[str, dict[str, float]]] = {
    "history": {"item_knn": 1.0, "als": 0.5, "segment": 1.0, "popularity": 1.0, "newest": 1e-6},
    "segment": {"content": 1.0, "segment": 1e-3, "popularity": 1e-5, "newest": 1e-7},
    "popular": {"popularity": 1.0, "newest": 1e-6},
}
"""What each retriever weighs on each path to a list. Tiny weights fill a list that would stay short."""


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
    ease_regularization: float = 100.0
    seed: int = 0
    threads: int = 0


def make_models(parameters: ModelParameters, *, roles: Taxonomy, industries: Taxonomy) -> dict[str, Model]:
    """Return a new, unfitted model under each name of the default pipeline.

    Of models that speak equally much for an item the first one gives the reason: what the member studied comes first.
    """
    given = parameters
    return {
        "item_knn": ItemKNN(given.neighbours_per_item, given.neighbour_shrinkage, given.half_life_days),
        "als": Als(
            given.als_factors,
            given.als_iterations,
            given.als_regularization,
            given.als_alpha,
            given.half_life_days,
            given.seed,
            given.threads,
        ),
        "segment": SegmentPopularity(roles, industries, given.segment_half_life_days, given.segment_shrinkage),
        "popularity": Popularity(given.popularity_half_life_days),
        "newest": Newest(),
        "trend_day": Trend(1.0),
        "trend_week": Trend(7.0),
        "trend_month": Trend(30.0),
        "trend_days": Trend(3.0, days_alike=True),
        "trend_returning": Trend(1.0, days_alike=True, returning=True),
        "first_items": FirstItems(),
        "cohort": Cohort(),
        "ease": Ease(given.ease_regularization),
        "ease_recent": Ease(given.ease_regularization, 7.0),
        "transitions": Transitions(),
        "next_day": NextDay(),
        "same_day": SameDay(),
        "user_knn": UserKNN(30.0),
        "user_knn_recent": UserKNN(3.0),
        "content": Content(roles, industries),
        "taste": Content(roles, industries, pulled=False),
    }


def feature_names() -> tuple[str, ...]:
    """Return what the features of the default pipeline's candidates are, in order (:func:`ranking.features_of`).

    >>> feature_names()[0], feature_names()[-1]
    ('item_knn', 'member_just_joined')
    """
    taxonomy = shipped("isco08")
    models = list(make_models(ModelParameters(), roles=taxonomy, industries=taxonomy))
    return (*models, *(f"rank_by_{name}" for name in models), *CONTEXT, "member_just_joined")


def make_others(*, roles: Taxonomy, industries: Taxonomy) -> dict[str, Model]:
    """Return a new, unfitted model under each registered name that the default pipeline does without."""
    return {"graph": GraphFilter(), "als_described": Als(attributes=Attributes(roles, industries))}
