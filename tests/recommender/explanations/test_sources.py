"""Sources: every ranking feature has a group, and the group with the largest contribution is the source."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.explanations.sources import GROUP_OF, GROUPS, group_of, grouping, largest
from recommender.ranking.features import FEATURES
from recommender.ranking.prior import shipped_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import FACTORIES, feature_names
from tests.recommender.builders import fitted_pipeline, random_organisation


def test_every_model_and_feature_has_a_group() -> None:
    assert set(GROUP_OF) == {*FACTORIES, *FEATURES, "member_just_joined"}
    assert set(GROUP_OF.values()) == set(GROUPS)
    assert {group_of(name) for name in feature_names()} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_the_source_is_the_group_with_the_largest_sum(group: str) -> None:
    names = feature_names()
    parts = np.zeros((1, len(names) + 1))
    parts[0, [group_of(name) == group for name in names] + [False]] = 0.1
    parts[0, -1] = 50.0

    grouped = parts @ grouping(names)

    assert largest(grouped) == [group]
    assert grouped.sum() == pytest.approx(parts.sum())


def test_the_source_of_every_entry_is_the_largest_contribution_to_its_score() -> None:
    interactions = random_organisation(3, members=60, items=40, studies=900).interactions
    ranker = Ranker(shipped_prior(feature_names())).fit([])
    pipeline = replace(fitted_pipeline(interactions), ranker=ranker)
    lists = pipeline.recommend(interactions, interactions.members.index, k=5).set_index(["member_id", "item_id"])
    lists = lists[lists["strategy"] == "history"]

    n_checked = 0
    for rows, candidates in pipeline.proposals(interactions, interactions.members.index):
        features = pipeline.features(interactions, rows, candidates)
        parts = ranker.contributions(features, grouping(feature_names()))
        np.testing.assert_allclose(parts.sum(axis=1), ranker.score(features), atol=1e-5)
        sources = largest(parts)
        keys = zip(
            interactions.members.index[rows[candidates.row]], interactions.items.index[candidates.item], strict=True
        )
        for key, source in zip(keys, sources, strict=True):
            if key in lists.index:
                assert lists.loc[key, "source"] == source
                n_checked += 1
    assert n_checked == len(lists) > 50
