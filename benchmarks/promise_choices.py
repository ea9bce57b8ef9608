"""Choices of simulated members: what they save, the topics that they delete, and items that they are often shown."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Engine, insert, select

from benchmarks.simulated import UNTIL
from content_catalog.schema import split_list
from infra.catalog import organisations
from infra.catalog.profiles import refuse_topic
from infra.db.core_tables import events, items, members
from infra.db.engine import transaction
from infra.db.policy_tables import REFUSED, SAVED, member_choices
from infra.policy import member_choices as choices
from infra.settings.settings import Settings

SAVERS, REFUSERS, SHOWN = 4, 5, 3
"""One member in so many saves items, deletes a topic, or is shown items without a reaction."""
SAVED_ITEMS, SHOWN_ITEMS = 2, 30
MOMENT: Final = UNTIL - timedelta(minutes=1)


@dataclass(frozen=True)
class Choices:
    """Choices of a member: saved items, deleted topics, and items that were shown since anything was done with them."""

    saved: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()


NO_CHOICES: Final = Choices()


def choose(engine: Engine, settings: Settings) -> None:
    """Store choices and showings of members, the same for the same organisation."""
    rng = np.random.default_rng(5)
    times = settings.policy.fatigue_shown
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        own_items = select(items.c.item_id, items.c.topics).where(items.c.organisation_key == key)
        rows = session.execute(own_items.order_by(items.c.item_id)).all()
        ids = [row.item_id for row in rows]
        topics = sorted({topic for row in rows for topic in split_list(row.topics)})
        names = session.scalars(
            select(members.c.member_id).where(members.c.organisation_key == key).order_by(members.c.member_id)
        ).all()
        shown = []
        for number, member_id in enumerate(names):
            if number % SAVERS == 0:
                for item_id in rng.choice(ids, SAVED_ITEMS, replace=False).tolist():
                    choices.save(session, key, member_id, item_id, now=MOMENT)
            if number % REFUSERS == 0:
                refuse_topic(session, key, member_id, str(rng.choice(topics)), now=MOMENT)
            if number % SHOWN == 0:
                shown += [
                    {"member_id": member_id, "item_id": item_id, "event_id": f"{member_id} {item_id} {time}"}
                    for item_id in rng.choice(ids, min(SHOWN_ITEMS, len(ids)), replace=False).tolist()
                    for time in range(times)
                ]
        session.execute(insert(events).values(organisation_key=key, verb="shown", occurred_at=MOMENT), shown)


def choices_of(engine: Engine, settings: Settings) -> dict[str, Choices]:
    """Return the choices of each member that has any, read from the tables."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        chosen = session.execute(select(member_choices).where(member_choices.c.organisation_key == key)).all()
        own = events.c.organisation_key == key
        columns = select(events.c.member_id, events.c.item_id, events.c.verb, events.c.occurred_at).where(own)
        log = session.execute(columns.where(events.c.occurred_at >= MOMENT)).all()
    reacted = {(row.member_id, row.item_id) for row in log if row.verb != "shown"}
    by_member: dict[str, dict[str, set[str]]] = {}
    for row in chosen:
        field = {SAVED: "saved", REFUSED: "refused"}[row.kind]
        by_member.setdefault(row.member_id, {}).setdefault(field, set()).add(row.value)
    for row in log:
        if row.verb == "shown" and (row.member_id, row.item_id) not in reacted:
            by_member.setdefault(row.member_id, {}).setdefault("shown", set()).add(row.item_id)
    return {
        name: Choices(**{field: frozenset(values) for field, values in of.items()}) for name, of in by_member.items()
    }
