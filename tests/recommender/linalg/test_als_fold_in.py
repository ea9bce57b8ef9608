"""Fold-in: exact, as the peer has it, and the same in any block."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.linalg.als_fold_in import BLOCK_ROWS, member_factors, solved
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


FITTING = {"regularization": 5.0, "alpha": 3.0}


def test_members_have_the_factors_that_a_half_pass_of_implicit_gives_them() -> None:
    evidence = evidence_of(1)
    with threadpool_limits(limits=1, user_api="blas"):  # which implicit asks for
        peer = AlternatingLeastSquares(factors=8, iterations=5, random_state=1, num_threads=1, use_cg=False, **FITTING)
        peer.fit(evidence, show_progress=False)
        theirs = peer.recalculate_user(np.arange(evidence.shape[0]), evidence)

    ours = member_factors(evidence, peer.item_factors.astype(np.float64)[None], **FITTING)[0]

    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_members_factors_are_the_same_alone_and_among_others() -> None:
    evidence = evidence_of(5, members=BLOCK_ROWS + 100)
    items = np.random.default_rng(0).normal(size=(3, evidence.shape[1], 4))

    together = member_factors(evidence, items, **FITTING)

    for member in (0, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 99):
        np.testing.assert_array_equal(member_factors(evidence[[member]], items, **FITTING)[:, 0], together[:, member])
