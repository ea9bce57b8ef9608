"""Curations: items that editors pin, boost or ban for an audience, until a set time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from content_catalog.audience import Codes, in_audience
from content_catalog.requirements import AUDIENCE_COLUMNS
from content_catalog.schema import split_list

PIN, BOOST, BAN = ACTIONS = ("pin", "boost", "ban")
"""Put on top of lists; moved up by some places; offered nowhere."""
DEFAULT_PLACES: Final = 3
"""Places that an item is moved up where a boost names no number."""
RESERVED: Final = ("bulk",)
"""Ids that would hide a route of the API."""

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Curation:
    """A pin, boost or ban.

    Attributes
    ----------
    action : str
        One of :data:`ACTIONS`.
    items : tuple of str
        Ids; pinned ones stand in this order.
    targets : tuple of frozenset
        Codes of roles and of industries, units and regions; an empty set is no condition.
    ends_at : datetime
    starts_at : datetime, optional
        It holds from ``starts_at`` on and before ``ends_at``.
    places : int
        Places that a boosted item moves up.
    """

    curation_id: str
    action: str
    items: tuple[str, ...]
    ends_at: datetime
    targets: Codes = ()
    starts_at: datetime | None = None
    places: int = DEFAULT_PLACES

    def holds_for(self, within: Codes, now: datetime) -> bool:
        """Return whether it holds now for a member who is within these codes.

        >>> drivers = Curation("c", "ban", ("i1",), datetime(2026, 3, 2), targets=(frozenset({"8"}),))
        >>> within = (frozenset({"8", "83"}),)
        >>> drivers.holds_for(within, datetime(2026, 3, 1)), drivers.holds_for(within, datetime(2026, 3, 2))
        (True, False)
        """
        if now >= self.ends_at or (self.starts_at is not None and now < self.starts_at):
            return False
        return in_audience(within, self.targets)


def curation_of(row: Mapping[Any, Any]) -> Curation:
    """Return the curation of a stored row: times as aware datetimes, lists as text."""
    return Curation(
        row["curation_id"],
        row["action"],
        split_list(row["items"]),
        row["ends_at"],
        tuple(frozenset(split_list(row[name])) for name in AUDIENCE_COLUMNS),
        starts_at=row["starts_at"],
        places=DEFAULT_PLACES if row["places"] is None else int(row["places"]),
    )


def fault_of(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field and the fault of a checked row that is no curation; None for a sound one."""
    if row["starts_at"] is not None and row["starts_at"] >= row["ends_at"]:
        return "ends_at", "is not after starts_at; the curation would never hold"
    if row["places"] is not None and row["action"] != BOOST:
        return "places", "is for boosts only; leave it empty"
    if row["places"] is not None and row["places"] != int(row["places"]):
        return "places", "give whole places"
    if "/" in row["curation_id"] or row["curation_id"] in RESERVED:
        return "curation_id", f"holds a slash, or is one of {', '.join(RESERVED)}"
    return None


def pinned(curations: Iterable[Curation]) -> tuple[str, ...]:
    """Return the pinned items of some curations, those of the first one first, each once."""
    return tuple(dict.fromkeys(item_id for each in curations if each.action == PIN for item_id in each.items))


def boosts(curations: Iterable[Curation]) -> dict[str, int]:
    """Return the places that each boosted item moves up; of several boosts the largest holds."""
    places: dict[str, int] = {}
    for each in curations:
        if each.action == BOOST:
            places |= {item_id: max(places.get(item_id, 0), each.places) for item_id in each.items}
    return places


def lifted(entries: Sequence[Entry], places: Sequence[int]) -> list[Entry]:
    """Return entries in a new order: each moves up by at most its number of places.

    All with the same number keep their order. An entry moves up by exactly its number where no other one moves.

    >>> lifted(["a", "b", "c", "d"], [0, 0, 0, 2])
    ['a', 'd', 'b', 'c']
    """
    order = sorted(range(len(entries)), key=lambda rank: (rank - places[rank], -places[rank]))
    return [entries[rank] for rank in order]


def bans_by_item(curations: Iterable[Curation]) -> dict[str, tuple[Curation, ...]]:
    """Return the bans of each item that has any."""
    bans: dict[str, tuple[Curation, ...]] = {}
    for each in curations:
        if each.action == BAN:
            bans |= {item_id: (*bans.get(item_id, ()), each) for item_id in each.items}
    return bans
