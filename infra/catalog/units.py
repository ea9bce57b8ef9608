"""Units of an organisation: a tree of paths, known by name or because members are in them."""

from typing import Any

import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from content_catalog.audience import UNIT_SEPARATOR, units_of
from content_catalog.io.files import rejects_frame
from content_catalog.schema import LIST_SEPARATOR
from infra.catalog.store import NUL
from infra.db import bulk
from infra.db.core_tables import members
from infra.db.core_tables import units as table
from infra.errors import InUseError, InvalidRecordError, UnknownUnitError

Unit = dict[str, Any]
NAMES = ("name_en", "name_zh")
LONGEST_PATH = 1_000
UNSOUND = "no path of a unit: names with / between them, without ; and of at most 1,000 characters in all"


def tree(session: Session, organisation_key: int) -> dict[str, Unit]:
    """Return all units by path, in order: those with names, those that members are in, and all above these.

    ``members`` counts those of a unit itself and of all below it, each once.
    """
    counted = (
        select(members.c.units, func.count())
        .where(members.c.organisation_key == organisation_key, members.c.units.is_not(None))
        .group_by(members.c.units)
    )
    numbers: dict[str, int] = {}
    for paths, number in session.execute(counted):
        for unit in units_of(paths):
            numbers[unit] = numbers.get(unit, 0) + number
    query = select(table.c.unit, *(table.c[name] for name in NAMES)).where(table.c.organisation_key == organisation_key)
    named = {row["unit"]: row for row in session.execute(query).mappings()}
    known = sorted({*numbers, *(above for unit in named for above in units_of(unit))})
    return {
        unit: {
            "unit": unit,
            "parent": unit.rpartition(UNIT_SEPARATOR)[0] or None,
            **{name: named[unit][name] if unit in named else None for name in NAMES},
            "members": numbers.get(unit, 0),
        }
        for unit in known
    }


def read(session: Session, organisation_key: int, unit: str) -> Unit:
    """Return one unit.

    Raises
    ------
    UnknownUnitError
    """
    found = tree(session, organisation_key).get(unit)
    if found is None:
        raise UnknownUnitError(f"no unit {unit!r}; create it first, or check its path")
    return found


def write(session: Session, organisation_key: int, unit: str, names: dict[str, str | None]) -> None:
    """Make a unit, or replace its names.

    Raises
    ------
    InvalidRecordError
        The path is none.
    """
    if not _is_path(unit):
        raise InvalidRecordError([("unit", unit[:200], UNSOUND)])
    given = {name: names.get(name) for name in NAMES}
    if wrong := [
        (name, value[:200], "holds a NUL character") for name, value in given.items() if value and NUL in value
    ]:
        raise InvalidRecordError(wrong)
    store(session, organisation_key, pd.DataFrame([{"unit": unit, **given}]))


def _is_path(unit: str) -> bool:
    parts = unit.split(UNIT_SEPARATOR)
    sound = all(part and part == part.strip() for part in parts) and len(unit) <= LONGEST_PATH
    return sound and NUL not in unit and LIST_SEPARATOR not in unit


def check_paths(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the checked rows whose ``unit`` is a path, and the rejects of the others."""
    sound = rows["unit"].map(_is_path).astype(bool)
    wrong = rows.loc[~sound, "unit"]
    return rows[sound], rejects_frame((int(line), "unit", unit, UNSOUND) for line, unit in wrong.items())


def store(session: Session, organisation_key: int, rows: pd.DataFrame) -> int:
    """Make units, or replace those names of known ones that the rows have; return how many rows were written."""
    return bulk.upsert(session, table, rows.assign(organisation_key=organisation_key))


def remove(session: Session, organisation_key: int, unit: str) -> None:
    """Remove a unit and its names.

    Raises
    ------
    InUseError
        Members are in it, or units below it have names.
    """
    below = [
        other
        for other in tree(session, organisation_key)
        if other == unit or other.startswith(f"{unit}{UNIT_SEPARATOR}")
    ]
    inside = read(session, organisation_key, unit)["members"]
    if inside or len(below) > 1:
        raise InUseError(
            f"unit {unit!r} has {inside:,} members and {len(below) - 1:,} units below it; move and remove them first"
        )
    session.execute(delete(table).where(table.c.organisation_key == organisation_key, table.c.unit == unit))
