"""Live sessions: announced on lists before they begin, at the time of the member's zone."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from content_catalog.time_zones import zone_of
from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists


@dataclass(frozen=True)
class LiveSessions(Rule):
    """Rule over ``starts_at`` of items; from ``ends_at`` on no item is offered (:func:`available`)."""

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any session is still to begin."""
        return bool(_coming(interactions).any())

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the reason ``starts_at`` for such items."""
        del k, may_be_offered
        coming = _coming(interactions)[np.maximum(lists.item, 0)]
        rows, ranks = np.nonzero(lists.listed & coming & (lists.reason < 0))
        zones = interactions.memo("zones", interactions.members["timezone"].tolist) if len(rows) else ()
        reasons = []
        for member, item in zip(lists.member[rows].tolist(), lists.item[rows, ranks].tolist(), strict=True):
            key = ("local start", item, zones[member], interactions.rules.timezone)
            when = interactions.item_memo(key, partial(_start, interactions, item, zones[member]))
            reasons.append(reason_of("starts_at", when=when))
        return lists.explained(rows, ranks, reasons)


def _coming(interactions: Interactions) -> Mask:
    """Return which items are sessions that are still to begin."""
    as_of = interactions.as_of
    return interactions.item_memo(
        ("coming sessions", as_of), lambda: (interactions.items["starts_at"] > as_of).to_numpy(dtype=bool)
    )


def _start(interactions: Interactions, item: int, zone_name: object) -> str:
    """Return when a session starts in a zone; in that of the organisation where there is no such zone."""
    local = interactions.items["starts_at"].iloc[item].tz_convert(zone_of(zone_name, interactions.rules.timezone))
    return f"{local:%Y-%m-%d %H:%M}"
