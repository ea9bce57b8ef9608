"""Push lists and similar items read in a session: for deliveries, the command line and lists of past runs."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.interactions import Interactions
from infra.catalog import store as catalog
from infra.db.core_tables import EPOCH, MICROSECOND
from infra.db.core_tables import runs as run_table
from infra.errors import ModelsGoneError, NoPublishedRunError
from infra.policy.curated_entries import stored_curated
from infra.policy.entry_texts import entry_by_rule, item_ids_of, text_of
from infra.policy.required_entries import all_stored
from infra.runs import list_contents
from infra.runs import store as runs
from infra.serving import display_metadata, list_query
from infra.serving.display_metadata import DisplayNames, offered_now
from infra.serving.eligibility import Recipient
from infra.serving.list_json import ListRequest, render
from infra.serving.list_query import NO_ACTIVITY, PastRules, StoredList
from infra.serving.online_model import ModelSource, OnlineModel


def shown(
    session: Session,
    organisation_key: int,
    member_id: str,
    request: ListRequest,
    models: ModelSource | None = None,
) -> dict[str, Any]:
    """Return a member's push list as the service answers it: with models computed again after new events.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
    """
    stored = read(session, organisation_key, member_id, request)
    if models is not None:
        with suppress(ModelsGoneError):  # the service shows the list of the night then
            model = models(session, runs.get(session, stored.run_key))
            stored, _ = newest(session, model, organisation_key, stored, now=request.now)
    names = display_metadata.current(session, organisation_key, sorted(stored.item_ids))
    return parsed(stored, names, request)


def read(session: Session, organisation_key: int, member_id: str, request: ListRequest) -> StoredList:
    """Return a member's list of the published run.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
    """
    times = request.rules.policy.fatigue_shown
    stored = list_query.read(session, organisation_key, [member_id], shown_times=times).get(member_id)
    return list_query.checked(stored, member_id)


def newest(
    session: Session, model: OnlineModel, organisation_key: int, stored: StoredList, *, now: datetime
) -> tuple[StoredList, Interactions | None]:
    """Return a list by all events until now, and the interactions it comes from; None where it stays the run's."""
    if not stored.wants_personal or not model.is_outdated(stored.member_id, stored.event_digest, stored.deleted_topics):
        return stored, None
    interactions = model.interactions(session, organisation_key, stored.member_id, now=now)
    online = model.recommend(interactions)
    return stored._replace(strategy=online.strategy, entries=online.entries, generated_by="online"), interactions


def shown_many(
    session: Session,
    organisation_key: int,
    member_ids: Sequence[str],
    request: ListRequest,
    *,
    run_key: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the lists of members by id, from a run or else from the published one; without unknown members.

    Raises
    ------
    NoPublishedRunError
    """
    stored = list_query.read(
        session, organisation_key, member_ids, run_key=run_key, shown_times=request.rules.policy.fatigue_shown
    )
    item_ids = {item_id for row in stored.values() for item_id in row.item_ids}
    names = display_metadata.current(session, organisation_key, sorted(item_ids))
    return {member_id: parsed(row, names, request) for member_id, row in stored.items()}


def archived(
    session: Session, organisation_key: int, member_id: str, *, n: int, day: date, language: str | None = None
) -> dict[str, Any]:
    """Return a member's push list of the last run up to the end of a day (UTC), as it was shown then.

    Later runs, edits of the catalogue and what the member did since make no difference.

    Raises
    ------
    UnknownMemberError
        The organisation has no such member any more.
    UnknownRunError
        No run of that time is stored.
    """
    catalog.member(session, organisation_key, member_id)
    run = runs.of_day(session, organisation_key, day)
    return archived_list(session, run, member_id, n=n, language=language)[1]


def archived_list(
    session: Session, run: dict[str, Any], member_id: str, *, n: int, language: str | None = None
) -> tuple[StoredList, dict[str, Any]]:
    """Return a member's list of a past run, as it is stored and as it was shown then."""
    row = runs.push_list(session, run, member_id) or runs.push_list(session, run, runs.ANYONE)
    of_now = ("personalised", "role", "industry", "units", "region", "less_topics", "list_id", "strategy", "entries")
    columns: dict[str, Any] = dict.fromkeys(of_now)
    stored = StoredList(
        member_id=member_id,
        language=row["language"] if row else None,
        **columns,
        catalogue_version=0,
        run_key=run["run_key"],
        run_id=run["run_id"],
        made_at=(run["made_at"] - EPOCH) // MICROSECOND,
        models_as_of=(runs.models_as_of(run) - EPOCH) // MICROSECOND,
        activity=NO_ACTIVITY,
        past=PastRules(*(row[name] for name in PastRules._fields)) if row else PastRules(),
    ).with_list(row)
    past = stored.past
    pinned = stored_curated(past.curated).pinned if past.curated else ()
    texts = map(text_of, [*all_stored(past.required), *(entry_by_rule(item_id, "pinned") for item_id in pinned)])
    names = display_metadata.as_of_run(session, run, sorted(stored.item_ids | item_ids_of(texts)))
    return stored, parsed(stored, names, ListRequest(n, run["made_at"], language))


def parsed(stored: StoredList, names: DisplayNames, request: ListRequest) -> dict[str, Any]:
    """Return a list as :func:`infra.serving.list_json.render` does, parsed."""
    shown: dict[str, Any] = orjson.loads(render(stored, names, request))
    return shown | {"made_at": EPOCH + stored.made_at * MICROSECOND}


def similar(
    session: Session,
    organisation_key: int,
    item_id: str,
    *,
    n: int,
    now: datetime,
    member_id: str | None = None,
) -> dict[str, Any]:
    """Return the items most similar to one, from the published run, that a member may be offered.

    Without a member they are those that may be offered to a member without role, industry, units and history.

    Raises
    ------
    NotFoundError, UnknownMemberError, NoPublishedRunError
    """
    catalog.check_item(session, organisation_key, item_id)
    run = runs.latest(session, organisation_key)
    entries = list_contents.similar(session, run, item_id)
    names = display_metadata.current(session, organisation_key, [entry["item_id"] for entry in entries])
    recipient = _recipient(session, organisation_key, member_id, names)
    offered = [entry for entry in entries if offered_now(entry["item_id"], names, recipient, now)][:n]
    return {
        "item_id": item_id,
        "run_id": run["run_id"],
        "made_at": run["made_at"],
        "items": [
            {
                "rank": rank,
                **(names.items[entry["item_id"]] or {}),
                "similarity": entry["similarity"],
                "basis": entry["basis"],
            }
            for rank, entry in enumerate(offered, 1)
        ],
    }


def _recipient(session: Session, organisation_key: int, member_id: str | None, names: DisplayNames) -> Recipient:
    if member_id is None:
        return Recipient(names.taxonomies)
    stored = list_query.checked(list_query.read(session, organisation_key, [member_id]).get(member_id), member_id)
    return stored.recipient(names.taxonomies, stored.consumed[0])


def check_published(session: Session) -> None:
    """Refuse to go on where no organisation has a published run.

    Raises
    ------
    NoPublishedRunError
    """
    published = select(run_table.c.run_key).where(run_table.c.status == "published").limit(1)
    if session.scalar(published) is None:
        raise NoPublishedRunError
