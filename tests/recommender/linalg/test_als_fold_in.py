"""ALS fold-in: exact, equal to the library's, and the same in any block."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.linalg.als_fold_in import BLOCK_ROWS, member_factors
from tests.recommender.builders import random_organisation


def weights_of(seed: int, *, members: int = 300) -> csr_matrix:
    """Return the interaction weights of some organisation."""
    return random_organisation(seed, members=members, items=60, studies=12 * members).interactions.matrix(90.0)


FITTING = {"regularization": 5.0, "alpha": 3.0}


def test_members_have_the_factors_that_a_half_pass_of_implicit_gives_them() -> None:
    weights = weights_of(1)
    confidence = csr_matrix((1 + 3.0 * weights.data, weights.indices, weights.indptr), shape=weights.shape)
    with threadpool_limits(limits=1, user_api="blas"):  # which implicit asks for
        library = AlternatingLeastSquares(
            factors=8, iterations=5, regularization=5.0, alpha=1.0, random_state=1, num_threads=1, use_cg=False
        )
        library.fit(confidence, show_progress=False)
        theirs = library.recalculate_user(np.arange(weights.shape[0]), confidence)

    ours = member_factors(weights, library.item_factors.astype(np.float64)[None], **FITTING)[0]

    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_members_factors_are_the_same_alone_and_among_others() -> None:
    weights = weights_of(5, members=BLOCK_ROWS + 100)
    items = np.random.default_rng(0).normal(size=(3, weights.shape[1], 4))

    together = member_factors(weights, items, **FITTING)

    for member in (0, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 99):
        np.testing.assert_array_equal(member_factors(weights[[member]], items, **FITTING)[:, 0], together[:, member])


def test_factors_are_those_worked_by_hand() -> None:
    # One factor, items 1 and 2, weight 1 for the first, alpha 3, regularization 2: Y'Y = 1² + 2² = 5. The confidence is
    # 1 + 3 · 1 = 4, so (C - 1) adds 3 · 1², and x = 4 · 1 / (5 + 2 + 3) = 0.4.
    items = np.array([[[1.0], [2.0]]])

    factors = member_factors(csr_matrix(np.float32([[1.0, 0.0]])), items, regularization=2.0, alpha=3.0)

    np.testing.assert_allclose(factors, [[[0.4]]])
