"""Candidates: the models' best of what is open, whatever the blocks and threads."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.linalg.parallel import parallel_map
from recommender.linalg.topk import first_unmasked, top_k
from recommender.models.base import Eligibility
from recommender.models.newest import Newest
from recommender.models.popularity import Popularity
from recommender.ranking.candidate_generation import Candidates, propose
from tests.recommender.builders import random_organisation


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 8), columns=st.integers(1, 60), k=st.integers(1, 9))
def test_the_first_that_are_open_are_the_best_of_scores_that_all_share(
    seed: int, rows: int, columns: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    common = rng.integers(0, 5, columns).astype(np.float32)
    common[rng.random(columns) < 0.2] = -np.inf
    closed = np.where(rng.random((rows, columns)) < rng.random(), np.float32(-np.inf), np.float32(0.0))
    order = np.argsort(-common, kind="stable")

    first_open = first_unmasked(order[np.isfinite(common[order])], closed, k)

    expected = top_k(common + closed, k)
    np.testing.assert_array_equal(first_open[0], expected[0])
    np.testing.assert_array_equal(first_open[1], expected[1])


def test_what_threads_make_comes_in_the_order_of_the_tasks() -> None:
    assert list(parallel_map(str, range(50))) == [str(task) for task in range(50)]
    assert list(parallel_map(str, range(1))) == ["0"]
    assert not list(parallel_map(str, range(0)))


def test_what_goes_wrong_in_a_thread_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(partial(divmod, 1), [1, 2, 0, 3]))


def test_candidates_are_ranked_and_valued_by_each_model_among_what_is_open() -> None:
    interactions = random_organisation(3, members=40, items=30, studies=300).interactions
    models = {"popularity": Popularity().fit(interactions), "newest": Newest().fit(interactions)}
    rows = np.arange(interactions.shape[0])
    open_to = np.ones((1, interactions.shape[1]), dtype=bool)
    open_to[0, ::3] = False
    eligibility = Eligibility(np.zeros(len(rows), dtype=np.intp), open_to)

    proposals: list[tuple[np.ndarray, Candidates]] = list(
        propose(models, interactions, rows, eligibility=eligibility, depth=4)
    )

    assert np.concatenate([block for block, _ in proposals]).tolist() == rows.tolist()
    for block, proposed in proposals:
        for place, name in enumerate(models):
            lists = models[name].recommend(
                interactions.members.index[block], k=4, allowed=interactions.items.index[open_to[0]].tolist()
            )
            own = np.isfinite(proposed.ranks[:, place])
            got = {
                (interactions.members.index[block[row]], interactions.items.index[item], rank)
                for row, item, rank in zip(
                    proposed.row[own], proposed.item[own], proposed.ranks[own, place], strict=True
                )
            }
            assert got == set(zip(lists["member_id"], lists["item_id"], lists["rank"], strict=True))
            first = proposed.ranks[:, place] == 1
            assert np.abs(proposed.scores[first, place]).tolist() == [1.0] * int(first.sum())
