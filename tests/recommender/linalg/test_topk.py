"""The best k of each row of scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.linalg.topk import Scores, near_top_k, top_k

# Few different values, so that ties are the rule; few and many columns, so that groups hold one and several of them.
SCORES = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 8) | st.integers(8, 70)),
    elements=st.sampled_from([-np.inf, -2.5, -1.0, 0.0, 0.5, 1.0, 3.0e38]),
)


def by_full_sort(scores: Scores, k: int) -> list[tuple[int, int, float]]:
    """Return the same by a stable sort of each whole row."""
    best = []
    for row, values in enumerate(scores.tolist()):
        finite = [(column, value) for column, value in enumerate(values) if value > -np.inf]
        best += [(row, column, value) for column, value in sorted(finite, key=lambda pair: -pair[1])[:k]]
    return best


@settings(deadline=None)
@given(scores=SCORES, k=st.integers(1, 10))
def test_the_best_k_are_those_of_a_full_stable_sort(scores: Scores, k: int) -> None:
    rows, columns, values = top_k(scores, k)

    assert list(zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True)) == by_full_sort(scores, k)


@settings(deadline=None)
@given(scores=SCORES, k=st.integers(1, 10))
def test_each_row_is_the_same_alone_and_among_others(scores: Scores, k: int) -> None:
    rows, columns, values = top_k(scores, k)

    for row in range(len(scores)):
        _, alone, alone_values = top_k(scores[row : row + 1], k)
        assert columns[rows == row].tolist() == alone.tolist()
        assert values[rows == row].tolist() == alone_values.tolist()


@settings(deadline=None)
@given(scores=SCORES, k=st.integers(1, 10))
def test_scores_are_left_as_they_were(scores: Scores, k: int) -> None:
    before = scores.copy()

    top_k(scores, k)

    assert np.array_equal(scores, before)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_rows_or_no_columns_give_nothing(shape: tuple[int, int]) -> None:
    rows, columns, values = top_k(np.zeros(shape, dtype=np.float32), 2)

    assert (len(rows), len(columns), len(values)) == (0, 0, 0)


@settings(deadline=None)
@given(scores=SCORES, k=st.integers(1, 10), slack=st.sampled_from([0.0, 0.5, 1.5, 10.0]))
def test_contenders_are_all_that_reach_the_kth_best_less_the_slack(scores: Scores, k: int, slack: float) -> None:
    rows, columns = near_top_k(scores, k, np.full(len(scores), slack, dtype=np.float32))

    contenders = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(contenders) == len(rows)
    for row, values in enumerate(scores):
        finite = np.sort(values[values > -np.inf])[::-1]
        least = finite[min(k, len(finite)) - 1] - slack if len(finite) else np.inf
        assert {(row, column) for column in np.flatnonzero((values >= least) & (values > -np.inf))} <= contenders


def test_of_many_scores_few_contend() -> None:
    scores = np.random.default_rng(0).standard_normal((50, 20_000)).astype(np.float32)

    rows, _ = near_top_k(scores, 20)

    assert 50 * 20 <= len(rows) < 50 * 22


def test_a_view_of_every_other_column_gives_the_best_of_those() -> None:
    scores = np.random.default_rng(0).standard_normal((6, 301)).astype(np.float32)

    for mine, plain in zip(top_k(scores[:, ::2], 3), top_k(scores[:, ::2].copy(), 3), strict=True):
        assert mine.tolist() == plain.tolist()
