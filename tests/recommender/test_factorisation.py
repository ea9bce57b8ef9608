"""Factorisation: exact, as good as the peer's, and the same with any number of threads and in any block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.factorisation import BLOCK_ROWS, Factorisation, solved
from tests.recommender.builders import random_organisation


def evidence_of(seed: int, *, members: int = 300) -> csr_matrix:
    """Return the evidence of some organisation."""
    return random_organisation(seed, members=members, items=60, studies=12 * members).interactions.matrix(90.0)


@given(seed=st.integers(0, 10_000), size=st.integers(1, 9), many=st.integers(1, 40))
def test_solutions_solve_their_systems(seed: int, size: int, many: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(many, size, size))
    left = root @ root.transpose(0, 2, 1) + np.eye(size)
    right = rng.normal(size=(many, size))

    found = solved(left.transpose(1, 2, 0).copy(), right.T.copy()).T

    np.testing.assert_allclose((left @ found[:, :, None])[:, :, 0], right, atol=1e-8)


def lost(evidence: csr_matrix, members: np.ndarray, items: np.ndarray, *, regularization: float, alpha: float) -> float:
    """Return what least squares are about (Hu et al. 2008, equation 3)."""
    weight, wanted = evidence.toarray(), evidence.toarray() > 0
    confidence = np.where(wanted, alpha * weight, 1.0)
    squares = float((confidence * (wanted - members @ items.T) ** 2).sum())
    return squares + regularization * float((members**2).sum() + (items**2).sum())


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_loses_as_little_as_that_of_implicit(seed: int) -> None:
    evidence = evidence_of(seed)
    ours = Factorisation(factors=8, iterations=30, regularization=5.0, alpha=3.0)
    items = ours.item_factors(evidence, [seed])
    with threadpool_limits(limits=1, user_api="blas"):  # which implicit asks for
        peer = AlternatingLeastSquares(
            factors=8, iterations=30, regularization=5.0, alpha=3.0, random_state=seed, num_threads=1, use_cg=False
        )
        peer.fit(evidence, show_progress=False)

    loss = lost(evidence, ours.member_factors(evidence, items)[0], items[0], regularization=5.0, alpha=3.0)

    assert loss <= 1.005 * lost(evidence, peer.user_factors, peer.item_factors, regularization=5.0, alpha=3.0)


def test_factors_do_not_depend_on_the_number_of_threads() -> None:
    evidence = evidence_of(4, members=BLOCK_ROWS + 100)

    one, two = (Factorisation(4, 5, 5.0, 3.0, threads).item_factors(evidence, [1, 2]) for threads in (1, 2))

    np.testing.assert_array_equal(one, two)


def test_a_members_factors_are_the_same_alone_and_among_others() -> None:
    evidence = evidence_of(5, members=BLOCK_ROWS + 100)
    fits = Factorisation(factors=4, iterations=5, regularization=5.0, alpha=3.0)
    items = fits.item_factors(evidence, [1, 2, 3])

    together = fits.member_factors(evidence, items)

    for member in (0, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 99):
        np.testing.assert_array_equal(fits.member_factors(evidence[[member]], items)[:, 0], together[:, member])


def test_each_seed_has_a_fit_of_its_own() -> None:
    evidence = evidence_of(6)
    fits = Factorisation(factors=4, iterations=5, regularization=5.0, alpha=3.0)

    both = fits.item_factors(evidence, [1, 2])

    assert both.shape == (2, evidence.shape[1], 4)
    np.testing.assert_allclose(both[1], fits.item_factors(evidence, [2])[0], atol=1e-5)
    assert not np.allclose(both[0], both[1])
