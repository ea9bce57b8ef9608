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
    closed = np.zeros(finished.shape, dtype=bool)
    needs = prerequisites_of(items)
    if not needs:
        return closed
    rows = items.index.get_indexer(list(needs))
    wanted = [items.index.get_indexer(pd.Index(names)) for names in needs.values()]
    columns = [np.unique(one[one >= 0]) for one in wanted]
    counts = np.array([len(one) for one in columns])
    where = (np.repeat(np.arange(len(needs)), counts), np.concatenate(columns))
    requires = csr_matrix((np.ones(counts.sum(), dtype=np.float32), where), shape=(len(needs), len(items)))
    done = (finished > 0).astype(np.float32)
    closed[:, rows] = (done @ requires.T).toarray() < counts
    return closed
