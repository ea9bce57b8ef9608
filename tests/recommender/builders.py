"""Small organisations to recommend to, from rows that a test can be read by."""

from functools import cache

import numpy as np
import pandas as pd

from content_catalog.taxonomy import Taxonomy, shipped
from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.model_contract.sample import (
    NOW,
    Described,
    Organisation,
    Study,
    event_frame,
    make_interactions,
    random_organisation,
    table,
)
from recommender.models.base import Model
from recommender.pipeline import Pipeline
from recommender.policy.ranked_lists import Mask, RankedLists
from recommender.registry import FACTORIES, ModelParameters, make_models

__all__ = [
    "NOW",
    "Described",
    "Organisation",
    "Study",
    "event_frame",
    "make_interactions",
    "random_organisation",
    "table",
]
ROLES = shipped("isco08")
INDUSTRIES = shipped("gbt4754_2017")
TAXONOMIES = {"role": ROLES, "industry": INDUSTRIES}
SMALL = ModelParameters(smallest_group=1, als_factors=4, als_iterations=5, threads=1)
MODELS = tuple(FACTORIES)
SMALLEST_GROUP = 3


def make_model(name: str, parameters: ModelParameters = SMALL) -> Model:
    """Return a new model by its registered name."""
    return make_models(parameters, roles=ROLES, industries=INDUSTRIES, names=[name])[name]


def fitted_pipeline(interactions: Interactions, parameters: ModelParameters = SMALL) -> Pipeline:
    """Return the default pipeline, fitted."""
    models = make_models(parameters, roles=ROLES, industries=INDUSTRIES)
    pipeline = Pipeline(models, roles=ROLES, industries=INDUSTRIES, min_group_size=SMALLEST_GROUP)
    pipeline.fit(interactions)
    return pipeline


def anything(members: Positions, _items: Positions) -> Mask:
    """Return that everything may be offered."""
    return np.ones(len(members), dtype=bool)


def ranked(interactions: Interactions, member: str, scores: dict[str, float]) -> RankedLists:
    """Return the list of one member, its items with scores, best first."""
    item = interactions.items.index.get_indexer(list(scores))
    row = np.zeros(len(item), dtype=np.intp)
    positions = interactions.members.index.get_indexer([member])
    return RankedLists.of(positions, row, item, np.array(list(scores.values())), np.arange(len(item)))


def items_of(lists: pd.DataFrame, member: str) -> list[str]:
    """Return the items of a member's list, best first."""
    mine: list[str] = lists.loc[lists["member_id"] == member, "item_id"].tolist()
    return mine


@cache
@cache
def climbed(taxonomy: Taxonomy, code: str) -> frozenset[str]:
    """Return a code and all above it, by the parents in the table alone; nothing for an unknown code."""
    codes = set()
    while code in taxonomy.table.index:
        codes.add(code)
        code = taxonomy.table.loc[code, "parent"]
    return frozenset(codes)
