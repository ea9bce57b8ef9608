"""What is pushed: a member's list of a run as it is shown at the moment of sending."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import RowMapping, select
from sqlalchemy.orm import Session

from infra.db.core_tables import members
from infra.runs import store as runs
from infra.serving import push_lists
from infra.settings.sections import DeliverySettings

TYPE = "push_list.ready"
NOTHING_LEFT = "nothing on the list is left to push"
NOT_WANTED = "the member switched pushes off"
NO_MEMBER = "the member is no longer known"


def lists_to_push(
    session: Session, claimed: Sequence[dict[str, Any]], *, n: int, now: datetime
) -> dict[int, dict[str, Any] | str]:
    """Return for each claimed delivery, by its key, the list to push, or why there is none.

    Parameters
    ----------
    claimed : sequence of dict
        Deliveries of one organisation: ``organisation_key, delivery_key, member_id, run_key``.
    n : int
        Most items of a list.
    """
    found: dict[int, dict[str, Any] | str] = {}
    by_run = defaultdict(list)
    for one in claimed:
        by_run[one["run_key"]].append(one)
    for run_key, of_run in by_run.items():
        run = runs.get(session, run_key)
        wishes = _wishes(session, run["organisation_key"], [one["member_id"] for one in of_run])
        wanting = {one: wish["language"] for one, wish in wishes.items() if wish["pushes"] is not False}
        lists = push_lists.made_for(session, run, {one: wishes[one]["personalised"] for one in wanting})
        shown = push_lists.shown_many(session, run, lists, wanting, n=n, now=now)
        for one in of_run:
            member_id = one["member_id"]
            made = shown.get(member_id)
            if made and made["items"]:
                found[one["delivery_key"]] = made
            else:
                kept = NOTHING_LEFT if member_id in wanting else NOT_WANTED
                found[one["delivery_key"]] = kept if member_id in wishes else NO_MEMBER
    return found


def _wishes(session: Session, organisation_key: int, member_ids: list[str]) -> dict[str, RowMapping]:
    columns = (members.c[name] for name in ("member_id", "pushes", "personalised", "language"))
    mine = (members.c.organisation_key == organisation_key) & members.c.member_id.in_(member_ids)
    return {row["member_id"]: row for row in session.execute(select(*columns).where(mine)).mappings()}


def body_of(shown: dict[str, Any], settings: DeliverySettings) -> bytes:
    """Return a list as the body of a push; where that is too large, with a link in place of the items."""
    body = _dumped(shown, shown)
    if len(body) <= settings.max_body_bytes:
        return body
    link = f"{settings.public_url.rstrip('/')}/v1/members/{quote(shown['member_id'], safe='')}/push-list"
    return _dumped(shown, {name: value for name, value in shown.items() if name != "items"} | {"link": link})


def _dumped(shown: dict[str, Any], data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": TYPE, "timestamp": shown["made_at"], "data": data}, option=orjson.OPT_UTC_Z)
