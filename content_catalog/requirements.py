"""Requirements: items that the members of an audience have to finish, in order, by a day."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from content_catalog.audience import TARGETS, Codes, in_audience, units_of
from content_catalog.schema import RECURRENCES, split_list
from content_catalog.taxonomy import Taxonomy

MONTHS: Final = dict(zip(RECURRENCES, (12, 3), strict=True))
OPEN_DAYS: Final = {0: 60, 12: 90, 3: 60}
"""By the months of a requirement: days before a due date on which it opens, and days that a member has who joins after
the due date."""
RESERVED: Final = ("at-risk", "bulk")
"""Ids that would hide a route of the API."""
AUDIENCE_COLUMNS: Final = (*TARGETS, "target_regions")


@dataclass(frozen=True, slots=True)
class Due:
    """A due date of a member.

    Attributes
    ----------
    opens_on : date
        First day on which study is asked for.
    since : date, optional
        Only what is finished from this day on counts; None: whenever it was finished.
    """

    due_on: date
    opens_on: date
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement.

    Attributes
    ----------
    items : tuple of str
        Ids, in order of study.
    targets : tuple of frozenset
        Codes of roles and of industries, units and regions; an empty set is no condition.
    due_on : date, optional
        Day for everybody; or else days are counted.
    days_after_joining, days_after_role : int, optional
        Days from joining, or from taking the role, until the member's own due date.
    months : int
        Months between due dates of a recurring requirement; 0: it has to be met once.
    open_days : int
        See :data:`OPEN_DAYS`.
    starts_on : date, optional
        Members who joined, or took their role, earlier count as having done so on this day.
    """

    requirement_id: str
    items: tuple[str, ...]
    targets: Codes = ()
    due_on: date | None = None
    days_after_joining: int | None = None
    days_after_role: int | None = None
    months: int = 0
    open_days: int = 60
    starts_on: date | None = None

    def holds_for(self, within: Codes) -> bool:
        """Return whether a member who is within these codes has to meet it.

        >>> drivers = Requirement("r", ("i1",), targets=(frozenset({"8"}),))
        >>> drivers.holds_for((frozenset({"8", "83"}),)), drivers.holds_for((frozenset({"4"}),))
        (True, False)
        """
        return in_audience(within, self.targets)

    def due(self, *, joined_on: date | None, role_since: date | None, finished_on: date | None) -> Due | None:
        """Return the earliest due date that is not met; None where all is met, or no day to count from is known.

        Parameters
        ----------
        finished_on : date, optional
            The day on which the last of all items was finished, each counting by the last time; None: not all were.

        Examples
        --------
        Every year by 1 March, open 90 days before. Who finished in February has met that of this year; who joins in
        May has 90 days for the first time.

        >>> yearly = Requirement("r", ("i1",), due_on=date(2026, 3, 1), months=12, open_days=90)
        >>> yearly.due(joined_on=None, role_since=None, finished_on=date(2026, 2, 1)).due_on
        datetime.date(2027, 3, 1)
        >>> yearly.due(joined_on=date(2026, 5, 1), role_since=None, finished_on=None).due_on
        datetime.date(2026, 7, 30)
        """
        joined = _latest(joined_on, self.starts_on)
        first = self._first(joined, _latest(role_since or joined_on, self.starts_on))
        if first is None or (finished_on is not None and not self.months):
            return None
        late = self.due_on is not None and joined > first
        if not self.months:
            return Due(joined + timedelta(days=self.open_days) if late else first, joined)
        return self._recurring(first, joined, finished_on, late=late)

    def _first(self, joined: date, in_role: date) -> date | None:
        """Return the first due date of a member; None where the day that it is counted from is not known."""
        if self.due_on is not None:
            return self.due_on
        if self.days_after_joining is not None:
            since, days = joined, self.days_after_joining
        else:
            since, days = in_role, self.days_after_role or 0
        return None if since == date.min else since + timedelta(days=days)

    def _recurring(self, first: date, joined: date, finished_on: date | None, *, late: bool) -> Due:
        number = 0
        while late and add_months(first, number * self.months) < joined:
            number += 1
        joining = late and joined < self._opening(first, number)
        if joining:
            since = self._opening(first, number - 1)
            if finished_on is None or finished_on < since:
                return Due(joined + timedelta(days=self.open_days), joined, since)
        while finished_on is not None and self._opening(first, number) <= finished_on:
            number += 1
        opens_on = self._opening(first, number)
        return Due(add_months(first, number * self.months), max(opens_on, joined), opens_on)

    def _opening(self, first: date, number: int) -> date:
        """Return the day on which the due date of a number opens."""
        due_on = add_months(first, number * self.months)
        return due_on - timedelta(days=min(self.open_days, (due_on - date.min).days))


def requirement_of(row: Mapping[Any, Any]) -> Requirement:
    """Return the requirement of a stored row: times as aware datetimes, lists as text."""
    months = MONTHS.get(row["recurrence"] or "", 0)
    return Requirement(
        row["requirement_id"],
        split_list(row["items"]),
        tuple(frozenset(split_list(row[name])) for name in AUDIENCE_COLUMNS),
        due_on=_day(row["due_on"]),
        days_after_joining=_whole(row["days_after_joining"]),
        days_after_role=_whole(row["days_after_role"]),
        months=months,
        open_days=_whole(row["open_days"]) or OPEN_DAYS[months],
        starts_on=_day(row["starts_on"]),
    )


def within_of(
    taxonomies: Mapping[str, Taxonomy],
    *,
    role: str | None,
    industry: str | None,
    units: str | None = None,
    region: str | None = None,
) -> Codes:
    """Return the codes of role and industry, and the units and regions, that a member is within.

    Regions are paths, as units are: a member in ``CN/East`` is within ``CN``.
    """
    codes = (("role", role), ("industry", industry))
    paths = (
        frozenset(taxonomies[kind].path(code)) if code is not None and code in taxonomies[kind] else frozenset[str]()
        for kind, code in codes
    )
    return (*paths, units_of(units or ""), units_of(region or ""))


def fault_of(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field and the fault of a checked row that is no requirement; None for a sound one."""
    dates = [name for name in ("due_on", "days_after_joining", "days_after_role") if row[name] is not None]
    if len(dates) != 1:
        return "due_on", "give one of due_on, days_after_joining and days_after_role"
    if row["recurrence"] == "quarterly" and (row["open_days"] or 0) > OPEN_DAYS[3]:
        return "open_days", f"a quarterly requirement is open for at most {OPEN_DAYS[3]} days"
    for name in ("days_after_joining", "days_after_role", "open_days"):
        if row[name] is not None and row[name] != int(row[name]):
            return name, "give whole days"
    if "/" in row["requirement_id"] or row["requirement_id"] in RESERVED:
        return "requirement_id", f"holds a slash, or is one of {', '.join(RESERVED)}"
    return None


def add_months(day: date, months: int) -> date:
    """Return the same day some months later; the last one of a shorter month.

    >>> add_months(date(2024, 2, 29), 12), add_months(date(2026, 11, 30), 3)
    (datetime.date(2025, 2, 28), datetime.date(2027, 2, 28))
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def met_on(items: Sequence[str], finished: Mapping[str, date]) -> date | None:
    """Return the day on which the last of some items was finished; None where one was not."""
    days = [finished.get(item_id) for item_id in items]
    return None if None in days or not days else max(day for day in days if day is not None)


def _latest(day: date | None, start: date | None) -> date:
    return max(day or date.min, start or date.min)


def _day(value: Any) -> date | None:
    return None if value is None else value.date()


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
