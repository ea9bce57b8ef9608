"""Stored lists as the night left them, each found with one question of the database.

The same two queries serve a session (:func:`taken`) and the service's own connections (:mod:`infra.readers`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from infra import events, runs, stamps
from infra.catalog import NUL
from infra.errors import NoPublishedRunError, UnknownMemberError
from infra.tables import events as study
from infra.tables import list_entries, lists, members
from infra.tables import runs as nights

Entry = Mapping[str, Any]
"""Item and reason of one place of a list."""
Of = Literal["one", "many"]
_ORGANISATION = bindparam("organisation_key", None, type_=Integer)


@dataclass(slots=True)
class Taken:
    """What is stored for a member: the list of a run, and what the member is done with since."""

    member_id: str
    language: str | None
    personalised: bool | None
    stamp: int
    run_key: int
    run_id: str
    made_at: int
    list_id: str | None
    path: str | None
    entries: str | None
    settled: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Sequence[Any], settled: Iterable[str]) -> "Taken":
        """Return what a row of :func:`lists_of` and a member's items of :func:`settled_of` tell."""
        return cls(*row, frozenset(settled))  # type: ignore[call-arg]  # as long a row as there are columns

    @property
    def wanted(self) -> bool:
        """Whether the member wants lists of its own."""
        return self.personalised is None or bool(self.personalised)

    @property
    def places(self) -> list[Entry]:
        """The places of the list, best first."""
        return list(orjson.loads(self.entries)) if self.entries else []


def lists_of(of: Of) -> Select[Any]:
    """Return the query for the lists of one member or of many, in the columns of :class:`Taken`.

    It wants ``organisation_key``, and ``member`` or ``members``.
    """
    if of == "one":
        return _list_of(bindparam("member", None, type_=Text))
    # Each by itself: so PostgreSQL goes along the keys, whatever it thinks of tables that a night has just filled.
    asked = func.unnest(bindparam("members", None, type_=ARRAY(Text))).table_valued("member_id")
    ids = asked.render_derived(name="asked")
    found = _list_of(ids.c.member_id).limit(1).lateral("found")
    return select(found).select_from(ids.join(found, true()))


def _list_of(member_id: ColumnElement[str]) -> Select[Any]:
    stored = and_(
        lists.c.organisation_key == _ORGANISATION, lists.c.run_key == nights.c.run_key, lists.c.member_id == member_id
    )
    shared = and_(
        list_entries.c.organisation_key == _ORGANISATION,
        list_entries.c.content == lists.c.content,
    )
    return (
        select(
            members.c.member_id,
            members.c.language,
            members.c.personalised,
            stamps.total().label("stamp"),
            nights.c.run_key,
            nights.c.run_id,
            type_coerce(nights.c.made_at, BigInteger).label("made_at"),  # microseconds, as every driver reads it
            lists.c.list_id,
            lists.c.path,
            list_entries.c.entries,
        )
        .select_from(members)
        .outerjoin(nights, nights.c.run_key == runs.latest_key(_ORGANISATION))
        .outerjoin(lists, stored)
        .outerjoin(list_entries, shared)
        .where(members.c.organisation_key == _ORGANISATION, members.c.member_id == member_id)
    )


def settled_of(of: Of) -> Select[Any]:
    """Return the query for what one member or many are done with, as member and item."""
    return events.settling(_ORGANISATION, _wanted(study.c.member_id, of))


def _wanted(member_id: ColumnElement[str], of: Of) -> ColumnElement[bool]:
    if of == "one":
        return member_id == bindparam("member", None, type_=Text)
    return member_id == any_(bindparam("members", None, type_=ARRAY(Text)))


def taken(session: Session, organisation_key: int, member_id: str) -> Taken:
    """Return what is stored for a member.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
    """
    asked = {"organisation_key": organisation_key, "member": member_id}
    row = None if NUL in member_id else session.execute(lists_of("one"), asked).one_or_none()
    done = session.execute(settled_of("one"), asked) if row else ()
    return checked(Taken.of(row, (item_id for _, item_id in done)) if row else None, member_id)


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
