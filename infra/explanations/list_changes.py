"""Causes of changes: why items came onto a member's list, left it or moved since an earlier list.

Where one input alone differs between the two lists, every change is put down to it. Where several differ, the list is
computed again by the earlier models with one more input at its present value at a time, and an item's change is put
down to the step that moved it most.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final, Literal

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.audience import available
from features.schema import SHOWN
from infra.catalog.profiles import PROFILE_COLUMNS
from infra.catalog.store import MOVED
from infra.db.core_tables import events
from infra.events.store import counting
from infra.explanations.explained_lists import LeftOut, ServedList, past, rules_of, served
from infra.policy.entry_texts import listed_items, split_entries
from infra.serving import display_metadata
from infra.serving.list_json import ListRequest
from infra.serving.online_model import ModelSource, OnlineModel
from recommender.policy.rows import ROWS
from recommender.policy.rules.exploration import TO_TRY
from recommender.role_changes import present_weight

Cause = Literal[
    "profile",
    "own_events",
    "catalogue",
    "requirements",
    "curations",
    "saves",
    "fatigue",
    "exploration",
    "settings",
    "model",
    "time",
]
"""Role or profile; the member's study; items and taxonomies; required study; pins and bans; what the member saved; what
rests; what chance tried; settings; other people's study; days that passed."""
Step = tuple[Cause, Sequence[str]]
"""An input that takes its present value at this step, and the items of the list after the step."""
ELIGIBILITY: Final = ("hidden", "available_from", "available_until")
"""Columns of items that say when they can be offered; the rest is what models learn from."""
CAUSE_OF_REASON: Final[Mapping[str, Cause]] = {
    **dict.fromkeys(ROWS["due"], "requirements"),
    "pinned": "curations",
    "saved": "saves",
    TO_TRY: "exploration",
}
"""The rule behind each reason of an entry that no other input put on the list."""
CAUSE_OF_LEFT_OUT: Final[Mapping[str, Cause]] = {"banned": "curations", "resting": "fatigue"}
"""The rule behind each cause for which rules leave an item out."""
OF_RULES: Final = frozenset({*CAUSE_OF_REASON.values(), *CAUSE_OF_LEFT_OUT.values()})
BY_ITSELF: Final = ("studied", "dismissed")
"""Causes of items left out by what the member did."""
MAX_PLACES: Final = 2
"""Items that moved by no more count as where they were."""


def changes(
    session: Session, organisation_key: int, then: ServedList, now: ServedList, request: ListRequest
) -> dict[str, Any]:
    """Return what differs between two lists of a member, each difference with its cause.

    ``changed`` holds the inputs that differ, ``changes`` the items that came, went, or moved more than two places.
    """
    inputs = _Inputs(session, organisation_key, then, now, request)
    of_rules = inputs.rules_of_items()
    changed = [*inputs.changed(), *sorted({*of_rules.values()})]
    causes: list[Cause] = [cause for cause in changed if cause not in OF_RULES] or changed[:1]
    return {
        "member_id": now.shown["member_id"],
        "before": _head(then),
        "after": _head(now),
        "changed": changed,
        "changes": [
            {"item_id": item_id, "title": inputs.names.title_of(item_id), **change}
            | ({"cause": of_rules[item_id]} if item_id in of_rules else {})
            for item_id, change in attributed(inputs.before, inputs.steps(causes))
        ],
    }


def changes_since(
    session: Session, models: ModelSource, organisation_key: int, member_id: str, request: ListRequest, since: date
) -> dict[str, Any]:
    """Return what differs between the list that a member is served and that of the last run up to a day.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError, UnknownRunError, ModelsGoneError
    """
    then = past(session, models, organisation_key, member_id, request, since)
    now = served(session, models, organisation_key, member_id, request)
    return changes(session, organisation_key, then, now, request)


def attributed(before: Sequence[str], steps: Sequence[Step]) -> list[tuple[str, dict[str, Any]]]:
    """Return the items that differ between a list and that of the last step, with ``change, before, after, cause``.

    Examples
    --------
    The member's own study takes ``a`` off the list; then others' study brings ``c``.

    >>> for item, change in attributed(["a", "b"], [("own_events", ["b"]), ("model", ["b", "c"])]):
    ...     print(item, change["change"], change["cause"])
    c came model
    a went own_events
    """
    stages = [before, *(items for _, items in steps)]
    below_all = max(map(len, stages)) + 1
    ranks = [{item: rank for rank, item in enumerate(items, 1)} for items in stages]
    differences = []
    for item in dict.fromkeys([*stages[-1], *before]):
        first, last = ranks[0].get(item), ranks[-1].get(item)
        if first is not None and last is not None and abs(last - first) <= MAX_PLACES:
            continue
        path = [ranks_of_stage.get(item, below_all) for ranks_of_stage in ranks]
        direction = 1 if path[-1] > path[0] else -1
        moves = [(end - start) * direction for start, end in pairwise(path)]
        change = "came" if first is None else "went" if last is None else "moved"
        cause = steps[moves.index(max(moves))][0]
        differences.append((item, {"change": change, "before": first, "after": last, "cause": cause}))
    return differences


class _Inputs:
    """Inputs of two lists of a member.

    Attributes
    ----------
    before, after : list of str
        Items of the earlier and the present list.
    names : DisplayNames
        Those of all these items.
    """

    def __init__(
        self, session: Session, organisation_key: int, then: ServedList, now: ServedList, request: ListRequest
    ) -> None:
        self._session, self._organisation_key = session, organisation_key
        self._then, self._now = then, now
        self.before, self.after = ([item["item_id"] for item in listed.shown["items"]] for listed in (then, now))
        self.names = display_metadata.current(session, organisation_key, sorted({*self.before, *self.after}))
        self._left_out = LeftOut(now, self.names, request)

    def changed(self) -> list[Cause]:
        """Return the inputs that differ."""
        differ: dict[Cause, bool] = {
            "profile": _profile(self._then) != _profile(self._now),
            "own_events": self._own_events(),
            "catalogue": self._catalogue() or self._edited_since_the_run(),
            "settings": self._then.run["settings_digest"] != self._now.run["settings_digest"],
            "model": self._others(),
        }
        return [cause for cause, differs in differ.items() if differs]

    def rules_of_items(self) -> dict[str, Cause]:
        """Return the items that rules or chance put on the list of now or took off it, with which of them.

        What the member finished or dismissed left by itself.
        """
        then, now = (
            {item["item_id"]: CAUSE_OF_REASON.get(item["reason"]["code"]) for item in listed.shown["items"]}
            for listed in (self._then, self._now)
        )
        causes: dict[str, Cause] = {}
        for item_id in dict.fromkeys([*self.after, *self.before]):
            left_out = self._left_out.of(item_id) if item_id not in now else None
            was, cause = then.get(item_id), now.get(item_id)
            if left_out is not None and left_out in CAUSE_OF_LEFT_OUT:
                causes[item_id] = CAUSE_OF_LEFT_OUT[left_out]
            elif cause != was and left_out not in BY_ITSELF and (named := cause or was):
                causes[item_id] = named
        return causes

    def steps(self, changed: list[Cause]) -> list[Step]:
        """Return the steps from the earlier list to the present one, each with one more input at its present value.

        The last step ends at the present list and needs no computation. New settings and the study of others come last,
        as one step: there are no models that learned from one of them without the other.
        """
        if "settings" in changed:
            changed = [cause for cause in changed if cause != "model"]
        *computed, last = changed or ["time"]
        n = max(len(self.before), len(self.after))
        items = self.before
        steps: list[Step] = []
        for number, cause in enumerate(computed, 1):
            of_catalogue = cause == "catalogue"
            items = self._with_catalogue_of_now(items) if of_catalogue else self._recomputed(computed[:number])
            steps.append((cause, items[:n]))
        return [*steps, (last, self.after)]

    def _own_events(self) -> bool:
        member_id = self._now.shown["member_id"]
        then = self._then.model.event_digests.get(member_id, "")
        return then != self._now.stored.event_digest or member_id in self._studied_between(
            self._then.until, self._now.until
        )

    def _others(self) -> bool:
        """Return whether anything of other members differs between the runs."""
        if self._then.run["run_key"] == self._now.run["run_key"]:
            return False
        own = self._now.shown["member_id"]

        def of_others(model: OnlineModel) -> tuple[dict[str, str], pd.DataFrame]:
            digests = {name: digest for name, digest in model.event_digests.items() if name != own}
            return digests, model.profiles.drop(index=own, errors="ignore")

        digests, profiles = of_others(self._then.model)
        digests_now, profiles_now = of_others(self._now.model)
        studied = self._studied_between(self._then.run["as_of"], self._now.run["as_of"]) - {own}
        return bool(studied) or digests != digests_now or not profiles.equals(profiles_now)

    def _studied_between(self, start: datetime, end: datetime) -> set[str]:
        start, end = sorted((start, end))
        within = (events.c.occurred_at >= start) & (events.c.occurred_at < end) & (events.c.verb != SHOWN)
        query = select(events.c.member_id).where(counting(self._organisation_key), within).distinct()
        return set(self._session.scalars(query))

    def _catalogue(self) -> bool:
        """Return whether items, their availability or taxonomies differ between the runs."""
        then, now = self._then.model, self._now.model
        learned = [name for name in then.items if name not in ELIGIBILITY]
        if not then.items[learned].equals(now.items[learned]):
            return True
        offered = [
            available(listed.model.items, pd.Timestamp(listed.run["as_of"])) for listed in (self._then, self._now)
        ]
        taxonomies = [(model.pipeline.roles.table, model.pipeline.industries.table) for model in (then, now)]
        return bool((offered[0] != offered[1]).any()) or not all(
            table.equals(current) for table, current in zip(*taxonomies, strict=True)
        )

    def _edited_since_the_run(self) -> bool:
        """Return whether an item of the lists may be offered under other conditions than at the run of now."""
        item_ids = {*self.before, *self.after}
        at_run = rules_of(self._now.model.items, item_ids)
        for item_id in item_ids:
            rules, current = at_run.get(item_id), self.names.rules.get(item_id)
            if rules is None or current is None or self._left_out.of(item_id) == "not_available":
                return True
            if (rules.targets, rules.prerequisites) != (current.targets, current.prerequisites):
                return True
        return False

    def _recomputed(self, present: Sequence[Cause]) -> list[str]:
        """Return the list by the earlier models, of the member's present profile and events where these are named."""
        model = self._then.model
        member = self._now if "profile" in present else self._then
        until = self._now.until if "own_events" in present else self._then.until
        profile = member.interactions.members[list(PROFILE_COLUMNS)]
        interactions = model.interactions_with(self._session, self._organisation_key, profile, before=until)
        entries = model.recommend(interactions).entries
        current = until == self._now.until
        left_out = self._now.stored.left_out(split_entries(entries)) if current else frozenset()
        return [item_id for item_id in listed_items(entries) if item_id not in left_out]

    def _with_catalogue_of_now(self, items: Sequence[str]) -> list[str]:
        """Return a list without items that may not be offered now, and with those that might not be then."""
        then = self._then.model.items
        offered = set(then.index[available(then, pd.Timestamp(self._then.run["as_of"]))])
        stay = [item_id for item_id in items if self._left_out.of(item_id) is None]
        for rank, item_id in enumerate(self.after):
            if item_id not in offered:
                stay.insert(rank, item_id)
        return stay


def _profile(listed: ServedList) -> list[Any]:
    row = listed.interactions.members[list(PROFILE_COLUMNS)].iloc[0]
    if (present_weight(listed.interactions, listed.model.pipeline.transition_days) == 1.0).all():
        row = row.drop([*MOVED])
    return [None if pd.isna(value) else value for value in row]


def _head(listed: ServedList) -> dict[str, Any]:
    return {"run_id": listed.run["run_id"], "as_of": listed.until, "generated_by": listed.shown["generated_by"]}
