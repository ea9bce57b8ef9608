"""Open items: the items that members may be offered, by the rules alone and independent of the pipeline."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from content_catalog.audience import AudienceMask, Mask, available
from content_catalog.prerequisites import PrerequisiteMask
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.devices import has_device, items_by_device, lack_device
from recommender.linalg.ranges import cells_of
from recommender.linalg.topk import Positions

BLOCK_MEMBERS: Final = 2_000


class OpenItems:
    """The items that members may be offered: by availability, audience, prerequisites, devices and their own study.

    Parameters
    ----------
    interactions : Interactions
        Members, items and study; pairs are positions in them.
    taxonomies : mapping
        Those of ``role`` and ``industry``.

    Attributes
    ----------
    offered : array (n_items,)
        Which items are available.
    """

    def __init__(self, interactions: Interactions, taxonomies: Mapping[str, Taxonomy]) -> None:
        self.interactions = interactions
        self.offered: Mask = available(interactions.items, interactions.as_of)
        audience = AudienceMask(interactions.items, roles=taxonomies["role"], industries=taxonomies["industry"])
        self._groups, self._masks = audience.groups(interactions.members)
        self._prerequisites = PrerequisiteMask(interactions.items, interactions.as_of)

    def outside(self, members: Positions, items: Positions) -> NDArray[np.bool_]:
        """Return for each pair whether the member is outside the item's audience."""
        return ~self._masks[self._groups[members], items]

    def locked(self, members: Positions, items: Positions) -> NDArray[np.bool_]:
        """Return for each pair whether the member has not finished the item's prerequisites."""
        early = np.zeros(len(members), dtype=bool)
        needing = np.flatnonzero(self.interactions.items["prerequisites"].notna().to_numpy()[items])
        asked, position = np.unique(members[needing], return_inverse=True)
        for start in range(0, len(asked), BLOCK_MEMBERS):
            block = (position >= start) & (position < start + BLOCK_MEMBERS)
            closed = self._prerequisites.blocked(self.interactions.finished[asked[start : start + BLOCK_MEMBERS]])
            early[needing[block]] = closed[position[block] - start, items[needing[block]]]
        return early

    def without_device(self, members: Positions, items: Positions) -> NDArray[np.bool_]:
        """Return for each pair whether the item needs a device that the member has not."""
        return lack_device(self.interactions, members, items)

    def closed(self, members: Positions, items: Positions) -> NDArray[np.bool_]:
        """Return for each pair whether the member may not be offered the available item, or has studied it."""
        studied_by, studied = cells_of(self.interactions.seen)
        n_items = len(self.interactions.items)
        seen = np.isin(members * n_items + items, studied_by * n_items + studied)
        return seen | self.outside(members, items) | self.locked(members, items) | self.without_device(members, items)

    def n_left(self, members: Positions) -> NDArray[np.int64]:
        """Return how many items each member may be offered and has not studied yet."""
        left = np.zeros(len(members), dtype=np.int64)
        eligible = self._masks & self.offered
        for start in range(0, len(members), BLOCK_MEMBERS):
            block = members[start : start + BLOCK_MEMBERS]
            blocked = self._prerequisites.blocked(self.interactions.finished[block])
            open_to = eligible[self._groups[block]] & ~blocked
            for name, needing in items_by_device(self.interactions).items():
                open_to[np.ix_(~has_device(self.interactions, block, name), needing)] = False
            rows, columns = cells_of(self.interactions.seen[block])
            open_to[rows, columns] = False
            left[start : start + BLOCK_MEMBERS] = np.asarray(open_to.sum(axis=1))
        return left
