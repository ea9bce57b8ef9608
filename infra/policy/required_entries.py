"""Entries of lists that requirements put there."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

import orjson

from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from recommender.policy.required import Obligation, next_steps


class ListRules(NamedTuple):
    """Settings that hold when a list is shown: the rules, and the zone of organisations without one."""

    policy: PolicySettings = PolicySettings()
    timezone: str = "UTC"


DEFAULT_RULES = ListRules()


def list_rules(settings: Settings) -> ListRules:
    """Return the settings that hold when a list is shown."""
    return ListRules(settings.policy, settings.timezone)


class RequiredEntries(NamedTuple):
    """Required entries of a list.

    Attributes
    ----------
    urgent : sequence
        Entries whose requirement cannot wait, as ``item_id, reason``.
    waiting : sequence
        Those of all others.
    owed : frozenset of str
        All items of open requirements: none of them stands on the list for another reason.
    """

    urgent: Sequence[dict[str, Any]] = ()
    waiting: Sequence[dict[str, Any]] = ()
    owed: frozenset[str] = frozenset()


NOTHING_REQUIRED = RequiredEntries()


def required_entries(owed: Sequence[Obligation], today: date, may_be_offered: Callable[[str], bool]) -> RequiredEntries:
    """Return the entries of a member's open requirements: for each the item to study next."""
    urgent: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for obligation, item_id in next_steps(owed, may_be_offered):
        entry = {"item_id": item_id, "reason": obligation.reason(item_id, today)}
        (urgent if obligation.cautious_slack_days <= 0 else waiting).append(entry)
    return RequiredEntries(urgent, waiting, frozenset(step for obligation in owed for step in obligation.steps))


def as_stored(entries: RequiredEntries) -> str:
    """Return entries as a run stores them with a list."""
    value = {"urgent": [*entries.urgent], "waiting": [*entries.waiting], "owed": sorted(entries.owed)}
    return orjson.dumps(value).decode()


def stored_entries(text: str) -> RequiredEntries:
    """Return the entries that a run stored with a list."""
    value = orjson.loads(text)
    return RequiredEntries(value["urgent"], value["waiting"], frozenset(value["owed"]))


def all_stored(text: str | None) -> list[dict[str, Any]]:
    """Return all entries that a run stored with a list."""
    entries = NOTHING_REQUIRED if text is None else stored_entries(text)
    return [*entries.urgent, *entries.waiting]
