"""Push lists as they are shown: entries of the published run with titles, and reasons in words."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from infra import catalog, events, organisations, runs
from recommender.wording import Words, language_of


def shown(
    session: Session, organisation_key: int, member_id: str, *, n: int, now: datetime, language: str | None = None
) -> dict[str, Any]:
    """Return a member's push list from the published run.

    A member who came after the night gets what the night made for anyone. Left out are items hidden, removed or gone
    out of time since the night, and those that the member finished or dismissed since.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
    """
    member = catalog.member(session, organisation_key, member_id)
    run = runs.latest(session, organisation_key)
    made = runs.push_list(session, run, member_id) or runs.push_list(session, run, runs.ANYONE)
    entries = made["entries"] if made else []
    named = {entry["item_id"] for entry in entries}
    named |= {entry["reason"]["arguments"]["item_id"] for entry in entries if "item_id" in entry["reason"]["arguments"]}
    items = catalog.shown_items(session, organisation_key, sorted(named))
    settled = events.settled(session, organisation_key, member_id, [entry["item_id"] for entry in entries])
    offered = [
        entry for entry in entries if entry["item_id"] not in settled and _offered(items.get(entry["item_id"]), now)
    ][:n]
    spoken = language_of(language or member["language"])
    words = Words(
        spoken,
        titles={item_id: item["title"] for item_id, item in items.items()},
        taxonomies=organisations.taxonomies(session, organisation_key),
    )
    return {
        "member_id": member_id,
        "list_id": made["list_id"] if made else None,
        "run_id": run["run_id"],
        "made_at": run["made_at"],
        "path": made["path"] if made else "popular",
        "language": spoken,
        "items": [
            {
                "rank": rank,
                **_face(items[entry["item_id"]]),
                "reason": {**entry["reason"], "text": words.tell(entry["reason"])},
            }
            for rank, entry in enumerate(offered, 1)
        ],
    }


def similar(session: Session, organisation_key: int, item_id: str, *, n: int, now: datetime) -> dict[str, Any]:
    """Return the items most like one, from the published run.

    Raises
    ------
    UnknownItemError, NoPublishedRunError
    """
    catalog.check_item(session, organisation_key, item_id)
    run = runs.latest(session, organisation_key)
    found = runs.similar(session, run, item_id)
    items = catalog.shown_items(session, organisation_key, [entry["item_id"] for entry in found])
    offered = [entry for entry in found if _offered(items.get(entry["item_id"]), now)][:n]
    return {
        "item_id": item_id,
        "run_id": run["run_id"],
        "made_at": run["made_at"],
        "items": [
            {"rank": rank, **_face(items[entry["item_id"]]), "similarity": entry["similarity"], "basis": entry["basis"]}
            for rank, entry in enumerate(offered, 1)
        ],
    }


def _offered(item: dict[str, Any] | None, now: datetime) -> bool:
    if item is None or item["hidden"]:
        return False
    return (item["available_from"] or now) <= now < (item["available_until"] or datetime.max.replace(tzinfo=now.tzinfo))


def _face(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in ("item_id", "title", "format", "duration_seconds", "language", "url")}
