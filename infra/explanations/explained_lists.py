"""Explained lists: a member's served or past list with each entry's breakdown, and the items that were left out.

Nothing of it is stored: the ranking is computed again by the models of the run, from the member's events and profile
that the list was made by.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import pandas as pd
from sqlalchemy.orm import Session

from features.interactions import Interactions
from infra.catalog import store as catalog
from infra.policy.curated_entries import stored_curated
from infra.policy.entry_texts import listed_items, split_entries
from infra.runs import store as runs
from infra.runs.store import ANYONE
from infra.serving import display_metadata, push_lists
from infra.serving.display_metadata import DisplayNames
from infra.serving.eligibility import OfferRules, Recipient, offer_rules
from infra.serving.list_json import ListRequest
from infra.serving.list_query import NON_PERSONAL, StoredList
from infra.serving.online_model import ModelSource, OnlineList, OnlineModel
from recommender.breakdown import Breakdown, breakdown
from recommender.content.devices import devices_of
from recommender.strategies import strategies

MAX_FILTERED: Final = 20
"""Most items left out that an explanation names."""


@dataclass(frozen=True)
class ServedList:
    """A member's list as it is shown, and all it was computed from.

    Attributes
    ----------
    shown : dict
        The list as apps get it.
    run : dict
        The run it is of.
    model : OnlineModel
        The models of the run.
    interactions : Interactions
        The member's, or those of :data:`infra.runs.store.ANYONE` where the list is the one for anyone.
    stored : StoredList
        The entries before items were left out, and what the member did since; for a past list what it did until then.
    now : datetime
        The moment at which items had to be available.
    until : datetime
        The moment before which events count.
    """

    shown: dict[str, Any]
    run: dict[str, Any]
    model: OnlineModel
    interactions: Interactions
    stored: StoredList
    now: datetime
    until: datetime

    @property
    def member_id(self) -> str:
        """The member whose inputs the list was computed from."""
        return str(self.interactions.members.index[0])


def listed(
    session: Session,
    models: ModelSource,
    organisation_key: int,
    member_id: str,
    request: ListRequest,
    day: date | None = None,
) -> ServedList:
    """Return a member's list as it is served now, or as it was on a day.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError, UnknownRunError, ModelsGoneError
    """
    if day is None:
        return served(session, models, organisation_key, member_id, request)
    return past(session, models, organisation_key, member_id, request, day)


def served(
    session: Session, models: ModelSource, organisation_key: int, member_id: str, request: ListRequest
) -> ServedList:
    """Return a member's list as the service answers it: the run's, or after new events the online one.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError, ModelsGoneError
    """
    stored = push_lists.read(session, organisation_key, member_id, request)
    run = runs.get(session, stored.run_key)
    model = models(session, run).of_member(member_id, personalised=stored.wants_personal)
    until = request.now
    stored, interactions = push_lists.newest(session, model, organisation_key, stored, now=until)
    if interactions is None:
        until = run["as_of"]
        interactions = _interactions(
            session, organisation_key, model, member_id, run, wants_personal=stored.wants_personal
        )
    names = display_metadata.current(session, organisation_key, sorted(stored.item_ids))
    return ServedList(push_lists.parsed(stored, names, request), run, model, interactions, stored, request.now, until)


def past(
    session: Session, models: ModelSource, organisation_key: int, member_id: str, request: ListRequest, day: date
) -> ServedList:
    """Return a member's list of the last run up to the end of a day (UTC), as it was shown then.

    Raises
    ------
    UnknownMemberError, UnknownRunError, ModelsGoneError
    """
    catalog.member(session, organisation_key, member_id)
    run = runs.of_day(session, organisation_key, day)
    stored, shown = push_lists.archived_list(session, run, member_id, n=request.n, language=request.language)
    own = runs.push_list(session, run, member_id) is not None
    model = models(session, run).of_member(member_id if own else ANYONE)
    interactions = _interactions(session, organisation_key, model, member_id if own else ANYONE, run)
    return ServedList(shown, run, model, interactions, stored, run["as_of"], run["as_of"])


def _interactions(
    session: Session,
    organisation_key: int,
    model: OnlineModel,
    member_id: str,
    run: dict[str, Any],
    *,
    wants_personal: bool = True,
) -> Interactions:
    """Return the interactions that a member's list of a run was computed from: ANYONE's where it has that list."""

    def at_the_run(name: str) -> Interactions:
        return model.interactions_with(session, organisation_key, model.profiles.loc[[name]], before=run["as_of"])

    if member_id not in model.profiles.index:
        return at_the_run(ANYONE)
    interactions = at_the_run(member_id)
    return interactions if wants_personal or strategies(interactions).iloc[0] == NON_PERSONAL else at_the_run(ANYONE)


def explained(session: Session, organisation_key: int, listed: ServedList, request: ListRequest) -> dict[str, Any]:
    """Return a list with ``breakdown`` for each item, and ``filtered``: the best items that were left out, and why.

    ``reproduced`` tells whether models and events still give the list; where events were voided or came late since, the
    breakdowns are those of today's events.
    """
    model = listed.model
    again: OnlineList = model.recommend(listed.interactions)
    parts = _breakdowns(listed)
    return {
        **listed.shown,
        "items": [{**item, "breakdown": parts(item["item_id"])} for item in listed.shown["items"]],
        "reproduced": listed_items(again.entries) == listed_items(listed.stored.entries),
        "filtered": _filtered(session, organisation_key, listed, request),
    }


def explained_item(
    session: Session, organisation_key: int, listed: ServedList, request: ListRequest, item_id: str
) -> dict[str, Any]:
    """Return why an item is on a list, or is not: ``member_id, item_id, title, rank, reason, cause, breakdown``.

    ``rank`` and ``reason`` are None where it is not on the list, ``cause`` where nothing keeps it off; ``breakdown`` is
    None where no model proposes it. That of an item that is kept off is as if every item might be on the list.

    Raises
    ------
    NotFoundError
    """
    catalog.check_item(session, organisation_key, item_id)
    names = display_metadata.current(session, organisation_key, [item_id])
    entry = next((item for item in listed.shown["items"] if item["item_id"] == item_id), None)
    cause = None if entry else LeftOut(listed, names, request).of(item_id)
    return {
        "member_id": listed.shown["member_id"],
        "item_id": item_id,
        "title": names.title_of(item_id),
        "rank": entry["rank"] if entry else None,
        "reason": entry["reason"] if entry else None,
        "cause": cause,
        "breakdown": _breakdowns(listed, unrestricted=cause is not None)(item_id),
    }


def _ranking(listed: ServedList, *, unrestricted: bool = False) -> Breakdown:
    pipeline, k = listed.model.pipeline, listed.model.length
    return breakdown(pipeline, listed.interactions, listed.member_id, k=k, unrestricted=unrestricted)


def _breakdowns(listed: ServedList, *, unrestricted: bool = False) -> Callable[[str], dict[str, Any] | None]:
    """Return a function from the id of an item to its breakdown, None for an item that is no candidate."""
    model, ranking = listed.model, _ranking(listed, unrestricted=unrestricted)
    place_of = {model.item_ids[item]: place for place, item in enumerate(ranking.item.tolist())}
    return lambda item_id: ranking.of_place(place_of[item_id]) if item_id in place_of else None


def _filtered(
    session: Session, organisation_key: int, listed: ServedList, request: ListRequest
) -> list[dict[str, Any]]:
    """Return the items that would be among the best of the list if every item might be on it, and why they are not."""
    model, shown = listed.model, {item["item_id"] for item in listed.shown["items"]}
    entries = frozenset(listed_items(listed.stored.entries))
    ranking = _ranking(listed, unrestricted=True)
    best = [model.item_ids[item] for item in ranking.item.tolist()]
    names = display_metadata.current(session, organisation_key, best)
    best_offered = {model.item_ids[item] for item in _ranking(listed).item[: len(shown)].tolist()}
    causes = LeftOut(listed, names, request)
    filtered: list[dict[str, Any]] = []
    n_shown = 0
    for rank, item_id in enumerate(best, 1):
        if n_shown >= request.n or len(filtered) == MAX_FILTERED:
            break
        if item_id in shown:
            n_shown += 1
        elif cause := causes.of(item_id) or ("policy" if item_id in best_offered - entries else None):
            filtered.append({"rank": rank, "item_id": item_id, "title": names.title_of(item_id), "cause": cause})
    return filtered


class LeftOut:
    """Causes for which items are left out of a list.

    Parameters
    ----------
    names : DisplayNames
        Of the items that will be asked for.
    """

    def __init__(self, listed: ServedList, names: DisplayNames, request: ListRequest) -> None:
        self._now, self._excluded = listed.now, request.exclude
        interactions = listed.interactions
        self._studied = frozenset(interactions.items.index[interactions.seen.indices])
        self._finished, self._dismissed = listed.stored.consumed
        entries, days = split_entries(listed.stored.entries), request.rules.policy.fatigue_days
        self._resting = listed.stored.resting_items(entries, listed.now, days)
        curated = listed.stored.past.curated
        self._banned = stored_curated(curated).banned if curated else frozenset[str]()
        if listed.stored.catalogue_version:
            self._rules: Mapping[str, OfferRules] = names.rules
            self._recipient = listed.stored.recipient(names.taxonomies, self._finished)
        else:
            self._rules = rules_of(listed.model.items, names.items)
            self._recipient = _recipient_of(listed)

    def of(self, item_id: str) -> str | None:
        """Return the cause for which an item is left out; None where it is ranked lower by itself."""
        if item_id in self._excluded:
            return "excluded"
        if item_id in self._banned:
            return "banned"
        if item_id in self._dismissed:
            return "dismissed"
        if item_id in self._studied or item_id in self._finished:
            return "studied"
        if item_id in self._resting:
            return "resting"
        rules = self._rules.get(item_id)
        return "not_available" if rules is None else self._recipient.obstacle(rules, self._rules, self._now)


def rules_of(items: pd.DataFrame, item_ids: Iterable[str]) -> dict[str, OfferRules]:
    """Return the conditions of items and of their prerequisites, by rows of a run's catalogue."""

    def read(names: Iterable[str]) -> dict[str, OfferRules]:
        rows = items.loc[items.index.intersection(list(names))].astype(object)
        rows = rows.where(rows.notna(), None)
        return {str(name): offer_rules(row) for name, row in zip(rows.index, rows.to_dict("records"), strict=True)}

    rules = read(item_ids)
    return read({name for rule in rules.values() for name in rule.prerequisites}) | rules


def _recipient_of(listed: ServedList) -> Recipient:
    """Return the recipient of a past list."""
    pipeline, interactions = listed.model.pipeline, listed.interactions
    profile = listed.model.profiles.loc[listed.member_id]
    finished = frozenset(interactions.items.index[interactions.finished.indices])
    taxonomies = {"role": pipeline.roles, "industry": pipeline.industries}
    own = {name: profile[name] for name in ("role", "industry", "units")}
    return Recipient(taxonomies, **own, finished=finished, devices=devices_of(interactions))
