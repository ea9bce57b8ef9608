"""Pace: seconds of content that members finish in a day, by their own history or by that of members like them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import median
from typing import Final

from recommender.content.segments import Segment, chain
from recommender.policy.required import DEFAULT_PACE_SECONDS

PACE_DAYS: Final = 90
"""Days of history that a pace is taken from."""
MIN_DAYS: Final = 7
"""Days that a shorter history counts as, so that one busy day makes no pace."""
MIN_ITEMS: Final = 3
"""Finished items from which a member has a pace of its own."""

Paths = tuple[tuple[str, ...], tuple[str, ...]]
"""The codes of a role and of an industry from the coarsest to the member's own."""


def own_pace(finished: Sequence[tuple[int, float]], tenure_days: int) -> float | None:
    """Return the pace of a member; None where too few items were finished lately.

    Parameters
    ----------
    finished : sequence of (int, float)
        How many days ago each item was finished, and its duration in seconds.
    tenure_days : int
        Days since the member joined, today among them.

    Examples
    --------
    Three items of 20 minutes in a tenure of ten days are 360 seconds a day.

    >>> own_pace([(0, 1_200.0), (4, 1_200.0), (9, 1_200.0)], tenure_days=10)
    360.0
    """
    lately = [seconds for days, seconds in finished if days < PACE_DAYS]
    if len(lately) < MIN_ITEMS:
        return None
    return sum(lately) / min(max(tenure_days, MIN_DAYS), PACE_DAYS)


class GroupPaces:
    """Median paces of members by role and industry; a group that is too small has the pace of its parent group.

    Parameters
    ----------
    paces : iterable of (Paths, float)
        Codes and own pace of each member that has one.
    min_group_size : int
        Fewest members of a group.

    Examples
    --------
    >>> drivers, clerks = (("8", "83"), ()), (("4",), ())
    >>> groups = GroupPaces([(drivers, 100.0), (drivers, 300.0), (clerks, 900.0)], min_group_size=2)
    >>> groups.of(drivers), groups.of(clerks)
    (200.0, 300.0)
    """

    def __init__(self, paces: Iterable[tuple[Paths, float]], *, min_group_size: int) -> None:
        by_segment: dict[Segment, list[float]] = {}
        for (role_path, industry_path), pace in paces:
            for segment in product(("", *role_path), ("", *industry_path)):
                by_segment.setdefault(segment, []).append(pace)
        self._medians: Mapping[Segment, float] = {
            segment: median(members) for segment, members in by_segment.items() if len(members) >= min_group_size
        }

    def of(self, paths: Paths) -> float:
        """Return the pace of the finest group of a member that is large enough."""
        segments = reversed(chain(*paths))
        return next((self._medians[segment] for segment in segments if segment in self._medians), DEFAULT_PACE_SECONDS)
