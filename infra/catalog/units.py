"""Units of an organisation: a tree of paths, which have names or members."""

from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from content_catalog.audience import NOT_A_PATH, UNIT_SEPARATOR, is_unit_path, units_of
from infra.catalog import store as catalog
from infra.catalog import taxonomies
from infra.catalog.store import NUL
from infra.db.core_tables import members
from infra.db.core_tables import units as table
from infra.errors import InvalidRecordError, NotFoundError

Unit = dict[str, Any]
NAMES = ("name_en", "name_zh")
TARGETS = [catalog.TABLES[kind][0].c["target_units"] for kind in ("items", "requirements", "curations")]


def tree(session: Session, organisation_key: int) -> dict[str, Unit]:
    """Return all units by path, in order: those with names, those with members, and all above these.

    ``members`` counts the members of a unit and of all below it, each once.
    """
    counted = (
        select(members.c.units, func.count())
        .where(members.c.organisation_key == organisation_key, members.c.units.is_not(None))
        .group_by(members.c.units)
    )
    numbers: dict[str, int] = {}
    for joined, number in session.execute(counted):
        for unit in units_of(joined):
            numbers[unit] = numbers.get(unit, 0) + number
    query = select(table.c.unit, *(table.c[name] for name in NAMES)).where(table.c.organisation_key == organisation_key)
    named = {row["unit"]: row for row in session.execute(query).mappings()}
    paths = sorted({*numbers, *(above for unit in named for above in units_of(unit))})
    return {
        unit: {
            "unit": unit,
            "parent": unit.rpartition(UNIT_SEPARATOR)[0] or None,
            **{name: named[unit][name] if unit in named else None for name in NAMES},
            "members": numbers.get(unit, 0),
        }
        for unit in paths
    }


def read(session: Session, organisation_key: int, unit: str) -> Unit:
    """Return one unit.

    Raises
    ------
    NotFoundError
    """
    row = tree(session, organisation_key).get(unit)
    if row is None:
        raise NotFoundError(f"no unit {unit!r}; create it first, or check its path")
    return row


def write(session: Session, organisation_key: int, unit: str, names: dict[str, str | None], *, now: datetime) -> None:
    """Create a unit, or replace its names.

    Raises
    ------
    InvalidRecordError
        The path or a name is invalid.
    """
    if not is_unit_path(unit):
        raise InvalidRecordError([("unit", unit[:200], NOT_A_PATH)])
    row = {name: names.get(name) for name in NAMES}
    if wrong := [(name, value[:200], "holds a NUL character") for name, value in row.items() if value and NUL in value]:
        raise InvalidRecordError(wrong)
    catalog.store(session, organisation_key, "units", pd.DataFrame([{"unit": unit, **row}]), now=now)


def remove(session: Session, organisation_key: int, unit: str) -> None:
    """Delete a unit and its names.

    Raises
    ------
    InUseError
        The unit has members, units below it, or is a target.
    """
    inside = read(session, organisation_key, unit)["members"]
    below = sum(other.startswith(f"{unit}{UNIT_SEPARATOR}") for other in tree(session, organisation_key))
    targets = taxonomies.uses(session, organisation_key, TARGETS, unit)
    taxonomies.refuse_used(f"unit {unit!r}", {"members": inside, "units below it": below, **targets})
    session.execute(delete(table).where(table.c.organisation_key == organisation_key, table.c.unit == unit))
