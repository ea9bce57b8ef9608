"""Members in blocks: what they do, where they live, when they joined, how much they study."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.schema import MEMBERS
from simulator.organisation.catalogue import DAY_SECONDS, Flags, Floats, Ints, Period
from simulator.organisation.world import World

NEWCOMER_EVERY: Final = 60
"""Every so many members one has joined in the last three days and has not studied yet."""
STUDIES_A_DAY: Final = 0.17
"""Items taken up per day by a member of average activity."""


DEVICES: Final = ("phone", "computer", "tablet")


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive members as parallel arrays; ``first`` is the number of the first one.

    ``unit`` and ``second_unit`` are positions in ``all_units(world)``, -1 for none, ``device`` one in ``DEVICES``.
    Members study in ``[active_from, active_until)``, seconds since 1970; ``activity`` is the expected number of
    sessions a day.
    """

    first: int
    work: Ints
    city: Ints
    unit: Ints
    second_unit: Ints
    speaks_other: Flags
    tells_role: Flags
    tells_industry: Flags
    personalised: Flags
    device: Ints
    joined_on: Ints
    active_from: Ints
    active_until: Ints
    activity: Floats

    @property
    def member_ids(self) -> list[str]:
        """Ids of the members."""
        return [f"m{number:07d}" for number in range(self.first + 1, self.first + len(self.work) + 1)]


def all_units(world: World) -> list[str]:
    """Return paths of all units, of all kinds of work in all regions."""
    regions = dict.fromkeys(city.region for city in world.cities)
    return list(dict.fromkeys(unit for work in world.works for region in regions for unit in work.units(region)))


def make_block(world: World, *, first: int, members: int, span: Period, rng: np.random.Generator) -> Block:
    """Return members number ``first`` to ``first + members - 1``, counted from 0."""
    shares = np.array([work.share for work in world.works])
    work = rng.choice(len(shares), size=members, p=shares / shares.sum())
    shares = np.array([city.share for city in world.cities])
    city = rng.choice(len(shares), size=members, p=shares / shares.sum())
    is_new = np.arange(first, first + members) % NEWCOMER_EVERY == NEWCOMER_EVERY - 1
    joined_on = _joining(is_new, span, rng)
    active_from = np.maximum(joined_on * DAY_SECONDS, span.start)
    leaves = rng.random(members) < 0.12
    stay = np.where(leaves, rng.random(members), 1.0) * (span.until - active_from)
    per_session = np.array([each.items_per_session for each in world.works])[work]
    habit = np.array([each.activity for each in world.works])[work]
    activity = STUDIES_A_DAY * rng.gamma(0.8, 1 / 0.8, members) * habit / per_session
    return Block(
        first=first,
        work=work,
        city=city,
        unit=_units(world, work, city, rng),
        second_unit=np.where(rng.random(members) < 0.03, _units(world, work, city, rng), -1),
        speaks_other=rng.random(members) < np.array([each.english for each in world.works])[work],
        tells_role=(rng.random(members) >= 0.03) | is_new,
        tells_industry=(rng.random(members) >= 0.03) | is_new,
        personalised=rng.random(members) >= 0.01,
        device=_devices(np.array([each.phone for each in world.works])[work], rng),
        joined_on=joined_on,
        active_from=active_from,
        active_until=np.minimum(active_from + stay, span.until).astype(np.int64),
        activity=np.where(is_new, 0.0, activity),
    )


def _joining(is_new: Flags, span: Period, rng: np.random.Generator) -> Ints:
    """Return days since 1970: two in three before the log begins, the others along the way."""
    members = len(is_new)
    before = span.start - rng.random(members) * 3 * 365 * DAY_SECONDS
    along = span.start + rng.random(members) * span.seconds
    instants = np.where(rng.random(members) < 0.66, before, along)
    lately = span.until - 1 - rng.random(members) * 3 * DAY_SECONDS
    return (np.where(is_new, lately, instants) // DAY_SECONDS).astype(np.int64)


def _devices(phone_share: Floats, rng: np.random.Generator) -> Ints:
    """Return what a member studies on: the phone, or else mostly a computer."""
    chance = rng.random(len(phone_share))
    return (chance >= phone_share).astype(np.int64) + (chance >= phone_share + 0.85 * (1 - phone_share))


def _units(world: World, work: Ints, city: Ints, rng: np.random.Generator) -> Ints:
    """Return a unit of the member's kind of work in the region of its city."""
    position = {path: number for number, path in enumerate(all_units(world))}
    regions = list(dict.fromkeys(each.region for each in world.cities))
    first = np.array([[position[each.units(region)[0]] for region in regions] for each in world.works])
    leaves = np.array([each.unit[2] for each in world.works])[work]
    region = np.array([regions.index(each.region) for each in world.cities])[city]
    return np.asarray(first[work, region] + (rng.random(len(work)) * leaves).astype(np.int64))


def member_rows(world: World, block: Block) -> list[list[str]]:
    """Return one row per member with the fields of ``features.schema.MEMBERS``."""
    units = all_units(world)
    rows = []
    for number, member_id in enumerate(block.member_ids):
        work, city = world.works[block.work[number]], world.cities[block.city[number]]
        own = [units[unit] for unit in (block.unit[number], block.second_unit[number]) if unit >= 0]
        fields = {
            "member_id": member_id,
            "units": ";".join(dict.fromkeys(own)),
            "role": work.role if block.tells_role[number] else "",
            "industry": work.industry if block.tells_industry[number] else "",
            "region": city.name,
            "language": "en" if block.speaks_other[number] else "zh-CN",
            "timezone": city.timezone,
            "joined_on": str(np.datetime64(int(block.joined_on[number]), "D")),
            "personalised": "true" if block.personalised[number] else "false",
        }
        # Roles did not change, and no member has set anything about pushes, topics and series.
        rows.append([fields.get(name, "") for name in MEMBERS.names])
    return rows
