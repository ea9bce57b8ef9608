"""Shares of counts, shrunk towards 0 where few were counted."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags


def shrunk_shares(counts: csr_matrix, totals: NDArray[np.float64], shrinkage: float) -> csr_matrix:
    """Return counts divided by the total of their row and the shrinkage: ``n / (N + shrinkage)``.

    >>> counts = csr_matrix([[3.0, 1.0], [0.0, 0.0]])
    >>> shrunk_shares(counts, np.array([4.0, 0.0]), 1.0).toarray().round(3)
    array([[0.6, 0.2],
           [0. , 0. ]])
    """
    return csr_matrix(diags(1.0 / np.maximum(totals + shrinkage, 1e-12)) @ counts)
