"""Facts of an organisation as promises of the policies see it: catalogue and members in plain terms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final

import pandas as pd
from sqlalchemy import Engine, select

from benchmarks.promise_choices import NO_CHOICES, Choices, choices_of
from benchmarks.simulated import UNTIL
from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.catalog import organisations
from infra.db.core_tables import lists
from infra.db.engine import transaction
from infra.db.policy_tables import curations, requirements
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from recommender.policy.required import DEFAULT_PACE_SECONDS

TARGETED: Final = ("roles", "industries", "units")
"""Targets of items, requirements and curations that the simulation sets."""


@dataclass(frozen=True)
class Facts:
    """An organisation as its promises see it, in plain terms.

    Attributes
    ----------
    interactions : Interactions
    taxonomies : dict
    requirements, curations : sequence of dict
        As they are stored.
    policy : PolicySettings
    length : int
        Items of a stored list.
    choices : dict
        Choices of members, by id.
    paces : dict
        Seconds of content that members finish in a day, by id.
    """

    interactions: Interactions
    taxonomies: dict[str, Taxonomy]
    requirements: Sequence[dict[str, Any]]
    curations: Sequence[dict[str, Any]]
    policy: PolicySettings
    length: int
    choices: dict[str, Choices] = field(default_factory=dict)
    paces: dict[str, float] = field(default_factory=dict)

    @cached_property
    def required(self) -> frozenset[str]:
        """The items of requirements."""
        return frozenset(item_id for row in self.requirements for item_id in split_list(row["items"]))

    @cached_property
    def items(self) -> dict[str, dict[str, Any]]:
        """The rows of the catalogue; None for missing values."""
        frame = self.interactions.items.astype(object)
        return {str(item_id): row for item_id, row in frame.where(frame.notna(), None).to_dict("index").items()}

    @cached_property
    def series(self) -> dict[str, list[str]]:
        """The items of each series in their order."""
        parts = sorted((row["series_position"], item_id) for item_id, row in self.items.items() if row["series"])
        by_series: dict[str, list[str]] = {}
        for _, item_id in parts:
            by_series.setdefault(self.items[item_id]["series"], []).append(item_id)
        return by_series

    def can_be_finished(self, item_id: str) -> bool:
        """Return whether an item is in the catalogue and open now or later."""
        item = self.items.get(item_id)
        return item is not None and not item["hidden"] and self._closes_after_now(item)

    def is_available(self, item_id: str) -> bool:
        """Return whether an item is open now."""
        item, now = self.items[item_id], self.interactions.as_of
        begins = [item[name] for name in ("published_at", "available_from") if item[name] is not None]
        return self.can_be_finished(item_id) and all(at <= now for at in begins)

    def _closes_after_now(self, item: dict[str, Any]) -> bool:
        ends = [item[name] for name in ("available_until", "ends_at") if item[name] is not None]
        return all(self.interactions.as_of < at for at in ends)

    def admits(self, item_id: str, member: "Member") -> bool:
        """Return whether a member is in the audience of an item."""
        item = self.items[item_id]
        if item["audience"] != "restricted":
            return True
        return any(item[f"target_{name}"] for name in TARGETED) and is_meant(item, member)

    def curated(self, action: str, member: "Member") -> list[str]:
        """Return the items that editors pin, boost or ban for a member."""
        rows = [row for row in self.curations if row["action"] == action and is_meant(row, member)]
        return [item_id for row in rows for item_id in split_list(row["items"])]

    def can_be_asked(self, item_id: str, member: "Member") -> bool:
        """Return whether a member may be offered an item now or later, prerequisites aside."""
        may = self.can_be_finished(item_id) and self.admits(item_id, member) and self.can_be_used(item_id, member)
        return may and item_id not in self.curated("ban", member)

    def is_open(self, item_id: str, member: "Member") -> bool:
        """Return whether a member may be offered an item."""
        needed = filter(self.can_be_finished, split_list(self.items[item_id]["prerequisites"]))
        return self.is_available(item_id) and self.can_be_asked(item_id, member) and member.finished >= {*needed}

    def can_be_used(self, item_id: str, member: "Member") -> bool:
        """Return whether an item needs no device, or one that a member registered or has used."""
        kind = self.items[item_id]["format"]
        used = {self.items[name]["format"] for name in member.cells} if member.personalised else set()
        return kind not in {"vr", "ar"} or kind in member.devices or kind in used


def is_meant(row: dict[str, Any], member: "Member") -> bool:
    """Return whether a member is within the targets of a row."""
    targets = [set(split_list(row[f"target_{name}"])) for name in TARGETED]
    return all(not target or target & within for target, within in zip(targets, member.within, strict=True))


@dataclass(frozen=True)
class Member:
    """A member: what it did, and where it belongs.

    Attributes
    ----------
    within : list of set
        Codes of roles and industries, and units, those above included.
    cells : dict
        Its interactions by item.
    choices : Choices
    devices : tuple of str
        Those that it registered.
    pace_seconds : float
        Seconds of content that it finishes in a day.
    """

    personalised: bool
    less_topics: frozenset[str]
    follows: tuple[str, ...]
    within: list[set[str]]
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    choices: Choices = NO_CHOICES
    devices: tuple[str, ...] = ()
    joined_on: date | None = None
    timezone: str = "UTC"
    pace_seconds: float = DEFAULT_PACE_SECONDS

    @property
    def without_weight(self) -> set[str]:
        """The items that it dismissed or disliked, and those of topics that it deleted."""
        return {item_id for item_id, cell in self.cells.items() if not cell["weight"]}

    @cached_property
    def finished(self) -> set[str]:
        """The items that it finished."""
        return {item_id for item_id, cell in self.cells.items() if cell["finished"]}


def members_of(facts: Facts) -> Iterator[tuple[str, Member]]:
    """Yield the members of an organisation."""
    cells = facts.interactions.cells
    names = facts.interactions.items.index[cells["item"]].tolist()
    by_member: dict[int, dict[str, dict[str, Any]]] = {}
    columns = ["finished", "weight", "progress", "study_seconds", "failures", "last_at"]
    for member, name, row in zip(cells["member"].tolist(), names, cells[columns].to_dict("records"), strict=True):
        by_member.setdefault(member, {})[name] = row
    frame = facts.interactions.members
    for number, (member_id, row) in enumerate(frame.to_dict("index").items()):
        if member_id:
            paths = [
                set(taxonomy.path(row[kind])) if isinstance(row[kind], str) and row[kind] in taxonomy else set()
                for kind, taxonomy in facts.taxonomies.items()
            ]
            units = {
                "/".join(parts[: end + 1])
                for parts in (unit.split("/") for unit in split_list(row["units"]))
                for end in range(len(parts))
            }
            yield (
                str(member_id),
                Member(
                    bool(facts.interactions.personalised[number]),
                    frozenset(split_list(row["less_topics"])),
                    split_list(row["follows"]),
                    [*paths, units],
                    by_member.get(number, {}),
                    facts.choices.get(str(member_id), NO_CHOICES),
                    split_list(row["devices"]),
                    None if pd.isna(row["joined_on"]) else row["joined_on"].date(),
                    row["timezone"],
                    facts.paces.get(str(member_id)) or DEFAULT_PACE_SECONDS,
                ),
            )


def facts_of(engine: Engine, settings: Settings) -> Facts:
    """Return the facts of the organisation of the settings."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        interactions = load_interactions(session, key, settings, as_of=UNTIL)
        required, curated = (
            [dict(row) for row in session.execute(select(table).where(table.c.organisation_key == key)).mappings()]
            for table in (requirements, curations)
        )
        taxonomies = organisations.taxonomies(session, key)
        own = lists.c.organisation_key == key
        listed = session.execute(select(lists.c.member_id, lists.c.pace_seconds).where(own)).all()
    return Facts(
        interactions,
        {kind: taxonomies[kind] for kind in ("role", "industry")},
        [row | {name: row[name] and row[name].date() for name in ("due_on", "starts_on")} for row in required],
        curated,
        settings.policy,
        settings.models.list_length,
        choices_of(engine, settings),
        {row.member_id: row.pace_seconds for row in listed},
    )
