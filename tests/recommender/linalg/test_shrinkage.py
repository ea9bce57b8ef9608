"""Shares of counts, shrunk."""

import numpy as np
from scipy.sparse import csr_matrix

from recommender.linalg.shrinkage import shrunk_shares


def test_shares_of_few_counts_are_shrunk_more() -> None:
    shares = shrunk_shares(csr_matrix([[30.0, 10.0], [3.0, 1.0], [0.0, 0.0]]), np.array([40.0, 4.0, 0.0]), 1.0)

    np.testing.assert_allclose(shares.toarray(), [[30 / 41, 10 / 41], [3 / 5, 1 / 5], [0.0, 0.0]], rtol=1e-6)


def test_rows_without_counts_are_empty_without_shrinkage_too() -> None:
    assert not shrunk_shares(csr_matrix((1, 2)), np.zeros(1), 0.0).toarray().any()
