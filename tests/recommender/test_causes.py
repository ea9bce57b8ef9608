"""Causes: the own item that is named is one without which the entry scores less, and none where there is no such."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from recommender.causes import MAX_TRIED, causes_of
from recommender.linalg.topk import Positions
from recommender.pipeline import Pipeline
from recommender.policy.ranked_lists import Listed
from tests.recommender.builders import Organisation, Study, fitted_pipeline, make_interactions


@pytest.fixture(scope="module")
def pipeline(organisation: Organisation) -> Pipeline:
    """Return a fitted pipeline whose ranks are fused."""
    return fitted_pipeline(organisation.interactions)


def without(interactions: Interactions, member: int, item: int) -> Interactions:
    """Return what is known without a member's study of an item."""
    cells = interactions.cells
    gone = (cells["member"] == member) & (cells["item"] == item)
    return Interactions(interactions.members, interactions.items, cells[~gone], interactions.as_of, interactions.rules)


def scores_of(pipeline: Pipeline, interactions: Interactions, member: int) -> Counter[int]:
    """Return the scores of the items in a member's ranking, 0 where one is not proposed."""
    [(rows, candidates)] = pipeline.proposals(interactions, interactions.members.index[[member]])
    return Counter(dict(zip(candidates.item.tolist(), pipeline.rank(interactions, rows, candidates), strict=True)))


def entries(members: Positions, items: Positions, sources: list[str]) -> Listed:
    """Return entries of lists with a score of 1, the first of each list."""
    n = len(members)
    return Listed(members, items, np.ones(n, dtype=np.intp), sources, np.ones(n), [None] * n, np.ones(n))


def test_the_cause_is_the_item_whose_removal_lowers_the_score_most(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    interactions = organisation.interactions
    counts = np.diff(interactions.matrix(np.inf).indptr)
    few = np.flatnonzero((counts > 1) & (counts <= MAX_TRIED))[:3]  # all of their items are tried
    cited = 0
    for block in pipeline.listed(interactions, interactions.members.index[few], k=3):
        causes = pipeline.causes(interactions, replace(block, source=["history"] * len(block.item)))
        for member in np.unique(block.member):
            before = scores_of(pipeline, interactions, member)
            own = interactions.matrix(np.inf)[member].indices
            after = {other: scores_of(pipeline, without(interactions, member, other), member) for other in own}
            for item, cause in zip(block.item[block.member == member], causes[block.member == member], strict=True):
                effects = {other: before[item] - scores[item] for other, scores in after.items()}
                largest = max(effects.values())
                assert (cause >= 0) == (largest > 1e-6)
                assert cause < 0 or effects[cause] == pytest.approx(largest, abs=1e-9)
                cited += cause >= 0
    assert cited > 0


def test_wanted_candidates_are_those_among_all_proposals(organisation: Organisation, pipeline: Pipeline) -> None:
    interactions = organisation.interactions
    [(rows, every)] = pipeline.proposals(interactions, interactions.members.index)
    listed = csr_matrix((np.ones(len(every.row)), (rows[every.row], every.item)), shape=interactions.shape)
    [(again, wanted)] = pipeline.rescored(interactions, listed)

    assert np.array_equal(rows, again)
    for name in ("row", "item", "scores", "ranks"):
        assert np.array_equal(getattr(every, name), getattr(wanted, name), equal_nan=name in {"scores", "ranks"})


def test_members_whose_only_item_is_left_out_share_scores_and_get_the_causes_they_get_alone(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    every = organisation.interactions
    alike = every.members.iloc[np.zeros(len(every.members), dtype=np.intp)].set_axis(every.members.index)
    cells = every.cells.drop_duplicates("member")
    interactions = Interactions(alike, every.items, cells, every.as_of, every.rules)
    once = interactions.members.index[cells["member"][:8]]

    def causes_of_lists(names: pd.Index) -> list[int]:
        blocks = pipeline.listed(interactions, names, k=5)
        causes = [
            pipeline.causes(interactions, replace(block, source=["history"] * len(block.item))) for block in blocks
        ]
        return np.concatenate(causes).tolist()

    together = causes_of_lists(once)
    assert together == [cause for name in once for cause in causes_of_lists(pd.Index([name]))]
    assert max(together) >= 0
    assert len(np.unique(pipeline.profile_groups(interactions)[cells["member"][:8]])) < len(once)


def test_entries_of_other_sources_and_members_without_study_name_no_item(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    interactions = organisation.interactions
    idle = int(np.flatnonzero(np.diff(interactions.seen.indptr) == 0)[0])
    members, items = np.array([idle, 0]), np.array([0, 1])
    assert pipeline.causes(interactions, entries(members, items, ["history", "popular"])).tolist() == [-1, -1]


def test_what_a_member_disliked_is_never_a_cause(pipeline: Pipeline) -> None:
    interactions = make_interactions([("m", "bad"), Study("m", "bad", "disliked", 0.5)], items={"x": {}})
    listed = interactions.items.index.get_indexer(["x"])
    like_all = csr_matrix(np.ones((len(interactions.items), len(interactions.items))))
    assert causes_of(pipeline, (like_all,), interactions, entries(np.array([0]), listed, ["history"])).tolist() == [-1]
