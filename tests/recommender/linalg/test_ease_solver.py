"""The weights of EASE: exact ones, and the largest of a low-rank Gram matrix."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random

from recommender.errors import ModelError
from recommender.linalg.ease_solver import BLOCK, exact_weights, inverted, largest_weights


def studied(seed: int, members: int, items: int, share: float = 0.3) -> csr_matrix:
    """Return who studied what, weighed."""
    return random(members, items, share, format="csr", dtype=np.float32, random_state=seed)


def by_definition(rows: csr_matrix, regularization: float) -> NDArray[Any]:
    """Return the weights by inverting the regularised Gram matrix, written out in float64."""
    dense = rows.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + regularization * np.eye(dense.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    members=st.integers(1, 12),
    items=st.integers(1, 12),
    regularization=st.sampled_from([0.5, 3.0, 100.0]),
)
def test_exact_weights_and_those_of_the_whole_rank_are_the_weights_of_the_definition(
    seed: int, members: int, items: int, regularization: float
) -> None:
    rows = studied(seed, members, items)
    expected = by_definition(rows, regularization)

    np.testing.assert_allclose(exact_weights(rows, regularization), expected, atol=1e-4)
    if rows.nnz:
        weights = largest_weights(rows, regularization, rank=50, per_item=items).toarray()
        np.testing.assert_allclose(weights, np.maximum(expected, 0.0), atol=1e-4)


def test_many_items_over_several_blocks_have_the_weights_of_the_definition() -> None:
    rows = studied(0, 300, 2 * BLOCK + 7, 0.02)

    np.testing.assert_allclose(exact_weights(rows, 5.0), by_definition(rows, 5.0), atol=1e-4)


def test_no_items_at_all_have_no_weights() -> None:
    assert exact_weights(csr_matrix((3, 0), dtype=np.float32), 5.0).shape == (0, 0)


def test_a_low_rank_comes_close_and_a_higher_one_closer() -> None:
    rng = np.random.default_rng(0)
    groups, kinds = rng.integers(0, 6, 400), rng.integers(0, 6, 120)
    rows = csr_matrix(rng.random((400, 120)) < np.where(groups[:, None] == kinds, 0.4, 0.03), dtype=np.float32)
    expected = np.maximum(by_definition(rows, 20.0), 0.0)

    far, near, whole = (
        np.abs(largest_weights(rows, 20.0, rank=rank, per_item=120).toarray() - expected).mean() / expected.mean()
        for rank in (6, 60, 120)
    )

    assert 1.0 > far > near > whole
    assert whole < 1e-3


def test_each_item_keeps_its_largest_weights() -> None:
    rows = studied(0, 60, 30)
    every, few = (largest_weights(rows, 3.0, rank=30, per_item=per_item).toarray() for per_item in (30, 4))

    least = np.sort(every, axis=0)[-4]
    np.testing.assert_allclose(few, np.where(every >= least, every, 0.0), rtol=1e-4)
    assert ((few > 0).sum(axis=0) <= 4).all()
    assert (few > 0).sum() > 30


def test_a_matrix_without_an_inverse_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"cannot be inverted with regularization = -1\.0; choose a larger"):
        exact_weights(csr_matrix(np.eye(3, dtype=np.float32)), -1.0)


def test_a_gram_matrix_is_inverted_in_its_own_memory() -> None:
    gram = np.asfortranarray(np.eye(1_500, dtype=np.float32))
    tracemalloc.start()
    try:
        inverted(gram, 1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < gram.nbytes / 2


def test_the_largest_weights_take_memory_by_the_item() -> None:
    rows = studied(0, 200, 5_000, 0.001)
    tracemalloc.start()
    try:
        weights = largest_weights(rows, 10.0, rank=8, per_item=5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5_000**2 * weights.dtype.itemsize / 2
    assert 0 < weights.nnz <= 5_000 * 5
    assert weights.dtype == np.float32
