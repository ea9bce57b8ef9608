"""The best products of vectors, exact at the speed of float32."""

import os
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random

from recommender.linalg.topk import top_k
from recommender.models.base import Eligibility
from recommender.models.factor_base import CACHED_CELLS, best_products

Floats = NDArray[np.float64]


def everything(n_members: int, n_items: int) -> Eligibility:
    """Return that all may be offered all."""
    return Eligibility(np.zeros(n_members, dtype=np.intp), np.ones((1, n_items), dtype=bool))


def plainly(members: Floats, items: Floats, k: int, eligibility: Eligibility, left_out: csr_matrix) -> tuple[Any, ...]:
    """Return the same from all products at once in float64."""
    scores = np.array([[row @ item for item in items] for row in members]).reshape(len(members), len(items))
    scores = scores.astype(np.float32)
    scores[~eligibility.masks[eligibility.group_of]] = -np.inf
    scores[left_out.nonzero()] = -np.inf
    return top_k(scores, k)


def same(products: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Return whether rows, columns and values are the same, to the last bit."""
    return all(np.array_equal(part, expected_part) for part, expected_part in zip(products, expected, strict=True))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_members=st.integers(1, 6),
    n_items=st.integers(1, 90),
    size=st.integers(1, 40),
    k=st.integers(1, 12),
    spread=st.sampled_from([0.0, 1e-9, 1e-7, 1e-5, 1.0]),
)
def test_the_best_are_those_of_float64_rounded_however_close_they_are(
    seed: int, n_members: int, n_items: int, size: int, k: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    members = rng.standard_normal((n_members, size))
    # Items of few kinds, apart by less than float32 can tell: ties, near ties and, with 1.0, neither.
    items = rng.standard_normal((3, size))[rng.integers(0, 3, n_items)]
    items += spread * rng.standard_normal(items.shape)
    masks = rng.random((int(rng.integers(1, 4)), n_items)) < 0.7
    eligibility = Eligibility(rng.integers(0, len(masks), n_members), masks)
    left_out = csr_matrix(rng.random((n_members, n_items)) < 0.2, dtype=np.float32)

    products = best_products(members, items, k, eligibility, left_out)

    expected = plainly(members, items, k, eligibility, left_out)
    assert np.array_equal(products[0], expected[0])
    # Sums of float64 in another order may round to the neighbouring float32: only then may near ties change places.
    np.testing.assert_allclose(products[2], expected[2], rtol=1e-6, atol=1e-9)
    if spread in (0.0, 1.0):
        assert same(products, expected) or not np.array_equal(products[2], expected[2])


def test_whole_numbers_give_exactly_the_plain_lists_ties_by_position_over_many_blocks() -> None:
    rng = np.random.default_rng(1)
    members, items = (rng.integers(-3, 4, (count, 8)).astype(np.float64) for count in (6_000, 3_000))
    assert len(members) * len(items) > 2 * CACHED_CELLS
    left_out = random(6_000, 3_000, 0.01, format="csr", random_state=2)
    scores = (members @ items.T).astype(np.float32)
    scores[left_out.nonzero()] = -np.inf

    assert same(best_products(members, items, 15, everything(6_000, 3_000), left_out), top_k(scores, 15))


def test_a_member_gets_the_same_alone_and_among_many() -> None:
    rng = np.random.default_rng(3)
    members, items = rng.standard_normal((4_500, 16)), rng.standard_normal((4_000, 16))
    rows, columns, values = best_products(members, items, 10, everything(4_500, 4_000))

    for row in (0, 2_100, 4_499):
        alone = best_products(members[row : row + 1], items, 10, everything(1, 4_000))
        assert same(alone[1:], (columns[rows == row], values[rows == row]))


@pytest.mark.parametrize("k", [1, 5])
def test_vanishing_products_are_told_apart(k: int) -> None:
    members, items = np.full((1, 2), 1e-22), np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0]]) * 1e-20

    rows, columns, _ = best_products(members, items, k, everything(1, 3))

    assert columns.tolist() == [1, 2, 0][: len(rows)]


def test_nobody_gets_nothing() -> None:
    rows, columns, values = best_products(np.zeros((0, 4)), np.ones((5, 4)), 3, everything(0, 5))

    assert (len(rows), len(columns), len(values)) == (0, 0, 0)


def test_memory_is_that_of_the_blocks_not_of_all_products() -> None:
    rng = np.random.default_rng(0)
    members, items = rng.standard_normal((15_000, 4)), rng.standard_normal((5_000, 4))
    tracemalloc.start()
    try:
        best_products(members, items, 5, everything(15_000, 5_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    threads = os.cpu_count() or 1
    assert peak < 2 * threads * CACHED_CELLS * np.dtype(np.float32).itemsize
