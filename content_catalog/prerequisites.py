"""Prerequisites: what has to be finished before what, as a graph without cycles."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pandas as pd

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
