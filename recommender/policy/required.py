"""Required study: the open requirements of a member, by their slack, and their places on a list.

The spare days of a requirement are the days left, today included, minus the days that its content and all content due
no later take at the member's pace. Its slack is the least of its spare days and those of all that is due later: with a
slack of 0 a member who studies in order of the due dates is just in time. Requirements with a slack of 0 or less are
urgent and stand at the top of the list. The others follow where required items are at most a set share of the list down
to there. In both groups less slack means a higher place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from math import ceil
from sys import maxsize
from typing import Any, Final, TypeVar

from content_catalog.audience import Codes
from content_catalog.requirements import Requirement, met_on

Entry = TypeVar("Entry")

DEFAULT_SECONDS: Final = 600.0
"""Length of an item whose duration is not known."""
DEFAULT_PACE_SECONDS: Final = 600.0
"""Seconds of content a day where neither the member nor any group has finished enough to tell."""

TOLERANCE: Final = 1e-9
"""Shares such as 0.3 times 10 are not exactly whole."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """State of a member that requirements depend on.

    Attributes
    ----------
    within : tuple of frozenset
        Codes of roles and industries, units and regions, those above included.
    joined_on, role_since : date, optional
    finished : mapping
        The local day on which each item was last finished.
    waived : set of str
        Requirements that the member need not meet.
    pace_seconds : float
        Seconds of content that the member finishes in a day.
    """

    within: Codes
    joined_on: date | None = None
    role_since: date | None = None
    finished: Mapping[str, date] = field(default_factory=dict)
    waived: frozenset[str] = frozenset()
    pace_seconds: float = DEFAULT_PACE_SECONDS


@dataclass(frozen=True, slots=True)
class RequiredItems:
    """Facts of items that requirements depend on.

    Attributes
    ----------
    seconds : callable
        Returns an item's duration in seconds; None where it is not known.
    prerequisites : callable
        Returns the prerequisites of an item that can still be finished.
    is_open : callable
        Returns whether an item can be offered to the member, now or later, prerequisites aside.
    """

    seconds: Callable[[str], float | None]
    prerequisites: Callable[[str], Iterable[str]]
    is_open: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Obligation:
    """An open requirement of a member.

    Attributes
    ----------
    due_on : date
    spare_days : int
        Days to spare if the member studies this and all that is due no later; below 0 it cannot be done in time.
    slack_days : int
        The least of this and of all that is due later, which waits for it: how long the member can put it off.
    cautious_slack_days : int
        The same at less than the member's pace. It orders required entries; at 0 and below an entry cannot wait.
    steps : tuple of str
        Items that are left, in order, unfinished prerequisites included.
    required : set of str
        Those of them that the requirement names.
    """

    requirement_id: str
    due_on: date
    spare_days: int
    slack_days: int
    cautious_slack_days: int
    steps: tuple[str, ...]
    required: frozenset[str]

    def reason(self, item_id: str, today: date) -> dict[str, Any]:
        """Return the reason of one of the steps."""
        arguments = {"requirement_id": self.requirement_id, "due_on": self.due_on.isoformat()}
        if item_id not in self.required:
            opened = next(step for step in self.steps[self.steps.index(item_id) :] if step in self.required)
            return {"code": "needed_for_required", "arguments": {"item_id": opened, **arguments}}
        return {"code": "overdue" if self.due_on < today else "required", "arguments": arguments}


def obligations(
    requirements: Iterable[Requirement], member: StudyRecord, items: RequiredItems, today: date, *, margin: float = 0.0
) -> list[Obligation]:
    """Return the open requirements of a member, those with the least cautious slack first; see :func:`with_slack`."""
    by_day = by_due_date(requirements, member, items, today)
    return with_slack(by_day, items, today, pace_seconds=member.pace_seconds, margin=margin)


def by_due_date(
    requirements: Iterable[Requirement], member: StudyRecord, items: RequiredItems, today: date
) -> list[Obligation]:
    """Return the open requirements of a member in order of their due dates, without slack, as the pace is not asked."""
    open_ones = (
        _obligation(requirement, member, items, today)
        for requirement in requirements
        if requirement.requirement_id not in member.waived and requirement.holds_for(member.within)
    )
    return sorted(filter(None, open_ones), key=lambda each: each.due_on)


def with_slack(
    by_day: Sequence[Obligation], items: RequiredItems, today: date, *, pace_seconds: float, margin: float = 0.0
) -> list[Obligation]:
    """Return open requirements in order of their due dates with their slack, those with the least cautious one first.

    Parameters
    ----------
    margin : float
        Share of the pace that cautious slack does not count on.

    Examples
    --------
    One day of content due in 3 days has 2 days to spare by itself. If 4 days of content are due a day later, all 5 days
    of content are to be done in 4: the later one has -1 day to spare, and both have a slack of -1.
    """
    seconds: dict[str, float] = {}
    spare: list[tuple[int, int]] = []
    for due_on, same_day in groupby(by_day, key=lambda each: each.due_on):
        due = list(same_day)
        seconds |= {step: items.seconds(step) or DEFAULT_SECONDS for each in due for step in each.steps}
        total = sum(seconds.values())
        days, cautious_days = (
            slack_days(due_on, today, seconds=total, pace_seconds=pace)
            for pace in (pace_seconds, pace_seconds * (1.0 - margin))
        )
        spare += [(days, cautious_days)] * len(due)
    owed = []
    slack = cautious = maxsize
    for each, (days, cautious_days) in zip(reversed(by_day), reversed(spare), strict=True):
        slack, cautious = min(slack, days), min(cautious, cautious_days)
        owed.append(replace(each, spare_days=days, slack_days=slack, cautious_slack_days=cautious))
    return sorted(owed, key=lambda each: (each.cautious_slack_days, each.due_on, each.requirement_id))


def _obligation(requirement: Requirement, member: StudyRecord, items: RequiredItems, today: date) -> Obligation | None:
    wanted = [item_id for item_id in requirement.items if items.is_open(item_id)]
    if not wanted:
        return None
    due = requirement.due(
        joined_on=member.joined_on, role_since=member.role_since, finished_on=met_on(wanted, member.finished)
    )
    if due is None or today < due.opens_on:
        return None

    def is_left(item_id: str) -> bool:
        day = member.finished.get(item_id)
        return day is None or (due.since is not None and day < due.since)

    left = [item_id for item_id in wanted if is_left(item_id)]
    order: dict[str, None] = {}
    for item_id in left:
        _add_steps(order, item_id, member.finished, items)
    steps = tuple(order)
    if not steps:
        return None
    return Obligation(requirement.requirement_id, due.due_on, 0, 0, 0, steps, frozenset(left))


def slack_days(due_on: date, today: date, *, seconds: float, pace_seconds: float) -> int:
    """Return the days that are left, today among them, minus the days that so much content takes at a pace.

    An hour of content at ten minutes a day takes six days: who begins on the fifth and is done by the tenth has none
    to spare.

    >>> slack_days(date(2026, 3, 10), date(2026, 3, 5), seconds=3_600, pace_seconds=600)
    0
    """
    return (due_on - today).days + 1 - ceil(seconds / pace_seconds)


def _add_steps(order: dict[str, None], item_id: str, finished: Mapping[str, date], items: RequiredItems) -> None:
    """Add the unfinished prerequisites of an item, the first one first, and the item; of a cycle no step twice."""
    # Not by recursion: a chain of prerequisites may be longer than the calls that Python allows.
    above = {item_id: iter(items.prerequisites(item_id))}
    while above:
        name, needed = next(reversed(above.items()))
        step = next((each for each in needed if each not in finished and each not in order and each not in above), None)
        if step is None:
            above.popitem()
            order.setdefault(name)
        else:
            above[step] = iter(items.prerequisites(step))


def next_steps(owed: Iterable[Obligation], may_be_offered: Callable[[str], bool]) -> list[tuple[Obligation, str]]:
    """Return the item to study next for each open requirement that has one, each item once."""
    chosen: dict[str, Obligation] = {}
    for obligation in owed:
        step = next(filter(may_be_offered, obligation.steps), None)
        if step is not None:
            chosen.setdefault(step, obligation)
    return [(obligation, step) for step, obligation in chosen.items()]


def placed(
    urgent: Sequence[Entry], required: Sequence[Entry], ranked: Iterator[Entry], share: float
) -> Iterator[Entry]:
    """Yield a list: urgent entries first, then ranked ones with required ones among them.

    The r-th of the required entries, urgent ones counted, stands at place ⌈r / share⌉ at the earliest, so no beginning
    of a list without urgent entries has more than ``share`` of them. Where nothing else is left they follow at once.

    >>> list(placed([], ["r1", "r2"], iter("abcd"), 0.5))
    ['a', 'r1', 'b', 'r2', 'c', 'd']
    >>> list(placed(["u1"], ["r1"], iter("ab"), 0.5))
    ['u1', 'a', 'b', 'r1']
    """
    yield from urgent
    place = count = len(urgent)
    waiting = list(required)
    for entry in ranked:
        place += 1
        while waiting and place * share >= count + 1 - TOLERANCE:
            yield waiting.pop(0)
            place, count = place + 1, count + 1
        yield entry
    yield from waiting
