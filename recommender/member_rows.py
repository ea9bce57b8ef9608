"""Interactions of some members alone."""

from dataclasses import replace

import numpy as np
import pandas as pd

from features.histories import joining_order_of
from features.interactions import Interactions
from recommender.linalg.ranges import ranges
from recommender.linalg.topk import Positions


def of_members(interactions: Interactions, rows: Positions, members: pd.DataFrame) -> Interactions:
    """Return the interactions of the members at ``rows``, in this order and as often, in their places among all.

    Parameters
    ----------
    members : DataFrame
        One row for each of ``rows``.
    """
    of_member = interactions.cell("member")
    starts = np.searchsorted(of_member, rows)
    number, cell = ranges(starts, np.searchsorted(of_member, rows, side="right") - starts)
    return replace(
        interactions,
        members=members.assign(position=joining_order_of(interactions)[rows]),
        cells=interactions.cells.iloc[cell].assign(member=number.astype(np.int32)),
    )
