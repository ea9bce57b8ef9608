"""Push lists as they are shown: entries of the published run with titles, and reasons in words.

A list of a past night is shown as it was, with the titles and names of that night.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy.orm import Session

from content_catalog.taxonomy import Taxonomy
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.events import store as events
from infra.runs import snapshots
from infra.runs import store as runs
from recommender.explanations.reasons import Reason
from recommender.explanations.translations import Words, language_of

IMPERSONAL = "popular"
"""The strategy of lists that nothing of the member is part of."""


def shown(
    session: Session, organisation_key: int, member_id: str, *, n: int, now: datetime, language: str | None = None
) -> dict[str, Any]:
    """Return a member's push list from the published run.

    A member who came after the night gets what the night made for anyone. Left out are items hidden, removed or gone
    out of time since the night, and those that the member finished or dismissed since. A member who switched
    personalisation off since the night gets the list for anyone, too.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
    """
    member = catalog.member(session, organisation_key, member_id)
    run = runs.latest(session, organisation_key)
    made = made_for(session, run, {member_id: member["personalised"]})[member_id]
    made = made or runs.push_list(session, run, runs.ANYONE)
    wanted = {member_id: language or member["language"]}
    return shown_many(session, run, {member_id: made}, wanted, n=n, now=now)[member_id]


def made_for(
    session: Session, run: dict[str, Any], switches: Mapping[str, bool | None]
) -> dict[str, dict[str, Any] | None]:
    """Return the lists of a run for some members, given whether each wants them personalised (None: yes).

    A member who switched that off since the night gets the list for anyone. None where the run has no list.
    """
    found = runs.lists_for(session, run, list(switches))
    off = [one for one, made in found.items() if switches[one] is False and made["strategy"] != IMPERSONAL]
    anyone = runs.push_list(session, run, runs.ANYONE) if off else None
    return {member_id: anyone if member_id in off else found.get(member_id) for member_id in switches}


def shown_many(
    session: Session,
    run: dict[str, Any],
    made: Mapping[str, dict[str, Any] | None],
    languages: Mapping[str, str | None],
    *,
    n: int,
    now: datetime,
) -> dict[str, dict[str, Any]]:
    """Return lists of a run as they are shown, by member, each in the language that the member wants.

    Parameters
    ----------
    made : mapping
        Lists by member, as :func:`infra.runs.store.push_list` gives them; None where there is nothing.
    """
    entries = [entry for one in made.values() if one for entry in one["entries"]]
    items = catalog.display_items(session, run["organisation_key"], sorted(named(entries)))
    listed = {entry["item_id"] for entry in entries}
    gone = {item_id for item_id in listed if not offered(items.get(item_id), now)}
    settled = events.settled(session, run["organisation_key"], list(made), sorted(listed))
    taxonomies = organisations.taxonomies(session, run["organisation_key"])
    words = {one: _words(one, items, taxonomies) for one in {language_of(wanted) for wanted in languages.values()}}
    shown = {}
    for member_id, one in made.items():
        left = [
            entry
            for entry in (one["entries"] if one else ())
            if entry["item_id"] not in gone and (member_id, entry["item_id"]) not in settled
        ]
        spoken = language_of(languages[member_id])
        shown[member_id] = _list_shown(member_id, run, one, left[:n], spoken=spoken, words=words[spoken], items=items)
    return shown


def archived(
    session: Session, organisation_key: int, member_id: str, *, n: int, day: date, language: str | None = None
) -> dict[str, Any]:
    """Return a member's push list of the last night up to the end of a day (UTC), as it was shown then.

    Later nights, edits of the catalogue and what the member did since make no difference.

    Raises
    ------
    UnknownMemberError
        The organisation has no such member any more.
    UnknownRunError
        No run of that time is kept.
    """
    catalog.member(session, organisation_key, member_id)
    run = runs.of_moment(session, organisation_key, datetime.combine(day, time.max, tzinfo=UTC))
    made = runs.push_list(session, run, member_id) or runs.push_list(session, run, runs.ANYONE)
    entries = made["entries"] if made else []
    items = snapshots.items_as_of(session, run, sorted(named(entries)))
    spoken = language_of(language or (made["language"] if made else None))
    words = _words(spoken, items, snapshots.taxonomies_as_of(session, run))
    return _list_shown(member_id, run, made, entries[:n], spoken=spoken, words=words, items=items)


def named(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the ids of the items that entries hold or speak of."""
    causes = (entry["reason"]["arguments"].get("item_id") for entry in entries)
    return {entry["item_id"] for entry in entries} | {cause for cause in causes if cause is not None}


def _words(spoken: str, items: dict[str, dict[str, Any]], taxonomies: Mapping[str, Taxonomy]) -> Words:
    titles = {item_id: item["title"] for item_id, item in items.items()}
    return Words(spoken, titles=titles, taxonomies=taxonomies)


def _list_shown(
    member_id: str,
    run: dict[str, Any],
    made: dict[str, Any] | None,
    entries: list[dict[str, Any]],
    *,
    spoken: str,
    words: Words,
    items: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    list_id, strategy = (made["list_id"], made["strategy"]) if made else (None, IMPERSONAL)
    places = [place(items[entry["item_id"]], entry["reason"], words) for entry in entries]
    told = head(
        member_id, list_id=list_id, run_id=run["run_id"], made_at=run["made_at"], strategy=strategy, language=spoken
    )
    return {**told, "items": [{"rank": rank, **one} for rank, one in enumerate(places, 1)]}


def head(
    member_id: str,
    *,
    list_id: str | None,
    run_id: str,
    made_at: datetime,
    strategy: str,
    language: str,
    fresh: str = "nightly",
) -> dict[str, Any]:
    """Return what is told of a list beside its places."""
    return {
        "member_id": member_id,
        "list_id": list_id,
        "run_id": run_id,
        "made_at": made_at,
        "strategy": strategy,
        "fresh": fresh,
        "language": language,
    }


def place(item: Mapping[str, Any], reason: Reason | None, words: Words) -> dict[str, Any]:
    """Return what is told of an item on a list, but for its rank; without a reason where none is wanted."""
    face = _face(item)
    return face if reason is None else {**face, "reason": {**reason, "text": words.tell(reason)}}


def similar(session: Session, organisation_key: int, item_id: str, *, n: int, now: datetime) -> dict[str, Any]:
    """Return the items most like one, from the published run.

    Raises
    ------
    UnknownItemError, NoPublishedRunError
    """
    catalog.check_item(session, organisation_key, item_id)
    run = runs.latest(session, organisation_key)
    found = runs.similar(session, run, item_id)
    items = catalog.display_items(session, organisation_key, [entry["item_id"] for entry in found])
    left = [entry for entry in found if offered(items.get(entry["item_id"]), now)][:n]
    return {
        "item_id": item_id,
        "run_id": run["run_id"],
        "made_at": run["made_at"],
        "items": [
            {"rank": rank, **_face(items[entry["item_id"]]), "similarity": entry["similarity"], "basis": entry["basis"]}
            for rank, entry in enumerate(left, 1)
        ],
    }


def offered(item: Mapping[str, Any] | None, now: datetime) -> bool:
    """Return whether an item may be on lists at a moment: it is there, not hidden, and in time."""
    if item is None or item["hidden"]:
        return False
    begins, ends = item["available_from"], item["available_until"]
    return (begins is None or begins <= now) and (ends is None or now < ends)


def _face(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in snapshots.DISPLAY_COLUMNS}
