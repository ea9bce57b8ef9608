"""Series: the next open item of a series that a member follows is on its list."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.linalg.ranges import places_within
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists


@dataclass(frozen=True)
class Series(Rule):
    """Rule over ``series`` and ``series_position`` of items, and ``follows`` of members.

    An item that the member is against is passed over, as one that is not open is.

    Attributes
    ----------
    rank : int
        Rank of the first such item, from 1; those of other series follow it.
    """

    rank: int = 1

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any member follows a series."""
        return bool(_series(interactions)) and bool(interactions.parts_of_members("follows"))

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the next items, and the reason ``next_in_series``."""
        del k
        series, follows = _series(interactions), interactions.parts_of_members("follows")
        finished = interactions.finished
        against = interactions.memo("items that members are against", lambda: _against(interactions))
        rows, items, reasons = [], [], []
        for row, member in enumerate(lists.member.tolist()):
            if member not in follows or not interactions.personalised[member]:
                continue
            own = finished.indices[finished.indptr[member] : finished.indptr[member + 1]]
            gone = {*own.tolist(), *against.get(member, ())}
            for name in follows[member]:
                left = [place for place, item in enumerate(series.get(name, ())) if item not in gone]
                positions = np.array([series[name][place] for place in left], dtype=np.intp)
                open_to = may_be_offered(np.full(len(left), member), positions)
                if open_to.any():
                    first = int(open_to.argmax())
                    rows.append(row)
                    items.append(positions[first])
                    length = len(series[name])
                    reasons.append(reason_of("next_in_series", series=name, position=left[first] + 1, length=length))
        at = np.array(rows, dtype=np.intp)
        return lists.with_items(at, np.array(items, dtype=np.intp), self.rank - 1 + places_within(at), reasons)


def _series(interactions: Interactions) -> dict[str, list[int]]:
    """Return :func:`items_of_series` of the catalogue."""
    return interactions.item_memo("series", lambda: items_of_series(interactions.items))


def _against(interactions: Interactions) -> dict[int, set[int]]:
    """Return the items that each member is against."""
    items: dict[int, set[int]] = {}
    cells = interactions.cell("weight") <= 0
    for member, item in zip(
        interactions.cell("member")[cells].tolist(), interactions.cell("item")[cells].tolist(), strict=True
    ):
        items.setdefault(member, set()).add(item)
    return items


def items_of_series(items: pd.DataFrame) -> dict[str, list[int]]:
    """Return the positions of the items of each series in their order; those without a position come last, by id.

    >>> items = pd.DataFrame({"series": ["a", "a", None], "series_position": [2.0, 1.0, 1.0]}, index=["x", "y", "z"])
    >>> items_of_series(items)
    {'a': [1, 0]}
    """
    rows = items.assign(row=np.arange(len(items)))[items["series"].notna()]
    rows = rows.sort_values("series_position", kind="stable", na_position="last")
    return {str(name): group["row"].tolist() for name, group in rows.groupby("series", sort=True)}
