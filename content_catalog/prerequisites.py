"""Prerequisites of items: an acyclic graph, and the mask of items that a member cannot start yet."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.audience import withdrawn
from content_catalog.errors import PrerequisiteCycleError
from content_catalog.schema import split_list

MAX_SHOWN = 10


def prerequisites_of(items: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the prerequisites of each item that has any; ``items`` is indexed by ``item_id``."""
    return {str(item_id): split_list(value) for item_id, value in items["prerequisites"].dropna().items()}


def check_acyclic(prerequisites: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse prerequisites that form a cycle.

    Raises
    ------
    PrerequisiteCycleError
        The message names one cycle.
    """
    try:
        TopologicalSorter(prerequisites).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        shown = cycle if len(cycle) <= MAX_SHOWN else [*cycle[: MAX_SHOWN - 1], "…", cycle[-1]]
        raise PrerequisiteCycleError(
            f"prerequisites form a cycle: {' needs '.join(shown)}; remove one of them from `prerequisites`"
        ) from error


class PrerequisiteMask:
    """Mask of the items whose prerequisites a member has not all finished.

    A prerequisite that the catalogue does not have, or that is hidden or past its period of availability, cannot be
    finished any more, and blocks nothing. One that is still to come does.

    Parameters
    ----------
    items : DataFrame
        Indexed by ``item_id``.
    as_of : Timestamp
        Moment of the decision.

    Examples
    --------
    >>> items = pd.DataFrame({"prerequisites": [None, "a", "a;b"]}, index=["a", "b", "c"])
    >>> items = items.assign(hidden=False, available_until=pd.NaT, ends_at=pd.NaT)
    >>> finished = csr_matrix([[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    >>> PrerequisiteMask(items, pd.Timestamp("2026-03-01")).blocked(finished).astype(int).tolist()
    [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """

    def __init__(self, items: pd.DataFrame, as_of: pd.Timestamp) -> None:
        prerequisites = prerequisites_of(items)
        self._positions = items.index.get_indexer(list(prerequisites))
        ids = pd.Index([item_id for ids in prerequisites.values() for item_id in ids], dtype=items.index.dtype)
        dependants = np.repeat(np.arange(len(prerequisites)), [len(ids) for ids in prerequisites.values()])
        positions = items.index.get_indexer(ids)
        blocks = (positions >= 0) & ~withdrawn(items, as_of)[positions]
        dependants, self._required = np.unique(np.stack([dependants[blocks], positions[blocks]]), axis=1)
        blocked, self._starts = np.unique(dependants, return_index=True)
        self._blocked = self._positions[blocked]

    def __len__(self) -> int:
        """Return how many items have prerequisites."""
        return len(self._positions)

    def blocked(self, finished: csr_matrix) -> NDArray[np.bool_]:
        """Return which items are blocked for each member: (members, items) of bool.

        Parameters
        ----------
        finished : csr_matrix (n_members, n_items)
            Has a value, and no zero, where a member finished an item.
        """
        mask = np.zeros(finished.shape, dtype=bool)
        if len(self._blocked):
            done = np.zeros(finished.shape, dtype=bool)
            done[np.repeat(np.arange(len(done)), np.diff(finished.indptr)), finished.indices] = True
            mask[:, self._blocked] = np.logical_or.reduceat(~done[:, self._required], self._starts, axis=1)
        return mask
