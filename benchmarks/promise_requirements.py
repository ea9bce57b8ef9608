"""Promises of what an organisation asks for, read in plain terms: requirements that cannot wait, pins and bans."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil
from typing import Any, Final
from zoneinfo import ZoneInfo

from benchmarks.promise_facts import Facts, Member, is_meant
from content_catalog.schema import split_list

REQUIRED: Final = frozenset({"required", "overdue", "needed_for_required"})
OPEN_DAYS: Final = 60
"""Days of members who join after the due date of a requirement that has to be met once."""
UNKNOWN_SECONDS: Final = 600.0

Entry = dict[str, Any]


@dataclass(frozen=True)
class Owed:
    """An open requirement of a member: its due date, the items that are left in their order, and its slack in days."""

    requirement_id: str
    due_on: date
    steps: tuple[str, ...]
    slack_days: int = 0


def owed_by(facts: Facts, member: Member) -> dict[str, Owed]:
    """Return the open requirements of a member by id, with the slack at less than its pace."""
    due = sorted(filter(None, (_owed(facts, member, row) for row in facts.requirements)), key=lambda each: each.due_on)
    today, pace = _today(facts, member), member.pace_seconds * (1 - facts.policy.required_margin)
    slack: dict[str, int] = {}
    for each in due:
        before = {step for other in due if other.due_on <= each.due_on for step in other.steps}
        seconds = sum(facts.items[step]["duration_seconds"] or UNKNOWN_SECONDS for step in before)
        slack[each.requirement_id] = (each.due_on - today).days + 1 - ceil(seconds / pace)
    return {
        each.requirement_id: Owed(
            each.requirement_id,
            each.due_on,
            each.steps,
            min(slack[other.requirement_id] for other in due if other.due_on >= each.due_on),
        )
        for each in due
    }


def _owed(facts: Facts, member: Member, row: dict[str, Any]) -> Owed | None:
    if not is_meant(row, member) or row["requirement_id"] in member.choices.waived:
        return None
    wanted = [item_id for item_id in split_list(row["items"]) if facts.can_be_asked(item_id, member)]
    joined = max(filter(None, (member.joined_on, row["starts_on"])), default=date.min)
    if row["due_on"]:
        due_on = joined + timedelta(days=OPEN_DAYS) if joined > row["due_on"] else row["due_on"]
    else:
        due_on = joined + timedelta(days=int(row["days_after_joining"]))
    steps: list[str] = []
    for item_id in wanted:
        _add(steps, facts, member, item_id)
    return Owed(row["requirement_id"], due_on, tuple(steps)) if steps else None


def _add(steps: list[str], facts: Facts, member: Member, item_id: str) -> None:
    if item_id in steps or item_id in member.finished:
        return
    for needed in filter(facts.can_be_finished, sorted(split_list(facts.items[item_id]["prerequisites"]))):
        _add(steps, facts, member, needed)
    steps.append(item_id)


def _today(facts: Facts, member: Member) -> date:
    return facts.interactions.as_of.tz_convert(ZoneInfo(member.timezone)).date()


def _required(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry["reason"]["code"] in REQUIRED]


def only_own_requirements(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    """Return whether all required entries are steps of open requirements of the member's present profile."""
    owed = owed_by(facts, member)
    named = [(entry["item_id"], entry["reason"]["arguments"]["requirement_id"]) for entry in _required(entries)]
    return all(name in owed and item_id in owed[name].steps for item_id, name in named)


def what_cannot_wait_comes_first(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    """Return whether the next step of each requirement without slack is at the top, and slack grows from there on."""
    owed = owed_by(facts, member)
    urgent = {
        step
        for each in owed.values()
        if each.slack_days <= 0
        for step in [step for step in each.steps if facts.is_open(step, member)][:1]
    }
    named = [entry["reason"]["arguments"]["requirement_id"] for entry in _required(entries)]
    slack = [owed[name].slack_days for name in named if name in owed]
    return {entry["item_id"] for entry in entries[: len(urgent)]} == urgent and slack == sorted(slack)


def required_share(facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    """Return whether no beginning of a list has more than the share of required items, where nothing is urgent."""
    required = [entry["reason"]["code"] in REQUIRED for entry in entries]
    if not entries or required[0]:
        return True  # something is urgent
    last = max(rank for rank, is_required in enumerate(required) if not is_required)
    share = facts.policy.required_share
    return all(sum(required[:length]) <= share * length + 1e-9 for length in range(1, last + 2))


def pins_are_on_top(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    """Return whether pinned items stand before all but required ones, in their order and with their reason."""
    codes = {entry["item_id"]: entry["reason"]["code"] for entry in entries}
    ranked = [entry["item_id"] for entry in entries if entry["reason"]["code"] not in REQUIRED]
    top = [name for name in ranked if name not in member.without_weight]
    owed = {step for each in owed_by(facts, member).values() for step in each.steps}
    gone = owed | member.without_weight | (member.finished if member.personalised else set())
    as_offered = member if member.personalised else replace(member, cells={})
    pins = [name for name in facts.curated("pin", member) if name not in gone and facts.is_open(name, as_offered)]
    return top[: len(pins)] == pins and all(codes[name] == "pinned" for name in pins)


def nothing_banned(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    """Return whether no entry is banned for the member."""
    return {*facts.curated("ban", member)}.isdisjoint(entry["item_id"] for entry in entries)
