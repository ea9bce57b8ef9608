"""Eligibility: decide whether a member may be offered an item now.

The one answer for stored, online, past-night, session and preview lists, similar items and pushes. The catalogue may
have changed since the run that made a list, so the question is asked when a list is shown. A run asks it of all members
and items at once (:mod:`content_catalog.audience`, :mod:`content_catalog.prerequisites`); a test holds both equal.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from content_catalog.audience import RESTRICTED, TARGETS, Codes, in_audience
from content_catalog.requirements import within_of
from content_catalog.schema import DEVICE_FORMATS, split_list
from content_catalog.taxonomy import Taxonomy
from recommender.policy.curations import Curation

Obstacle = Literal["not_available", "banned", "audience", "device", "prerequisites"]
"""Why an item may not be offered: it is hidden, not yet open or closed; banned by editors; for others; for a device
that the member has not; something comes first."""


@dataclass(frozen=True, slots=True)
class OfferRules:
    """Conditions under which an item may be offered.

    Attributes
    ----------
    opens_at, closes_at : datetime, optional
        The item may be offered from ``opens_at`` on and before ``closes_at``.
    targets : tuple of frozenset
        Codes of roles and of industries, and units; empty where the audience is not restricted.
    prerequisites : frozenset of str
        Items to finish first.
    device : str, optional
        The format of an item that needs a device.
    """

    hidden: bool = False
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    targets: tuple[frozenset[str], ...] = ()
    prerequisites: frozenset[str] = frozenset()
    bans: tuple[Curation, ...] = ()
    device: str | None = None

    @property
    def unconditional(self) -> bool:
        """Whether the item may be offered to every member at any time."""
        return self == UNCONDITIONAL

    def can_be_finished(self, now: datetime) -> bool:
        """Return whether anybody can still open the item, now or later."""
        return not self.hidden and (self.closes_at is None or now < self.closes_at)


UNCONDITIONAL: Final = OfferRules()


def offer_rules(item: Mapping[str, Any], bans: tuple[Curation, ...] = ()) -> OfferRules:
    """Return the conditions of an item, by its row of the catalogue and its bans."""
    opening = [moment for moment in (item["published_at"], item["available_from"]) if moment is not None]
    closing = [moment for moment in (item["available_until"], item["ends_at"]) if moment is not None]
    restricted = item["audience"] == RESTRICTED
    return OfferRules(
        hidden=bool(item["hidden"]),
        opens_at=max(opening, default=None),
        closes_at=min(closing, default=None),
        targets=tuple(frozenset(split_list(item[name])) for name in TARGETS) if restricted else (),
        prerequisites=frozenset(split_list(item["prerequisites"])),
        bans=bans,
        device=item["format"] if item["format"] in DEVICE_FORMATS else None,
    )


def open_prerequisites(rules: OfferRules, conditions: Mapping[str, OfferRules], now: datetime) -> list[str]:
    """Return the prerequisites of an item that can be finished, now or later, in order of their ids."""
    return sorted(name for name in rules.prerequisites if name in conditions and conditions[name].can_be_finished(now))


class Recipient:
    """A member that a list is for, stored or assumed.

    Parameters
    ----------
    taxonomies : mapping
        Taxonomies of ``role`` and ``industry``.
    role, industry : str, optional
        Codes.
    units : str, optional
        Paths of units as one text (:func:`content_catalog.schema.split_list`).
    region : str, optional
        Path of the region.
    finished : set of str
        Items that the member has finished.
    devices : set of str
        Formats for which the member has a device.
    """

    def __init__(
        self,
        taxonomies: Mapping[str, Taxonomy],
        *,
        role: str | None = None,
        industry: str | None = None,
        units: str | None = None,
        region: str | None = None,
        finished: AbstractSet[str] = frozenset(),
        devices: AbstractSet[str] = frozenset(),
    ) -> None:
        self._taxonomies = taxonomies
        self._profile = {"role": role, "industry": industry, "units": units, "region": region}
        self.finished, self._devices = finished, devices

    @cached_property
    def within(self) -> Codes:
        """The codes of role and industry, the units and the regions that the member is within, those above included."""
        return within_of(self._taxonomies, **self._profile)

    def may_be_offered(self, rules: OfferRules, conditions: Mapping[str, OfferRules], now: datetime) -> bool:
        """Return whether the member may be offered an item now; see :meth:`obstacle`."""
        return self.obstacle(rules, conditions, now) is None

    def obstacle(self, rules: OfferRules, conditions: Mapping[str, OfferRules], now: datetime) -> Obstacle | None:
        """Return why the member may not be offered an item now; None where it may.

        Parameters
        ----------
        conditions : mapping
            Conditions of the item's prerequisites. One that is not in the catalogue, is hidden or has expired cannot be
            finished any more, and is no obstacle.
        """
        if not rules.can_be_finished(now) or (rules.opens_at is not None and now < rules.opens_at):
            return "not_available"
        if self.is_banned(rules, now):
            return "banned"
        if not self.is_in_audience(rules):
            return "audience"
        if not self.has_device(rules):
            return "device"
        if not self.finished >= {*open_prerequisites(rules, conditions, now)}:
            return "prerequisites"
        return None

    def is_banned(self, rules: OfferRules, now: datetime) -> bool:
        """Return whether editors banned an item from the member's lists."""
        return any(ban.holds_for(self.within, now) for ban in rules.bans)

    def has_device(self, rules: OfferRules) -> bool:
        """Return whether the member has the device that an item needs."""
        return rules.device is None or rules.device in self._devices

    def is_in_audience(self, rules: OfferRules) -> bool:
        """Return whether the member is within the targets of an item; a restricted one without any is for no one."""
        return not rules.targets or (any(rules.targets) and in_audience(self.within, rules.targets))
