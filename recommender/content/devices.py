"""Devices: which items need one, and which members have it."""

import numpy as np
from numpy.typing import NDArray

from content_catalog.schema import DEVICE_FORMATS
from features.interactions import Interactions
from recommender.linalg.ranges import cells_of
from recommender.linalg.topk import Positions


def items_by_device(interactions: Interactions) -> dict[str, Positions]:
    """Return the positions of the items of each format that needs a device, of formats with any item."""

    def compute() -> dict[str, Positions]:
        formats = interactions.items["format"].to_numpy(dtype=object)
        positions = {name: np.flatnonzero(formats == name) for name in DEVICE_FORMATS}
        return {name: items for name, items in positions.items() if len(items)}

    return interactions.item_memo("items by device", compute)


def has_device(interactions: Interactions, rows: Positions, name: str) -> NDArray[np.bool_]:
    """Return which members at ``rows`` registered the device of a format, or studied any item of the format.

    What members studied who switched personalisation off does not count.
    """

    def compute() -> NDArray[np.bool_]:
        owns = np.zeros(len(interactions.members), dtype=bool)
        registered = interactions.parts_of_members("devices")
        owns[[row for row, devices in registered.items() if name in devices]] = True
        member, item = cells_of(interactions.seen)
        owns[member[np.isin(item, items_by_device(interactions)[name])]] = True
        return owns

    return interactions.memo(("has device", name), compute)[rows]


def lack_device(interactions: Interactions, members: Positions, items: Positions) -> NDArray[np.bool_]:
    """Return for each pair of a member and an item whether the item needs a device that the member has not."""
    lack = np.zeros(len(members), dtype=bool)
    for name, needing in items_by_device(interactions).items():
        asked = np.flatnonzero(np.isin(items, needing))
        lack[asked] = ~has_device(interactions, members[asked], name)
    return lack


def devices_of(interactions: Interactions) -> frozenset[str]:
    """Return the formats whose devices the one member of some interactions has."""
    row = np.zeros(1, dtype=np.intp)
    return frozenset(name for name in items_by_device(interactions) if has_device(interactions, row, name)[0])
