"""The best k of each row of scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recommender.topk import Scores, top_k

# Few different values, so that ties are the rule.
SCORES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
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
