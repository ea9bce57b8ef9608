"""A breakdown ranks as lists do, and its contributions add up to the score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from recommender.breakdown import CONSTANT, breakdown
from recommender.explanations.sources import GROUPS
from recommender.pipeline import Pipeline
from recommender.ranking.prior import shipped_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import feature_names
from tests.recommender.builders import Organisation, fitted_pipeline


@pytest.fixture(scope="module")
def pipeline(organisation: Organisation) -> Pipeline:
    """Return a fitted pipeline with the ranker that ships."""
    ranker = Ranker(shipped_prior(feature_names())).fit([])
    return replace(fitted_pipeline(organisation.interactions), ranker=ranker)


@given(row=st.integers(0, 59), fused=st.booleans())
@settings(max_examples=15)
def test_contributions_add_up_to_scores_that_order_the_list(
    organisation: Organisation, pipeline: Pipeline, row: int, fused: bool
) -> None:
    interactions = organisation.interactions
    member_id = interactions.members.index[row]
    ranking = replace(pipeline, ranker=None) if fused else pipeline
    listed = ranking.recommend(interactions, interactions.members.index[[row]], k=8)
    parts = breakdown(ranking, interactions, member_id, k=8)
    best = [parts.of_place(place) for place in range(min(8, len(parts.item)))]

    assert interactions.items.index[parts.item[:8]].tolist() == listed["item_id"].tolist()
    assert [each["source"] for each in best] == listed["source"].tolist()
    [(rows, candidates)] = ranking.proposals(interactions, interactions.members.index[[row]], k=8)
    scores = dict(zip(candidates.item.tolist(), ranking.rank(interactions, rows, candidates).tolist(), strict=True))
    ranked = ranking.are_ranked(interactions, rows, candidates).any()
    for place, each in enumerate(best):
        assert list(each["contributions"]) == [*GROUPS, CONSTANT]
        assert each["score"] == pytest.approx(sum(each["contributions"].values()), abs=1e-9)
        score = expit(each["score"]) if ranked else each["score"]
        assert score == pytest.approx(scores[parts.item[place]], abs=1e-5)


def test_an_unrestricted_breakdown_ranks_what_the_member_studied_too(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    interactions = organisation.interactions
    row = int(np.diff(interactions.seen.indptr).argmax())
    seen = set(interactions.seen[row].indices.tolist())
    every = breakdown(pipeline, interactions, interactions.members.index[row], k=8, unrestricted=True)
    own = breakdown(pipeline, interactions, interactions.members.index[row], k=8)

    assert seen & set(every.item.tolist())
    assert not seen & set(own.item.tolist())
    assert set(own.item.tolist()) <= set(range(len(interactions.items)))
