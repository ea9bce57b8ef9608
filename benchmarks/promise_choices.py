"""Choices of simulated members and editors: what is saved, deleted, often shown, waived, pinned, boosted and banned."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from benchmarks.simulated import UNTIL
from content_catalog.schema import LIST_SEPARATOR, split_list
from infra.catalog import organisations
from infra.catalog.profiles import delete_topic
from infra.catalog.requirements import waive
from infra.db.core_tables import events, items, members
from infra.db.engine import transaction
from infra.db.policy_tables import DELETED_TOPIC, SAVED, curations, member_choices, requirements, waivers
from infra.policy import member_choices as choices
from infra.settings.settings import Settings
from recommender.policy.curations import ACTIONS

SAVERS, DELETERS, SHOWN, WAIVED = 4, 5, 3, 7
"""One member in so many saves items, deletes a topic, is shown items without a reaction, or has a waiver."""
CURATED_ITEMS: Final = 4
"""Items that editors pin, boost and ban, each: one of a role, all others of everybody."""
SAVED_ITEMS, SHOWN_ITEMS = 2, 30
MOMENT: Final = UNTIL - timedelta(minutes=1)


@dataclass(frozen=True)
class Choices:
    """Choices of a member: saved items, deleted topics, items shown since anything was done with them, and waivers."""

    saved: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    waived: frozenset[str] = frozenset()


NO_CHOICES: Final = Choices()


def choose(engine: Engine, settings: Settings) -> None:
    """Store choices and showings of members, the same for the same organisation."""
    rng = np.random.default_rng(5)
    times = settings.policy.fatigue_shown
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        own_items = select(items.c.item_id, items.c.topics, items.c.starts_at).where(items.c.organisation_key == key)
        rows = session.execute(own_items.order_by(items.c.item_id)).all()
        ids = [row.item_id for row in rows]
        topics = sorted({topic for row in rows for topic in split_list(row.topics)})
        names = session.scalars(
            select(members.c.member_id).where(members.c.organisation_key == key).order_by(members.c.member_id)
        ).all()
        required = session.scalars(select(requirements.c.requirement_id).where(requirements.c.organisation_key == key))
        waivable = sorted(required)
        shown = []
        for number, member_id in enumerate(names):
            if number % SAVERS == 0:
                for item_id in rng.choice(ids, SAVED_ITEMS, replace=False).tolist():
                    choices.save(session, key, member_id, item_id, now=MOMENT)
            if number % DELETERS == 0:
                delete_topic(session, key, member_id, str(rng.choice(topics)), now=MOMENT)
            if number % SHOWN == 0:
                shown += [
                    {"member_id": member_id, "item_id": item_id, "event_id": f"{member_id} {item_id} {time}"}
                    for item_id in rng.choice(ids, min(SHOWN_ITEMS, len(ids)), replace=False).tolist()
                    for time in range(times)
                ]
            if number % WAIVED == 0 and waivable:
                waive(session, key, member_id, waivable[number % len(waivable)], now=MOMENT, reason=None)
        session.execute(insert(events).values(organisation_key=key, verb="shown", occurred_at=MOMENT), shown)
        # There are few live sessions, and each is to be announced.
        curated = [row.item_id for row in rows if row.starts_at is None]
        _curate(session, key, rng.choice(curated, (len(ACTIONS), CURATED_ITEMS), replace=False).tolist())


def _curate(session: Session, organisation_key: int, items_of_actions: list[list[str]]) -> None:
    """Pin, boost and ban items: the first of each for members of one role, the others for all."""
    role = session.scalars(
        select(members.c.role).where(members.c.organisation_key == organisation_key).order_by(members.c.member_id)
    ).first()
    rows = [
        {"curation_id": f"{action} {whom}", "action": action, "items": LIST_SEPARATOR.join(of_whom), "target_roles": to}
        for action, item_ids in zip(ACTIONS, items_of_actions, strict=True)
        for whom, of_whom, to in (("some", item_ids[:1], role), ("all", item_ids[1:], None))
    ]
    ends_at = UNTIL + timedelta(days=1)
    session.execute(insert(curations).values(organisation_key=organisation_key, ends_at=ends_at), rows)


def choices_of(engine: Engine, settings: Settings) -> dict[str, Choices]:
    """Return the choices of each member that has any, read from the tables."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        chosen = session.execute(select(member_choices).where(member_choices.c.organisation_key == key)).all()
        own = events.c.organisation_key == key
        columns = select(events.c.member_id, events.c.item_id, events.c.verb, events.c.occurred_at).where(own)
        log = session.execute(columns.where(events.c.occurred_at >= MOMENT)).all()
        own = waivers.c.organisation_key == key
        waived = session.execute(select(waivers.c.member_id, waivers.c.requirement_id).where(own)).all()
    reacted = {(row.member_id, row.item_id) for row in log if row.verb != "shown"}
    by_member: dict[str, dict[str, set[str]]] = {}
    for row in chosen:
        field = {SAVED: "saved", DELETED_TOPIC: "deleted"}[row.kind]
        by_member.setdefault(row.member_id, {}).setdefault(field, set()).add(row.value)
    for row in log:
        if row.verb == "shown" and (row.member_id, row.item_id) not in reacted:
            by_member.setdefault(row.member_id, {}).setdefault("shown", set()).add(row.item_id)
    for row in waived:
        by_member.setdefault(row.member_id, {}).setdefault("waived", set()).add(row.requirement_id)
    return {
        name: Choices(**{field: frozenset(values) for field, values in of.items()}) for name, of in by_member.items()
    }
