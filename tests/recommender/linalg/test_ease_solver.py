"""The weights of EASE: both sides of a matrix give the same, and the largest about so."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random

from recommender.errors import ModelError
from recommender.linalg import ease_solver
from recommender.linalg.ease_solver import BLOCK, full, gram_of, inverted, largest_weights, of_items, of_members


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
def test_both_sides_and_the_whole_rank_give_the_weights_of_the_definition(
    seed: int, members: int, items: int, regularization: float
) -> None:
    rows = studied(seed, members, items)
    expected = by_definition(rows, regularization)

    np.testing.assert_allclose(of_items(gram_of(rows.T.tocsr()), regularization), expected, atol=1e-4)
    np.testing.assert_allclose(of_members(rows, regularization), expected, atol=1e-4)
    if rows.nnz:
        found = largest_weights(rows, regularization, rank=50, kept=items).toarray()
        np.testing.assert_allclose(found, np.maximum(expected, 0.0), atol=1e-4)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), size=st.integers(0, 40), largest=st.integers(1, 12))
def test_a_matrix_is_inverted_by_quarters_as_it_is_whole(
    seed: int, size: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gram = gram_of(studied(seed, size, size))
    expected = np.linalg.inv(gram.astype(np.float64) + 3.0 * np.eye(size))
    monkeypatch.setattr(ease_solver, "LARGEST", largest)

    np.testing.assert_allclose(inverted(gram, 3.0), expected, atol=1e-5)


def test_many_items_over_several_blocks_are_solved_by_either_side_alike() -> None:
    rows = studied(0, 300, 2 * BLOCK + 7, 0.02)

    np.testing.assert_allclose(of_members(rows, 5.0), by_definition(rows, 5.0), atol=1e-4)
    np.testing.assert_allclose(full(rows, 5.0), by_definition(rows, 5.0), atol=1e-4)


def test_a_low_rank_comes_close_and_a_higher_one_closer() -> None:
    rng = np.random.default_rng(0)
    tastes, kinds = rng.integers(0, 6, 400), rng.integers(0, 6, 120)
    rows = csr_matrix(rng.random((400, 120)) < np.where(tastes[:, None] == kinds, 0.4, 0.03), dtype=np.float32)
    expected = np.maximum(by_definition(rows, 20.0), 0.0)

    far, near, whole = (
        np.abs(largest_weights(rows, 20.0, rank=rank, kept=120).toarray() - expected).mean() / expected.mean()
        for rank in (6, 60, 120)
    )

    assert 1.0 > far > near > whole
    assert whole < 1e-3


def test_each_item_keeps_the_weights_of_those_that_speak_most_for_it() -> None:
    rows = studied(0, 60, 30)
    every, few = (largest_weights(rows, 3.0, rank=30, kept=kept).toarray() for kept in (30, 4))

    least = np.sort(every, axis=0)[-4]
    np.testing.assert_allclose(few, np.where(every >= least, every, 0.0), rtol=1e-4)
    assert ((few > 0).sum(axis=0) <= 4).all()
    assert (few > 0).sum() > 30


def test_a_matrix_without_an_inverse_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"cannot be inverted with regularization = -1\.0; choose a larger"):
        of_items(np.asfortranarray(np.eye(3, dtype=np.float32)), -1.0)


def test_weights_are_made_in_the_memory_of_the_gram_matrix() -> None:
    gram = np.asfortranarray(np.eye(1_500, dtype=np.float32))
    tracemalloc.start()
    try:
        of_items(gram, 1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < gram.nbytes / 2


def test_the_largest_weights_take_memory_by_the_item() -> None:
    rows = studied(0, 200, 20_000, 0.001)

    weights = largest_weights(rows, 10.0, rank=8, kept=5)

    assert weights.nnz <= 20_000 * 5
    assert weights.dtype == np.float32
