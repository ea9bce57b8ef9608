"""Changes of role and industry: some members did other work until a day; a file says since when they do their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from simulator.organisation.catalogue import DAY_SECONDS, Ints, Period
from simulator.organisation.members import Block
from simulator.organisation.world import World

ROLE_CHANGES_FILE: Final = "role_changes.csv"
COLUMNS: Final = ("member_id", "role", "industry", "role_since")
CHANGING_EVERY: Final = 20
"""One member in so many changes its work, of those who had joined by then and whose role and industry are known."""
DAYS_AGO: Final = (3, 8, 30)
"""Days from a change until the end of the log."""


@dataclass(frozen=True, slots=True)
class RoleChanges:
    """Changes of members of a block, as parallel arrays.

    Attributes
    ----------
    rows : array
        Positions of the members in the block.
    day : array
        Days of the changes, since 1970.
    earlier : Block
        The whole block before all changes; its members' ``work`` is that of their first role and industry.
    """

    rows: Ints
    day: Ints
    earlier: Block


def role_changes_of(world: World, block: Block, *, span: Period, rng: np.random.Generator) -> RoleChanges:
    """Return which members of a block did which other work until which day."""
    number = block.first + np.arange(len(block.work))
    days_ago = np.array(DAYS_AGO)[number // CHANGING_EVERY % len(DAYS_AGO)]
    day = span.until // DAY_SECONDS - days_ago
    joined = np.maximum(block.joined_on, -(-span.start // DAY_SECONDS)) < day
    changes = (number % CHANGING_EVERY == CHANGING_EVERY // 2) & joined & block.tells_role & block.tells_industry
    rows = np.flatnonzero(changes)
    work = block.work.copy()
    roles = np.array([work.role for work in world.works])
    other = roles[None, :] != roles[block.work[rows]][:, None]  # (rows, works): another role, maybe another industry
    chance = (rng.random(len(rows)) * other.sum(axis=1)).astype(np.int64)
    work[rows] = (np.cumsum(other, axis=1) > chance[:, None]).argmax(axis=1)
    return RoleChanges(rows, day[rows], replace(block, work=work))


def write_role_changes(folder: Path, world: World, block: Block, changes: RoleChanges) -> int:
    """Write the members of a block who changed, with what they do since; return how many. The first block begins."""
    ids = block.member_ids
    with (folder / ROLE_CHANGES_FILE).open("a" if block.first else "w", encoding="utf-8") as file:
        if not block.first:
            file.write(",".join(COLUMNS) + "\n")
        for row, day in zip(changes.rows.tolist(), changes.day.tolist(), strict=True):
            work = world.works[block.work[row]]
            file.write(f"{ids[row]},{work.role},{work.industry},{np.datetime64(day, 'D')}\n")
    return len(changes.rows)
