"""Stored lists as the night left them, each found with one question of the database.

The service asks it for many members at once, over its own connections (:mod:`infra.serving.batch_reader`).
"""

from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from infra.db import catalog_version
from infra.db.core_tables import events as study
from infra.db.core_tables import list_entries, lists, members
from infra.db.core_tables import runs as nights
from infra.errors import NoPublishedRunError, UnknownMemberError
from infra.events import store as events
from infra.runs import store as runs

OPENING, CLOSING = '[{"item_id":"', "}]"
"""How a list begins and ends that is as the night writes it."""
_ORGANISATION = bindparam("organisation_key", None, type_=Integer)


class Taken(NamedTuple):
    """What is stored for a member: the list of a run, and what the member is done with since."""

    member_id: str
    language: str | None
    personalised: bool | None
    catalogue_version: int
    run_key: int
    run_id: str
    made_at: int
    list_id: str | None
    strategy: str | None
    entries: str | None
    followed: str
    """What the member did, as JSON (:func:`infra.events.store.followed`)."""
    fresh: Literal["nightly", "folded-in"] = "nightly"
    """Whether the list is the night's, or was made anew from what came since."""

    @property
    def wanted(self) -> bool:
        """Whether the member wants lists of its own."""
        return self.personalised is None or bool(self.personalised)

    @property
    def places(self) -> list[str]:
        """The places of the list as JSON, best first; told apart without reading them, which would take far longer."""
        if not self.entries or self.entries == "[]":
            return []
        told = self.entries
        if not told.startswith(OPENING):
            told = orjson.dumps(orjson.loads(told)).decode()
        # Within a string every quote has a backslash before it, so this stands between places only.
        return told[len(OPENING) : -len(CLOSING)].split(CLOSING[0] + "," + OPENING[1:])

    @property
    def settled(self) -> frozenset[str]:
        """The items that the member is done with."""
        return frozenset(orjson.loads(self.followed)[2] or ())

    @property
    def trace(self) -> str:
        """What tells whether any of the member's events came or went."""
        number, total, _ = orjson.loads(self.followed)
        return events.trace_of(number, total)


def entry_of(place: str) -> dict[str, Any]:
    """Return item and reason of a place.

    >>> entry_of('i1","reason":{"code":"new","arguments":{}}')
    {'item_id': 'i1', 'reason': {'code': 'new', 'arguments': {}}}
    """
    entry: dict[str, Any] = orjson.loads(OPENING[1:] + place + CLOSING[0])
    return entry


def lists_of(dialect: str) -> Select[Any]:
    """Return the query for the lists of ``members`` of ``organisation_key``, in the columns of :class:`Taken`.

    The members are JSON where the dialect is ``sqlite``, else an array.
    """
    if dialect == "sqlite":
        ids = func.json_each(bindparam("members", None, type_=Text)).table_valued("value")
        return _list_of(members.c.member_id.in_(select(ids.c.value)), dialect)
    # Each by itself: so PostgreSQL goes along the keys, whatever it thinks of tables that a night has just filled.
    asked = func.unnest(bindparam("members", None, type_=ARRAY(Text))).table_valued("member_id")
    ids = asked.render_derived(name="asked")
    found = _list_of(members.c.member_id == ids.c.member_id, dialect).limit(1).lateral("found")
    return select(found).select_from(ids.join(found, true()))


def _list_of(wanted: ColumnElement[bool], dialect: str) -> Select[Any]:
    stored = and_(
        lists.c.organisation_key == _ORGANISATION,
        lists.c.run_key == nights.c.run_key,
        lists.c.member_id == members.c.member_id,
    )
    shared = and_(
        list_entries.c.organisation_key == _ORGANISATION,
        list_entries.c.entries_hash == lists.c.entries_hash,
    )
    mine = study.c.member_id == members.c.member_id
    followed = events.followed(_ORGANISATION, mine, dialect).scalar_subquery()
    return (
        select(
            members.c.member_id,
            members.c.language,
            members.c.personalised,
            catalog_version.total().label("catalogue_version"),
            nights.c.run_key,
            nights.c.run_id,
            type_coerce(nights.c.made_at, BigInteger).label("made_at"),  # microseconds, as every driver reads it
            lists.c.list_id,
            lists.c.strategy,
            list_entries.c.entries,
            followed.label("followed"),
        )
        .select_from(members)
        .outerjoin(nights, nights.c.run_key == runs.latest_key(_ORGANISATION))
        .outerjoin(lists, stored)
        .outerjoin(list_entries, shared)
        .where(members.c.organisation_key == _ORGANISATION, wanted)
    )


def checked(found: Taken | None, member_id: str) -> Taken:
    """Return what was found for a member.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
        Nothing was found, or the organisation has no published run.
    """
    if found is None:
        raise UnknownMemberError(f"no member {member_id!r}; ingest the member first, or check the id")
    if found.run_key is None:
        raise NoPublishedRunError("no lists have been published yet; run `xuelu nightly`")
    return found


def check_published(session: Session) -> None:
    """Do nothing where some organisation has a published run.

    Raises
    ------
    NoPublishedRunError
        None has.
    """
    if session.scalar(select(nights.c.run_key).where(nights.c.status == "published").limit(1)) is None:
        raise NoPublishedRunError("no lists have been published yet; run `xuelu nightly`")
