"""Required study of all members at a moment: their paces, their open requirements, and the entries of their lists."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, lru_cache, partial
from typing import Any, Final, NamedTuple

from sqlalchemy import RowMapping, select
from sqlalchemy.orm import Session

from content_catalog.audience import units_of
from content_catalog.requirements import Requirement
from content_catalog.schema import split_list
from content_catalog.time_zones import zone_of
from features.study_time import DAY_MICROSECONDS
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import EPOCH, MICROSECOND, items, members
from infra.db.policy_tables import waivers
from infra.policy import devices
from infra.policy.required_entries import RequiredEntries, as_stored, required_entries
from infra.policy.study_records import days_of, finished_by_member
from infra.serving import display_metadata
from infra.serving.display_metadata import offered_now, required_items
from infra.serving.eligibility import Recipient
from infra.settings.settings import Settings
from recommender.content.segments import path_of
from recommender.policy.pace import GroupPaces, Paths, own_pace
from recommender.policy.required import (
    DEFAULT_SECONDS,
    Obligation,
    RequiredItems,
    StudyRecord,
    by_due_date,
    with_slack,
)

WARNING_DAYS: Final = 7
"""Slack, in days, below which an organisation is warned."""
CHECK: Final = "required study is done in time"
MAX_CACHED_STATES: Final = 10_000
"""Cached results: members with the same profile, study and day share one."""
PROFILE: Final = ("role", "industry", "units", "region")
"""Columns of a member that requirements and audiences name."""
COLUMNS: Final = ("member_id", *PROFILE, "timezone", "joined_on", "role_since", "personalised", "devices")


@dataclass(frozen=True, slots=True)
class MemberObligations:
    """Open requirements of a member.

    Attributes
    ----------
    units : set of str
        Units of the member, those above included.
    held : set of str
        Requirements that hold for the member, met ones included; not waived ones, nor those without any open item.
    blocked : set of str
        Open ones of which the member may be offered nothing now: not yet open, or after something that it cannot study.
    today : date
        The member's local day.
    may_be_offered : callable
        Returns whether the member may be offered an item now.
    """

    member_id: str
    units: frozenset[str]
    held: frozenset[str]
    blocked: frozenset[str]
    today: date
    owed: Sequence[Obligation]
    items: RequiredItems
    may_be_offered: Callable[[str], bool]

    def entries(self) -> RequiredEntries:
        """Return the required entries of the member's list."""
        return required_entries(self.owed, self.today, self.may_be_offered)

    def states(self) -> dict[str, str]:
        """Return the state of each open requirement.

        ``overdue``: its day has passed. ``cannot_be_met``: the member's pace is too slow by now. ``within_days``: the
        member must begin within :data:`WARNING_DAYS` days. ``open``: all others, and blocked ones whatever their day,
        as lists do not ask for these.
        """
        return {
            each.requirement_id: "open" if each.requirement_id in self.blocked else state_of(each, self.today)
            for each in self.owed
        }


class _Inputs(NamedTuple):
    """All that the open requirements of a member depend on, its pace aside: members with the same share one result."""

    profile: tuple[str | None, ...]
    """Values of :data:`PROFILE`."""
    devices: frozenset[str]
    joined_on: date | None
    role_since: date | None
    waived: frozenset[str]
    finished: tuple[tuple[str, date], ...]
    """Required items, and the local day on which each was last finished."""
    today: date


class RequiredStudy:
    """Required study of an organisation at a moment.

    Parameters
    ----------
    settings : Settings
        ``timezone``, ``privacy.smallest_group`` and ``policy.required_margin``.
    draft : Requirement, optional
        One that counts beside the stored ones, in place of that of its id.
    """

    def __init__(
        self,
        session: Session,
        organisation_key: int,
        settings: Settings,
        *,
        now: datetime,
        draft: Requirement | None = None,
    ) -> None:
        self._session, self._organisation_key, self._now = session, organisation_key, now
        names = display_metadata.empty(session, organisation_key)
        if draft is not None:
            stored = (each for each in names.requirements if each.requirement_id != draft.requirement_id)
            names = replace(names, requirements=(*stored, draft))
        self._names = names
        self._names.read(session, organisation_key, ())
        self._timezone = self._names.timezone or settings.timezone
        self._min_group_size, self._margin = settings.privacy.smallest_group, settings.policy.required_margin
        self._cached_state = lru_cache(MAX_CACHED_STATES)(self._compute_state)
        self._today = lru_cache(None)(lambda zone: now.astimezone(zone).date())

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The requirements of the organisation."""
        return self._names.requirements

    @cached_property
    def paces(self) -> dict[str, float]:
        """The pace of each member: its own, or without one that of the finest group that is large enough."""
        query = select(items.c.item_id, items.c.duration_seconds).where(visible(self._organisation_key))
        seconds = {item_id: length or DEFAULT_SECONDS for item_id, length in self._session.execute(query)}
        paths = {row["member_id"]: self._paths(row) for row in self._members}
        paces = {row["member_id"]: self._own_pace(row, seconds) for row in self._members}
        own = {member_id: pace for member_id, pace in paces.items() if pace is not None}
        # No list of others depends on the study of who switched personalisation off.
        counted = (row["member_id"] for row in self._members if row["personalised"] is not False)
        groups = GroupPaces(
            ((paths[member_id], own[member_id]) for member_id in counted if member_id in own),
            min_group_size=self._min_group_size,
        )
        return {member_id: own.get(member_id) or groups.of(path) for member_id, path in paths.items()}

    def _own_pace(self, row: RowMapping, seconds: Mapping[str, float]) -> float | None:
        """Return a member's own pace by the durations of items; None where it has finished too few to tell."""
        now = (self._now - EPOCH) // MICROSECOND
        finished = [
            ((now - moment) // DAY_MICROSECONDS, seconds.get(item_id, DEFAULT_SECONDS))
            for item_id, moment in self._finished.get(row["member_id"], ())
        ]
        oldest = max((days for days, _ in finished), default=0)
        joined = row["joined_on"]
        tenure_days = oldest if joined is None else max((self._now - joined).days, oldest)
        return own_pace(finished, tenure_days + 1)

    def of_members(self) -> Iterator[MemberObligations]:
        """Yield the open requirements of each member for whom any requirement holds."""
        required = {*self._names.rules}
        for row in self._members:
            member_id, zone = row["member_id"], zone_of(row["timezone"], self._timezone)
            last = [(item_id, at) for item_id, at in self._finished.get(member_id, ()) if item_id in required]
            inputs = _Inputs(
                profile=tuple(row[name] for name in PROFILE),
                devices=self._devices.get(member_id, frozenset()).union(split_list(row["devices"])),
                joined_on=row["joined_on"] and row["joined_on"].date(),
                role_since=row["role_since"] and row["role_since"].date(),
                waived=self._waived.get(member_id, frozenset()),
                finished=tuple(days_of(last, zone).items()),
                today=self._today(zone),
            )
            if (state := self._cached_state(inputs)) is not None:
                pace, margin = self.paces[member_id], self._margin
                owed = with_slack(state.owed, state.items, state.today, pace_seconds=pace, margin=margin)
                yield replace(state, member_id=member_id, owed=owed)

    def _compute_state(self, member: _Inputs) -> MemberObligations | None:
        """Return the open requirements of members with these inputs, without their ids and without slack.

        None where no requirement holds for them.
        """
        finished, profile = dict(member.finished), dict(zip(PROFILE, member.profile, strict=True))
        recipient = Recipient(self._names.taxonomies, **profile, finished=finished.keys(), devices=member.devices)
        held = [requirement for requirement in self.requirements if requirement.holds_for(recipient.within)]
        if not held:
            return None
        items = required_items(self._names, recipient, self._now)
        record = StudyRecord(recipient.within, member.joined_on, member.role_since, finished, member.waived)
        owed = by_due_date(held, record, items, member.today)
        may_be_offered = partial(offered_now, names=self._names, recipient=recipient, now=self._now)
        blocked = frozenset(each.requirement_id for each in owed if not any(map(may_be_offered, each.steps)))
        # One whose items are all hidden or closed asks nothing of the member: that is not met, either.
        required = frozenset(each.requirement_id for each in held if any(map(items.is_open, each.items)))
        units = units_of(profile["units"] or "")
        required -= member.waived
        return MemberObligations("", units, required, blocked, member.today, owed, items, may_be_offered)

    @cached_property
    def _members(self) -> list[RowMapping]:
        columns = (members.c[name] for name in COLUMNS)
        query = select(*columns).where(members.c.organisation_key == self._organisation_key)
        return [*self._session.execute(query.order_by(members.c.member_id)).mappings()]

    @cached_property
    def _devices(self) -> Mapping[str, frozenset[str]]:
        return devices.used_by_member(self._session, self._organisation_key)

    @cached_property
    def _finished(self) -> Mapping[str, list[tuple[str, int]]]:
        return finished_by_member(self._session, self._organisation_key, before=self._now)

    @cached_property
    def _waived(self) -> Mapping[str, frozenset[str]]:
        columns = waivers.c.member_id, waivers.c.requirement_id
        query = select(*columns).where(waivers.c.organisation_key == self._organisation_key)
        by_member = bulk.values_by_key(self._session, query)
        return {member_id: frozenset(requirement_ids) for member_id, requirement_ids in by_member.items()}

    def _paths(self, row: RowMapping) -> Paths:
        role, industry = (path_of(self._names.taxonomies[kind], row[kind] or "") for kind in ("role", "industry"))
        return role, industry


@dataclass(frozen=True, slots=True)
class RunRequirements:
    """Required study as a run stores it.

    Attributes
    ----------
    required : dict
        Required entries of each member's list, as JSON.
    paces : dict
        Seconds of content a day, by member.
    n_entries : int
        Required entries on all lists.
    states : Counter
        Number of open requirements of members by :meth:`MemberObligations.states`.
    """

    required: dict[str, str]
    paces: dict[str, float]
    n_entries: int
    states: Counter[str]

    def check(self) -> dict[str, Any]:
        """Return the check that warns of required study (``passed`` is None then); it holds no run back."""
        late, soon = self.states["cannot_be_met"], self.states["within_days"]
        detail = (
            f"{late:,} open requirements can no longer be met at their members' pace, and {soon:,} only if begun "
            f"within {WARNING_DAYS} days; `xuelu coverage` and /v1/requirements/at-risk show where"
        )
        if late or soon:
            facts = {"late": late, "soon": soon, "days": WARNING_DAYS}
            return {"name": CHECK, "passed": None, "state": "at_risk", "detail": detail, "facts": facts}
        return {"name": CHECK, "passed": True, "state": "in_time", "detail": ""}


def of_run(session: Session, organisation_key: int, settings: Settings, *, now: datetime) -> RunRequirements | None:
    """Return what a run stores of required study; None where nothing is required."""
    study = RequiredStudy(session, organisation_key, settings, now=now)
    if not study.requirements:
        return None
    required: dict[str, str] = {}
    states: Counter[str] = Counter()
    n_entries = 0
    for member in study.of_members():
        entries = member.entries()
        if member.owed:
            required[member.member_id] = as_stored(entries)
        n_entries += len(entries.urgent) + len(entries.waiting)
        states.update(member.states().values())
    return RunRequirements(required, study.paces, n_entries, states)


def state_of(obligation: Obligation, today: date) -> str:
    """Return the state of an open requirement that is not blocked."""
    if obligation.due_on < today:
        return "overdue"
    if obligation.spare_days < 0:
        return "cannot_be_met"
    return "within_days" if obligation.slack_days < WARNING_DAYS else "open"
