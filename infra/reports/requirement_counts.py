"""Counts of open requirements by unit; units of few members are folded into the unit above them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from content_catalog.audience import UNIT_SEPARATOR
from content_catalog.requirements import requirement_of
from infra.catalog import organisations, records
from infra.catalog.records import Record
from infra.catalog.requirements import KIND
from infra.reports.required_study import RequiredStudy
from infra.reports.small_groups import Row, suppress
from infra.settings.settings import Settings

Counts = Mapping[str, Counter[str]]
STATES: Final = ("open", "due", "cannot_be_met", "overdue")
EVERYBODY: Final = ""
"""The unit above all units."""


def requirement_counts(session: Session, organisation_key: int, settings: Settings, *, now: datetime) -> list[Row]:
    """Return how many members have not met each requirement, over all and by unit.

    Returns
    -------
    list of dict
        ``requirement_id``; ``unit``, None for the whole organisation; ``members`` for whom it holds; of them
        ``open``, not met and not overdue, or not to be offered yet; ``due``, those of them who need to begin within a
        week at their pace;
        ``cannot_be_met``, those of them who cannot be done in time at it any more; ``overdue``. A unit of fewer than
        ``privacy.smallest_group`` members, or by which such a one could be worked out, has no row; an organisation of
        fewer has one without figures, ``suppressed``.
    """
    study = RequiredStudy(session, organisation_key, settings, now=now)
    return _counted(study, min_group_size=settings.privacy.smallest_group)


def dry_run(session: Session, organisation_key: int, settings: Settings, record: Record, *, now: datetime) -> list[Row]:
    """Return the counts of a requirement as if it were stored beside the others, and store nothing.

    Numbers of members in a state are rounded down to multiples of ``privacy.smallest_group``. Otherwise two dry runs
    whose audiences differ by one member would tell that member's state, without a trace in the audit log (a tracker:
    Denning, Denning and Schwartz 1979, https://doi.org/10.1145/320064.320069).

    Raises
    ------
    InvalidRecordError
        It does not pass the checks.
    """
    zone = organisations.local_settings(session, organisation_key, settings).timezone
    rows = records.checked(session, organisation_key, KIND, record, zone=zone)
    [row] = rows.astype(object).where(rows.notna(), None).to_dict("records")
    draft = requirement_of(row)
    study = RequiredStudy(session, organisation_key, settings, now=now, draft=draft)
    base = settings.privacy.smallest_group
    counted = _counted(study, min_group_size=base)
    return [_rounded(counts, base) for counts in counted if counts["requirement_id"] == draft.requirement_id]


def at_risk(rows: list[Row]) -> list[Row]:
    """Return the rows of requirements and units some of whose members cannot be done in time, or soon cannot."""
    return [row for row in rows if row["suppressed"] or row["due"]]


def _counted(study: RequiredStudy, *, min_group_size: int) -> list[Row]:
    groups: Counter[tuple[str, frozenset[str], str]] = Counter()
    for member in study.of_members():
        states = member.states()
        groups.update((each, member.units, states.get(each, "met")) for each in member.held)
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for (requirement_id, units, state), number in groups.items():
        above = {unit.rpartition(UNIT_SEPARATOR)[0] for unit in units}
        for unit in (EVERYBODY, *units):
            names = ("members", state) if unit in above else ("members", state, "direct")
            counts[requirement_id][unit].update(dict.fromkeys(names, number))
    return [
        row
        for requirement_id in sorted(counts)
        for row in _rows(requirement_id, counts[requirement_id], min_group_size=min_group_size)
    ]


def _rows(requirement_id: str, by_unit: Counts, *, min_group_size: int) -> Iterator[Row]:
    """Yield the rows of a requirement, a unit before those below it."""
    if by_unit[EVERYBODY]["members"] < min_group_size:
        figures = dict.fromkeys(("members", *STATES))
        yield {"requirement_id": requirement_id, "unit": None, **figures, "suppressed": True}
        return
    shown = [EVERYBODY]
    while shown:
        unit = shown.pop()
        yield {"requirement_id": requirement_id, "unit": unit or None, **_figures(by_unit[unit]), "suppressed": False}
        shown += _shown_below(unit, by_unit, min_group_size)


def _figures(states: Counter[str]) -> dict[str, int]:
    late, soon = states["cannot_be_met"], states["within_days"]
    return {
        "members": states["members"],
        "open": late + soon + states["open"],
        "due": late + soon,
        "cannot_be_met": late,
        "overdue": states["overdue"],
    }


def _rounded(counts: Row, base: int) -> Row:
    return counts if counts["suppressed"] else counts | {name: counts[name] // base * base for name in STATES}


def _shown_below(unit: str, by_unit: Counts, min_group_size: int) -> list[str]:
    """Return the units just below one that are shown, the last one first.

    The members of the unit itself count as one more unit: what is left of the sum when all others are shown.
    """
    below = sorted(name for name in by_unit if name and name.rpartition(UNIT_SEPARATOR)[0] == unit)
    groups = [{"value": name, "members": by_unit[name]["members"]} for name in below]
    rest = by_unit[unit]["direct"]
    folded = suppress([*groups, *([{"value": None, "members": rest}] if rest else [])], min_group_size=min_group_size)
    return [row["value"] for row in reversed(folded) if row["value"] is not None and not row["suppressed"]]
