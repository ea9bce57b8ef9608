"""Access to items that are restricted to a role, an industry or a unit."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.organisation.catalogue import Catalogue, Flags
from simulator.organisation.members import Block, all_units
from simulator.organisation.world import World, industry_fits, role_fits


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Positions of the restricted items, and for each kind of work or unit (last row: no unit) whether it is let in."""

    items: npt.NDArray[np.intp]
    by_role: Flags
    by_industry: Flags
    by_unit: Flags

    def admitted(self, block: Block) -> Flags:
        """Return whether members may see the restricted items, shape (members, restricted items).

        What counts is what the organisation knows: a member without a known role sees nothing restricted to roles.
        """
        admitted: Flags = (
            (self.by_role[block.work] & block.tells_role[:, np.newaxis])
            | (self.by_industry[block.work] & block.tells_industry[:, np.newaxis])
            | self.by_unit[block.unit]
            | self.by_unit[block.second_unit]
        )
        return admitted


def restrictions_of(world: World, catalogue: Catalogue) -> Restrictions:
    """Return the restrictions of a catalogue; roles, industries and units include those below them."""
    items = np.flatnonzero([audience.restricted for audience in catalogue.audiences])
    closed = [catalogue.audiences[item] for item in items]
    by_role = [[role_fits(work.role, audience.roles) for audience in closed] for work in world.works]
    by_industry = [
        [industry_fits(work.industry, work.section, audience.industries) for audience in closed] for work in world.works
    ]
    by_unit = [
        [any(f"{unit}/".startswith(f"{path}/") for path in audience.units) for audience in closed]
        for unit in [*all_units(world), ""]
    ]
    return Restrictions(
        items=items,
        by_role=np.array(by_role, dtype=np.bool_),
        by_industry=np.array(by_industry, dtype=np.bool_),
        by_unit=np.array(by_unit, dtype=np.bool_),
    )
