"""Curated entries: what the pins, boosts and bans of editors are for one member, and as a run stores them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.audience import Codes
from content_catalog.requirements import within_of
from infra.catalog import organisations
from infra.db.core_tables import members
from infra.db.policy_tables import curations
from infra.runs.store import ANYONE
from recommender.policy.curations import BAN, Curation, boosts, curation_of, pinned


class Curated(NamedTuple):
    """Curations that hold for a member.

    Attributes
    ----------
    pinned : tuple of str
        Items on top of the list, in order.
    boosts : mapping
        Places that an item moves up.
    banned : frozenset of str
        Items that stand on no list.
    """

    pinned: tuple[str, ...] = ()
    boosts: Mapping[str, int] = {}
    banned: frozenset[str] = frozenset()


NOTHING_CURATED = Curated()


def of_organisation(session: Session, organisation_key: int) -> tuple[Curation, ...]:
    """Return the curations of an organisation, in order of their ids."""
    own = curations.c.organisation_key == organisation_key
    rows = session.execute(select(curations).where(own).order_by(curations.c.curation_id)).mappings()
    return tuple(curation_of(row) for row in rows)


def curated(curations: Iterable[Curation], within: Codes, now: datetime) -> Curated:
    """Return the curations that hold now for a member within these codes, units and regions."""
    holding = [each for each in curations if each.holds_for(within, now)]
    banned = frozenset(item_id for each in holding if each.action == BAN for item_id in each.items)
    return Curated(pinned(holding), boosts(holding), banned) if holding else NOTHING_CURATED


def stored_curated(text: str) -> Curated:
    """Return the curations that a run stored with a list."""
    value = orjson.loads(text)
    return Curated(tuple(value["pinned"]), value["boosts"], frozenset(value["banned"]))


def of_run(session: Session, organisation_key: int, *, now: datetime) -> dict[str, str]:
    """Return the curations that a run stores with each list as JSON, so that past lists show as they were."""
    rules = [each for each in of_organisation(session, organisation_key) if now < each.ends_at]
    if not rules:
        return {}
    taxonomies = organisations.taxonomies(session, organisation_key)

    @lru_cache(None)
    def text_of(role: str | None, industry: str | None, units: str | None, region: str | None) -> str | None:
        within = within_of(taxonomies, role=role, industry=industry, units=units, region=region)
        value = curated(rules, within, now)
        if value == NOTHING_CURATED:
            return None
        return orjson.dumps({**value._asdict(), "banned": sorted(value.banned)}).decode()

    columns = (members.c[name] for name in ("member_id", "role", "industry", "units", "region"))
    query = select(*columns).where(members.c.organisation_key == organisation_key)
    profiles = [*session.execute(query), (ANYONE, None, None, None, None)]
    texts = {member_id: text_of(*profile) for member_id, *profile in profiles}
    return {member_id: text for member_id, text in texts.items() if text is not None}
