"""Session-based kNN: items similar to those that an anonymous session just studied."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from recommender.ranking.rank_fusion import RANK_OFFSET

HALF_LIFE_ITEMS: Final = 3
"""After so many items more, what was studied counts half."""


def alike(studied: Sequence[str], similar: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return items like those of a session, best first, each with the item of the session that speaks most for it.

    An item's score is the sum, over the items of the session whose similar items it is among, of
    ``2 ** (-age / 3) / (60 + rank)``: neighbours of items whose recency decays (Ludewig and Jannach 2018,
    https://doi.org/10.1007/s11257-018-9209-6), fused by rank since similarities by study and by text have no scale in
    common. Of equal ones the smaller id comes first.

    Parameters
    ----------
    studied : sequence of str
        Items of the session, the last one studied last; age 0 is the last one's.
    similar : mapping
        The items most like each of them, best first.

    Examples
    --------
    For ``c``: 1/62 from the last item and half of 1/61, three items before it.

    >>> alike(["a", "x", "y", "b"], {"a": ["c"], "b": ["d", "c", "a"]})
    [('c', 'b'), ('d', 'b')]
    """
    parts: defaultdict[str, dict[str, float]] = defaultdict(dict)
    latest = {item_id: age for age, item_id in reversed(list(enumerate(reversed(studied))))}
    for cause, age in latest.items():
        for rank, item_id in enumerate(similar.get(cause, ()), 1):
            if item_id not in latest:
                parts[item_id][cause] = 2.0 ** (-age / HALF_LIFE_ITEMS) / (RANK_OFFSET + rank)
    order = sorted(parts, key=lambda item_id: (-round(sum(parts[item_id].values()), 12), item_id))
    return [(item_id, max(parts[item_id], key=lambda cause: parts[item_id][cause])) for item_id in order]
