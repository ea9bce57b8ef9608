"""Top-k of each row of scores, ties broken by position, so that equal inputs give equal lists."""

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.linalg.ranges import places_within

Scores = NDArray[np.float32]
Positions = NDArray[np.intp]
Best = tuple[Positions, Positions, Scores]
"""Rows, columns and values, best first within each row."""


def positive(values: NDArray[Any]) -> Scores:
    """Return values above 0 as scores, and ``-inf`` for all others; in place where values are float32.

    >>> positive(np.array([0.0, 2.0])).tolist()
    [-inf, 2.0]
    """
    scores = values.astype(np.float32, copy=False)
    np.copyto(scores, -np.inf, where=~(values > 0))
    return scores


def spread(values: NDArray[Any], columns: Positions, n_columns: int) -> Scores:
    """Return the scores of some columns, in ascending order, as those of all; ``-inf`` for the others.

    >>> spread(np.array([[0.5, 2.0]]), np.array([0, 2]), 3).tolist()
    [[0.5, -inf, 2.0]]
    """
    if len(columns) == n_columns:
        return values.astype(np.float32, copy=False)
    scores = np.full((len(values), n_columns), -np.inf, dtype=np.float32)
    scores[:, columns] = values
    return scores


def top_k(scores: Scores, k: int) -> Best:
    """Return the best ``k`` finite scores of each row as ``(rows, columns, values)``, best first within each row.

    Of equal scores the lower column comes first. A row with fewer than ``k`` finite scores gives fewer.

    Parameters
    ----------
    scores : array (n_rows, n_columns) of float32
        ``-inf`` is never returned.

    Examples
    --------
    >>> rows, columns, values = top_k(np.float32([[1, 3, 3, 2], [-np.inf, 5, -np.inf, -np.inf]]), 2)
    >>> rows.tolist(), columns.tolist(), values.tolist()
    ([0, 0, 1], [1, 2, 1], [3.0, 3.0, 5.0])
    """
    rows, columns = near_top_k(scores, k)
    return sort_top_k(rows, columns, scores[rows, columns], k)


def near_top_k(scores: Scores, k: int, slack: Scores | None = None) -> tuple[Positions, Positions]:
    """Return rows and columns of a superset of the best ``k`` scores of each row, and few more, in ascending order.

    The columns are dealt out to groups. The ``k``-th best of the groups' maxima is not above the ``k``-th best score,
    so all that reach it are returned: scores are read twice and never moved.

    Parameters
    ----------
    scores : array (n_rows, n_columns) of float32
        ``-inf`` is never returned.
    slack : array (n_rows,) of float32, optional
        By how much a score may be below the ``k``-th best and still be returned; by default 0.
    """
    n_rows, n_columns = scores.shape
    depth = isqrt(n_columns // k)  # one more score in a group costs about as much as one more group
    best = scores
    if depth > 1:
        width = n_columns // depth
        best = scores[:, : depth * width].reshape(n_rows, depth, width).max(axis=1)
        left = scores[:, depth * width :]
        np.maximum(best[:, : left.shape[1]], left, out=best[:, : left.shape[1]])
    least = np.full(n_rows, -np.inf, dtype=np.float32)
    if k < best.shape[1]:
        least = np.partition(best, best.shape[1] - k, axis=1)[:, best.shape[1] - k]
    if slack is not None:
        least = least - slack
    return _true_cells(scores >= np.maximum(least, np.finfo(np.float32).min)[:, None])


def sort_top_k(rows: Positions, columns: Positions, values: Scores, k: int) -> Best:
    """Return the best ``k`` of each row, best first within each row and of equal values the lower column first.

    Rows and columns come in ascending order.
    """
    # By a number that holds both keys: several times as fast as a lexsort.
    order = np.argsort(rows << 32 | _descending(values), kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    best = places_within(rows) < k
    return rows[best], columns[best], values[best]


def _true_cells(mask: NDArray[np.bool_]) -> tuple[Positions, Positions]:
    """Return the rows and columns of true values: :func:`numpy.nonzero`, more than twice as fast in two dimensions."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def _descending(values: Scores) -> NDArray[np.int64]:
    """Return numbers of 32 bits that are in ascending order where values are in descending order.

    The bits of a positive float grow with it, those of a negative one with its size (IEEE 754).

    >>> numbers = _descending(np.float32([np.inf, 2.5, 1e-40, 0.0, -0.0, -3.0, -np.inf]))
    >>> (np.sign(np.diff(numbers))).tolist()
    [1, 1, 1, 0, 1, 1]
    """
    bits = (values + np.float32(0.0)).view(np.uint32).astype(np.int64)  # -0 becomes 0
    return np.where(bits >> 31, bits, 0x7FFFFFFF - bits)


def first_unmasked(order: Positions, mask: Scores, k: int) -> tuple[Positions, Positions]:
    """Return for each row the first ``k`` unmasked columns of an order, as ``(rows, columns)``.

    Reads only as much of the order as the rows need.

    Parameters
    ----------
    order : array (n,)
        Columns, the best first.
    mask : array (n_rows, n_columns) of float32
        ``-inf`` or 0.

    Examples
    --------
    >>> rows, columns = first_unmasked(np.array([2, 0, 1]), np.float32([[0, 0, -np.inf], [-np.inf, 0, 0]]), 1)
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [0, 2])
    """
    width = 4 * k
    while True:
        unmasked = mask[:, order[:width]] == 0
        places = np.cumsum(unmasked, axis=1, dtype=np.int32)
        if width >= len(order) or (places[:, -1] >= k).all():
            rows, ranks = np.nonzero(unmasked & (places <= k))
            return rows, order[ranks]
        width *= 4


def best_of(row: Positions, score: NDArray[np.float64], k: int) -> tuple[Positions, Positions]:
    """Return the best ``k`` candidates of each list that have a score above 0, as ``(rows, places)``.

    Of equal ones the first wins.

    >>> rows, places = best_of(np.array([0, 0, 0, 1]), np.array([0.2, 0.9, 0.9, 0.1]), 2)
    >>> rows.tolist(), places.tolist()
    ([0, 0, 1], [1, 2, 3])
    """
    order = np.lexsort((-score, row))
    order = order[score[order] > 0]
    order = order[places_within(row[order]) < k]
    return row[order], order
