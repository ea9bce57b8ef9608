"""The best k of each row of scores, ties broken by position, so that equal inputs give equal lists."""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Positions = NDArray[np.intp]


def top_k(scores: Scores, k: int) -> tuple[Positions, Positions, Scores]:
    """Return the best ``k`` finite scores of each row as ``(rows, columns, values)``, best first within each row.

    Of equal scores the lower column comes first. A row with fewer than ``k`` finite scores gives fewer.

    Parameters
    ----------
    scores : array (n_rows, n_columns) of float32
        ``-inf`` marks what must not be returned.

    Examples
    --------
    >>> rows, columns, values = top_k(np.float32([[1, 3, 3, 2], [-np.inf, 5, -np.inf, -np.inf]]), 2)
    >>> rows.tolist(), columns.tolist(), values.tolist()
    ([0, 0, 1], [1, 2, 1], [3.0, 3.0, 5.0])
    """
    n_columns = scores.shape[1]
    if k < n_columns:
        least = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k]
        rows, columns = np.nonzero((scores >= least[:, None]) & (scores > -np.inf))
    else:
        rows, columns = np.nonzero(scores > -np.inf)
    values = scores[rows, columns]
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    starts = np.searchsorted(rows, np.arange(scores.shape[0]))
    best = np.arange(len(rows)) - starts[rows] < k
    return rows[best], columns[best], values[best]
