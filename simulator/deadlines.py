"""Deadlines of required study that simulated members meet in sixty days, by lists with required study and without.

Members study from the top of their list for as long a day as their pace has, and go on with a begun item another day.
A deadline can be met where who studies required items alone, the next due first, is done in time. Lists know the true
pace, or estimate it as the service does, from what was finished while days are longer and shorter by chance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from content_catalog.requirements import Requirement
from recommender.policy.pace import own_pace
from recommender.policy.required import Obligation, RequiredItems, StudyRecord, next_steps, obligations, placed

DAYS: Final = 60
ITEMS: Final = 150
REQUIREMENTS: Final = 6
FIRST: Final = date(2026, 1, 1)
GROUP_PACE_SECONDS: Final = 1_050.0
"""Median pace of the members that are drawn."""
VARIATION: Final = 4.0
"""Shape of the gamma distribution of a day's study: its standard deviation is half of the mean."""


@dataclass(frozen=True)
class Course:
    """Content of the simulation: lengths of items, their prerequisites, and what is required.

    Attributes
    ----------
    ranked : tuple of str
        Items in the order of a member's interest.
    pace_seconds : float
        True seconds of content a day.
    day_seconds : tuple of float
        Seconds that the member studies on each day.
    estimated : bool
        Whether lists estimate the pace; else they know the true one.
    margin : float
        Share of the pace that required study does not count on.
    """

    seconds: dict[str, float]
    prerequisites: Mapping[str, tuple[str, ...]]
    requirements: tuple[Requirement, ...]
    ranked: tuple[str, ...]
    pace_seconds: float
    day_seconds: tuple[float, ...]
    estimated: bool
    margin: float

    def owed(self, finished: dict[str, date], today: date) -> list[Obligation]:
        """Return the open requirements."""
        items = RequiredItems(self.seconds.__getitem__, lambda item_id: self.prerequisites.get(item_id, ()), bool)
        member = StudyRecord(
            (frozenset(), frozenset(), frozenset(), frozenset()),
            finished=finished,
            pace_seconds=self._estimate(finished, today) if self.estimated else self.pace_seconds,
        )
        return obligations(self.requirements, member, items, today, margin=self.margin)

    def _estimate(self, finished: dict[str, date], today: date) -> float:
        """Return the pace by what was finished; without enough of it that of a group of members."""
        days = [((today - day).days, self.seconds[item_id]) for item_id, day in finished.items()]
        return own_pace(days, (today - FIRST).days + 1) or GROUP_PACE_SECONDS


def deadlines_met(
    n_members: int = 200, *, share: float = 0.3, estimated: bool = False, margin: float = 0.0
) -> dict[str, float]:
    """Return the shares of the deadlines that can be met which are met, with required study on lists and without.

    Parameters
    ----------
    share : float
        Largest share of required items on a list while none of them is urgent.
    estimated : bool
        Days are longer and shorter by chance, and lists estimate the pace.
    margin : float
        Share of the pace that required study does not count on.
    """
    rng = np.random.default_rng(7)
    met = {"required": 0, "plain": 0}
    possible = 0
    for _ in range(n_members):
        course = _course(rng, estimated=estimated, margin=margin)
        feasible = _met(course, "earliest", share)
        possible += len(feasible)
        for kind in met:
            met[kind] += len(feasible & _met(course, kind, share))
    return {
        "deadlines": possible,
        "deadlines_met": round(met["required"] / possible, 4),
        "deadlines_met_plain": round(met["plain"] / possible, 4),
    }


def _course(rng: np.random.Generator, *, estimated: bool, margin: float) -> Course:
    names = [f"i{number}" for number in range(ITEMS)]
    seconds = {name: float(rng.integers(2, 31) * 60) for name in names}
    needed = {names[number]: (names[number - 1],) for number in range(1, ITEMS) if rng.random() < 0.2}
    required = tuple(
        Requirement(
            requirement_id=f"r{number}",
            items=tuple(rng.choice(names, rng.integers(1, 5), replace=False).tolist()),
            due_on=FIRST + timedelta(days=int(rng.integers(5, DAYS))),
        )
        for number in range(REQUIREMENTS)
    )
    ranked, pace = tuple(rng.permutation(names).tolist()), float(rng.integers(5, 31) * 60)
    days = rng.gamma(VARIATION, pace / VARIATION, DAYS).tolist() if estimated else [pace] * DAYS
    return Course(seconds, needed, required, ranked, pace, tuple(days), estimated, margin)


def _met(course: Course, kind: str, share: float) -> set[str]:
    """Return the requirements whose items are finished by their day."""
    finished: dict[str, date] = {}
    left = dict(course.seconds)
    open_ones = {requirement.requirement_id for requirement in course.requirements}
    met: set[str] = set()
    for day in range(DAYS):
        today = FIRST + timedelta(days=day)
        budget = course.day_seconds[day]
        while budget > 0:
            item_id = next(_listed(course, finished, today, kind, share), None)
            if item_id is None:
                break
            spent = min(budget, left[item_id])
            budget -= spent
            left[item_id] -= spent
            if left[item_id] <= 0:
                finished[item_id] = today
        owed = {each.requirement_id for each in course.owed(finished, today)}
        met |= {each.requirement_id for each in course.requirements if each.due_on and each.due_on >= today} & (
            open_ones - owed
        )
    return met


def _listed(course: Course, finished: dict[str, date], today: date, kind: str, share: float) -> Iterator[str]:
    """Return a list: required items alone by due date, lists with required study, or those without."""

    def may_be_offered(item_id: str) -> bool:
        return item_id not in finished and all(each in finished for each in course.prerequisites.get(item_id, ()))

    others = filter(may_be_offered, course.ranked)
    if kind == "plain":
        return others
    owed = course.owed(finished, today)
    if kind == "earliest":
        owed = sorted(owed, key=lambda each: each.due_on)
        return (item_id for _, item_id in next_steps(owed, may_be_offered))
    steps = {step for each in owed for step in each.steps}
    ahead = next_steps(owed, may_be_offered)
    urgent = [item_id for each, item_id in ahead if each.cautious_slack_days <= 0]
    waiting = [item_id for each, item_id in ahead if each.cautious_slack_days > 0]
    return placed(urgent, waiting, (item_id for item_id in others if item_id not in steps), share)
