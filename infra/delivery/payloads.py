"""Payloads of pushes: a member's list as it is shown at the moment of sending."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from sqlalchemy import RowMapping, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from content_catalog.errors import XueluError
from content_catalog.time_zones import zone_of
from features.scheduling.hours import open_minutes
from features.scheduling.push_windows import PushRules, quiet_until
from infra.db import bulk
from infra.db.core_tables import members
from infra.db.delivery_tables import deliveries
from infra.policy.required_entries import DEFAULT_RULES, ListRules
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.sections import DeliverySettings

TYPE = "push_list.ready"
NOTHING_LEFT = "nothing on the list is left to push"
NOT_WANTED = "the member switched pushes off"
NO_MEMBER = "the member does not exist any more"

log = structlog.get_logger()


def lists_to_push(
    session: Session, claims: Sequence[dict[str, Any]], *, n: int, now: datetime, rules: ListRules = DEFAULT_RULES
) -> dict[int, dict[str, Any] | str]:
    """Return for each claimed delivery, by its key, the list to push, or why there is none.

    Parameters
    ----------
    claims : sequence of dict
        Deliveries of one organisation: ``organisation_key, delivery_key, member_id, run_key``.
    n : int
        Most items of a list.
    """
    payloads: dict[int, dict[str, Any] | str] = {}
    by_run = defaultdict(list)
    for claim in claims:
        by_run[claim["run_key"]].append(claim)
    for run_key, of_run in by_run.items():
        run = runs.get(session, run_key)
        members = _members(session, run["organisation_key"], [claim["member_id"] for claim in of_run])
        wanting = {member_id: row for member_id, row in members.items() if row["pushes"] is not False}
        shown = _shown(session, run, wanting, ListRequest(n, now, rules=rules))
        for claim in of_run:
            member_id = claim["member_id"]
            if member_id not in wanting:
                payloads[claim["delivery_key"]] = NOT_WANTED if member_id in members else NO_MEMBER
                continue
            payload = shown.get(member_id, NOTHING_LEFT)
            payloads[claim["delivery_key"]] = payload if isinstance(payload, str) or payload["items"] else NOTHING_LEFT
    if rules.policy.fatigue_shown:
        _record_items(session, payloads)
    return payloads


def in_quiet_hours(
    session: Session, organisation_key: int, claims: Sequence[dict[str, Any]], rules: PushRules, *, now: datetime
) -> dict[int, datetime]:
    """Return when quiet hours end, by the key of each claimed delivery whose member is in its own now.

    Pushes are planned outside them, but members change their hours and their zone between plan and sending.
    """
    own = _members(session, organisation_key, [claim["member_id"] for claim in claims])
    ends = {}
    for claim in claims:
        if member := own.get(claim["member_id"]):
            zone = zone_of(member["timezone"], rules.timezone).key
            hours = rules.quiet_hours if member["quiet_hours"] is None else member["quiet_hours"]
            ends[claim["delivery_key"]] = quiet_until(zone, open_minutes(hours), now)
    return {key: end for key, end in ends.items() if end is not None}


def _record_items(session: Session, payloads: Mapping[int, dict[str, Any] | str]) -> None:
    """Store with deliveries the items of their lists: once delivered, each counts as shown."""
    rows = [
        {"key": key, "pushed": orjson.dumps([item["item_id"] for item in payload["items"]]).decode()}
        for key, payload in payloads.items()
        if not isinstance(payload, str)
    ]
    store = update(deliveries).where(deliveries.c.delivery_key == bindparam("key"))
    bulk.execute_many(session, store.values(item_ids=bindparam("pushed")), rows)


def _shown(
    session: Session, run: dict[str, Any], members: dict[str, RowMapping], request: ListRequest
) -> dict[str, dict[str, Any] | str]:
    """Return lists as they are shown; where one cannot be shown, why, and the others all the same."""
    try:
        key, run_key = run["organisation_key"], run["run_key"]
        return dict(push_lists.shown_many(session, key, list(members), request, run_key=run_key))
    except (SQLAlchemyError, XueluError):
        raise
    except Exception as error:
        if len(members) == 1:
            [member_id] = members
            log.exception("a list cannot be shown", run=run["run_id"])
            return {member_id: f"the list cannot be shown: {type(error).__name__} {error}"[:200]}
        each = ({member_id: row} for member_id, row in members.items())
        return {name: payload for member in each for name, payload in _shown(session, run, member, request).items()}


def _members(session: Session, organisation_key: int, member_ids: list[str]) -> dict[str, RowMapping]:
    columns = (members.c[name] for name in ("member_id", "pushes", "timezone", "quiet_hours"))
    chosen = (members.c.organisation_key == organisation_key) & members.c.member_id.in_(member_ids)
    return {row["member_id"]: row for row in session.execute(select(*columns).where(chosen)).mappings()}


def push_body(shown: dict[str, Any], settings: DeliverySettings) -> bytes:
    """Return a list as the body of a push; where that is too large, with a link in place of the items."""
    body = _dumped(shown, shown)
    if len(body) <= settings.max_body_bytes:
        return body
    link = f"{settings.public_url.rstrip('/')}/v1/members/{quote(shown['member_id'], safe='')}/push-list"
    return _dumped(shown, {name: value for name, value in shown.items() if name != "items"} | {"link": link})


def _dumped(shown: dict[str, Any], data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": TYPE, "timestamp": shown["made_at"], "data": data}, option=orjson.OPT_UTC_Z)
