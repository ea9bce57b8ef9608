"""Registry of models by name, and the default pipeline's choice of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from content_catalog.taxonomy import Taxonomy
from recommender.errors import ModelError
from recommender.models.als import Als
from recommender.models.base import Model
from recommender.models.cohort import Cohort
from recommender.models.content import Content
from recommender.models.ease import Ease
from recommender.models.first_items import FirstItems
from recommender.models.item_knn import ItemKNN
from recommender.models.newest import Newest
from recommender.models.next_day import NextDay
from recommender.models.popularity import Popularity
from recommender.models.precedence import Precedence
from recommender.models.same_day import SameDay
from recommender.models.segment import SegmentPopularity
from recommender.models.transitions import Transitions
from recommender.models.trend import Trend
from recommender.models.user_knn import UserKNN
from recommender.own_models import make_own, own_specs, source_digest
from recommender.ranking.features import FEATURES

STRATEGIES: Final[dict[str, dict[str, float]]] = {
    "history": {"item_knn": 1.0, "als": 0.5, "segment": 1.0, "popularity": 1.0, "newest": 1e-6},
    "segment": {"content": 1.0, "segment": 1e-3, "popularity": 1e-5, "newest": 1e-7},
    "popular": {"popularity": 1.0, "newest": 1e-6},
}
"""Weight of each model in rank fusion, by strategy. Tiny weights fill lists that would otherwise stay short."""


@dataclass(frozen=True)
class ModelParameters:
    """Settings of the models; see the models for each. ``extra`` names own models as ``MODULE:CLASS``."""

    popularity_half_life_days: float = 7.0
    segment_half_life_days: float = 14.0
    segment_shrinkage: float = 20.0
    smallest_group: int = 10
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
    extra: tuple[str, ...] = ()
    extra_parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


FACTORIES: Final[dict[str, Callable[[ModelParameters, Taxonomy, Taxonomy], Model]]] = {
    "item_knn": lambda p, *_: ItemKNN(p.neighbours_per_item, p.neighbour_shrinkage, p.half_life_days),
    "als": lambda p, *_: Als(
        p.als_factors, p.als_iterations, p.als_regularization, p.als_alpha, p.half_life_days, p.seed, p.threads
    ),
    "segment": lambda p, roles, industries: SegmentPopularity(
        roles, industries, p.segment_half_life_days, p.segment_shrinkage, p.smallest_group
    ),
    "popularity": lambda p, *_: Popularity(p.popularity_half_life_days),
    "newest": lambda *_: Newest(),
    "trend_day": lambda *_: Trend(1.0),
    "trend_week": lambda *_: Trend(7.0),
    "trend_month": lambda *_: Trend(30.0),
    "trend_days": lambda *_: Trend(3.0, normalise_days=True),
    "trend_returning": lambda *_: Trend(1.0, normalise_days=True, exclude_first_day=True),
    "first_items": lambda *_: FirstItems(),
    "cohort": lambda *_: Cohort(),
    "ease": lambda p, *_: Ease(p.ease_regularization),
    "ease_recent": lambda p, *_: Ease(p.ease_regularization, 7.0),
    "transitions": lambda *_: Transitions(),
    "next_day": lambda *_: NextDay(),
    "same_day": lambda *_: SameDay(),
    "user_knn": lambda *_: UserKNN(30.0),
    "user_knn_recent": lambda *_: UserKNN(3.0),
    "content": lambda p, roles, industries: Content(roles, industries, min_members=p.smallest_group),
    "taste": lambda p, roles, industries: Content(
        roles, industries, min_members=p.smallest_group, with_start_rate=False
    ),
    "precedence": lambda *_: Precedence(),
}
"""Every registered model; of equal contributions the first one gives the reason, so own history comes first."""

DEFAULT_MODELS: Final = tuple(name for name in FACTORIES if name != "precedence")
"""The models of the default pipeline; the others can be backtested by name."""


def make_models(
    parameters: ModelParameters, *, roles: Taxonomy, industries: Taxonomy, names: Iterable[str] = DEFAULT_MODELS
) -> dict[str, Model]:
    """Return new, unfitted models by name; by default those of the default pipeline.

    Raises
    ------
    ModelError
        A name is neither registered nor that of an own model, or an own model cannot be made.
    """
    own = own_models(parameters.extra)
    names = tuple(names)
    _check_names(names, own)
    return {
        name: FACTORIES[name](parameters, roles, industries)
        if name in FACTORIES
        else make_own(own[name], parameters.extra_parameters.get(name, {}))
        for name in names
    }


def own_models(extra: Iterable[str]) -> dict[str, str]:
    """Return ``MODULE:CLASS`` of each own model by its name, the class's.

    Raises
    ------
    ModelError
        One is not of that form, or its name is taken.
    """
    return own_specs(extra, taken={*FACTORIES, *FEATURES, "member_just_joined", "default", "ranker"})


def own_in_pipeline(extra: Iterable[str], in_pipeline: Iterable[str]) -> list[str]:
    """Return ``MODULE:CLASS`` of the own models that take part in the pipeline.

    Raises
    ------
    ModelError
        A name is neither registered nor that of an own model.
    """
    own, names = own_models(extra), tuple(dict.fromkeys(in_pipeline))
    _check_names(names, own, "models.in_pipeline: ")
    return [own[name] for name in names if name in own]


def _check_names(names: Iterable[str], own: Mapping[str, str], where: str = "") -> None:
    if unknown := [name for name in names if name not in FACTORIES and name not in own]:
        raise ModelError(f"{where}there is no model {unknown[0]!r}; the models are {', '.join([*FACTORIES, *own])}")


def own_sources(extra: Iterable[str], in_pipeline: Iterable[str]) -> list[str]:
    """Return the digests of the sources of the own models that take part in the pipeline."""
    return [source_digest(spec) for spec in own_in_pipeline(extra, in_pipeline)]


def feature_names() -> tuple[str, ...]:
    """Return the names of the ranker's features, in order (:func:`recommender.ranking.ranker.features_of`).

    >>> feature_names()[0], feature_names()[-1]
    ('item_knn', 'member_just_joined')
    """
    return names_of(DEFAULT_MODELS)


def names_of(models: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the features of candidates of some models."""
    models = tuple(models)
    return (*models, *(f"rank_by_{name}" for name in models), *FEATURES, "member_just_joined")
