"""One ranking out of several."""

import numpy as np
import pandas as pd

RANK_OFFSET = 60
"""Dampens the difference between the first ranks."""


def reciprocal_rank(candidates: pd.DataFrame, weights: dict[str, float]) -> pd.DataFrame:
    """Return candidates of several retrievers as one ranking: ``member_id, item_id, score, source``, best first.

    An item's score is the sum over retrievers of ``weight / (60 + rank)`` (reciprocal rank fusion, Cormack et al. 2009,
    https://doi.org/10.1145/1571941.1572114); ``source`` is the retriever that gave most of it.

    Parameters
    ----------
    candidates : DataFrame
        ``member_id, item_id, rank, source``.
    weights : dict
        Weight of each source.

    Examples
    --------
    Found first by one and second by the other: 1/61 + 1/62.

    >>> found = pd.DataFrame({"item_id": ["a", "b", "a"], "rank": [1, 1, 2], "source": ["x", "y", "y"]})
    >>> found = found.assign(member_id="m")
    >>> reciprocal_rank(found, {"x": 1.0, "y": 1.0}).round(4).values.tolist()
    [['m', 'a', 0.0325, 'x'], ['m', 'b', 0.0164, 'y']]
    """
    part = candidates["source"].map(weights).to_numpy(dtype=np.float64) / (RANK_OFFSET + candidates["rank"].to_numpy())
    parts = candidates.assign(part=part).sort_values(
        ["member_id", "item_id", "part", "source"], ascending=[True, True, False, True], ignore_index=True
    )
    keys = ["member_id", "item_id"]
    blended = parts.groupby(keys, as_index=False, sort=False).agg(score=("part", "sum"), source=("source", "first"))
    # Rounded, so that sums of the same parts in another order stay equal and the item id decides.
    blended["score"] = blended["score"].round(12)
    return blended.sort_values(["member_id", "score", "item_id"], ascending=[True, False, True], ignore_index=True)
