"""Prerequisites: what has to be finished before what, as a graph without cycles."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.errors import PrerequisiteCycleError
from content_catalog.schema import split_list

LONGEST_SHOWN = 10


def prerequisites_of(items: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return for each item that has any the items to finish before it; ``items`` is indexed by ``item_id``."""
    given = items["prerequisites"].dropna()
    return {str(item_id): split_list(value) for item_id, value in given.items()}


def check_acyclic(prerequisites: Mapping[str, tuple[str, ...]]) -> None:
    """Do nothing where every item can be reached.

    Raises
    ------
    PrerequisiteCycleError
        Some items would have to be finished before themselves; the message names one such cycle.
    """
    try:
        TopologicalSorter(prerequisites).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        shown = cycle if len(cycle) <= LONGEST_SHOWN else [*cycle[: LONGEST_SHOWN - 1], "…", cycle[-1]]
        raise PrerequisiteCycleError(
            f"prerequisites close a cycle: {' needs '.join(shown)}; take one of them out of `prerequisites`"
        ) from error


def locked(items: pd.DataFrame, finished: csr_matrix) -> NDArray[np.bool_]:
    """Return which items are closed to members who have not finished all their prerequisites: (members, items) of bool.

    A prerequisite that the catalogue does not have cannot be finished, and closes nothing.

    Parameters
    ----------
    items : DataFrame
        Indexed by ``item_id``.
    finished : csr_matrix (n_members, n_items)
        Above 0 where a member finished an item.

    Examples
    --------
    >>> items = pd.DataFrame({"prerequisites": [None, "a", "a;b"]}, index=["a", "b", "c"])
    >>> locked(items, csr_matrix([[0, 0, 0], [1, 0, 0], [1, 1, 0]])).astype(int).tolist()
    [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    return Needs(items).locked(finished)


class Needs:
    """What items need to be finished before them: read once, asked of any members.

    Parameters
    ----------
    items : DataFrame
        Indexed by ``item_id``.
    """

    def __init__(self, items: pd.DataFrame) -> None:
        needs = prerequisites_of(items)
        self._rows = items.index.get_indexer(list(needs))
        names = pd.Index([name for some in needs.values() for name in some], dtype=items.index.dtype)
        needing = np.repeat(np.arange(len(needs)), [len(some) for some in needs.values()])
        found = items.index.get_indexer(names)
        there = found >= 0
        pairs = np.unique(np.stack([needing[there], found[there]]), axis=1)
        self._counts = np.bincount(pairs[0], minlength=len(needs))
        shape = (len(needs), len(items))
        self._required = csr_matrix((np.ones(pairs.shape[1], dtype=np.float32), tuple(pairs)), shape=shape).T.tocsr()

    def __len__(self) -> int:
        """Return how many items need others."""
        return len(self._rows)

    def locked(self, finished: csr_matrix) -> NDArray[np.bool_]:
        """Return which items are closed to members, as :func:`locked` does."""
        closed = np.zeros(finished.shape, dtype=bool)
        if len(self._rows):
            done = csr_matrix(finished > 0, dtype=np.float32)
            closed[:, self._rows] = (done @ self._required).toarray() < self._counts
        return closed
