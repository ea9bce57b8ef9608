"""Ranges of places in arrays: rows and cells of matrices, places within groups, ranges one after the other."""

from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Ints = NDArray[np.intp]
Table = TypeVar("Table", csr_matrix, pd.DataFrame, NDArray[np.float32])


def cells_of(matrix: csr_matrix) -> tuple[Ints, Ints]:
    """Return the row and the column of each stored value of a sparse matrix, row by row.

    >>> [array.tolist() for array in cells_of(csr_matrix([[0, 5], [0, 0], [7, 9]]))]
    [[0, 2, 2], [1, 0, 1]]
    """
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices.astype(np.intp)


def rows_of(table: Table, rows: Ints) -> Table:
    """Return rows of a matrix, a frame or an array; the table itself, not a copy, where they are all of its rows."""
    if np.array_equal(rows, np.arange(table.shape[0])):
        return table
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


def places_within(groups: Ints) -> Ints:
    """Return the place of each entry within its group, from 0, of entries that are sorted by group.

    >>> places_within(np.array([3, 3, 5, 8, 8])).tolist()
    [0, 1, 0, 0, 1]
    """
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def ranges(starts: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return for ranges of places the number of the range and the place of each of their elements.

    >>> [array.tolist() for array in ranges(np.array([7, 3]), np.array([2, 1]))]
    [[0, 0, 1], [7, 8, 3]]
    """
    number = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    return number, starts[number] + within
