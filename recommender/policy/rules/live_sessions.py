"""Live sessions: announced on lists before they begin, at the time of the member's zone."""

from dataclasses import dataclass

import numpy as np

from content_catalog.time_zones import resolve_zone
from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists


@dataclass(frozen=True)
class LiveSessions(Rule):
    """Rule over ``starts_at`` of items; from ``ends_at`` on no item is offered (:func:`available`)."""

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any session is still to begin."""
        return bool((interactions.items["starts_at"] > interactions.as_of).any())

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the reason ``starts_at`` for such items."""
        del k, may_be_offered
        coming = interactions.memo(
            "coming sessions", lambda: (interactions.items["starts_at"] > interactions.as_of).to_numpy(dtype=bool)
        )
        rows, ranks = np.nonzero(lists.listed & coming[np.maximum(lists.item, 0)] & (lists.reason < 0))
        zones = interactions.members["timezone"].to_numpy(dtype=object)
        starts = interactions.item_memo("starts", interactions.items["starts_at"].tolist)
        reasons = []
        for row, rank in zip(rows.tolist(), ranks.tolist(), strict=True):
            zone = zones[lists.member[row]]
            zone = resolve_zone(zone) if isinstance(zone, str) else None
            local = starts[lists.item[row, rank]].tz_convert(zone or interactions.rules.timezone)
            reasons.append(reason_of("starts_at", when=f"{local:%Y-%m-%d %H:%M}"))
        return lists.explained(rows, ranks, reasons)
