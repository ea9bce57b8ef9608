"""One query for stored lists: a member's list of a run, profile, and what the member did since.

The service runs it for many members at once over its own connections (:mod:`infra.serving.batch_reader`), everything
else in a session.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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
    cast,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from content_catalog.schema import LIST_SEPARATOR
from content_catalog.taxonomy import Taxonomy
from infra.catalog import store as catalog
from infra.db import catalog_version
from infra.db.core_tables import events as study
from infra.db.core_tables import list_entries, lists, members
from infra.db.core_tables import runs as run_table
from infra.errors import NoPublishedRunError
from infra.events import store as events
from infra.policy import devices, fatigue, member_choices, study_records
from infra.policy.entry_texts import entry_of, item_ids_of, split_entries
from infra.runs import store as runs
from infra.serving.eligibility import Recipient
from recommender.policy.rules.review import REVIEW

NON_PERSONAL = "popular"
"""The strategy of lists that nothing of the member is part of."""
BATCH_MEMBERS = 5_000
REVIEW_MARK = f'"reason":{{"code":"{REVIEW}"'
NO_ACTIVITY = "[0,null,[],[],[]]"
"""The ``activity`` of a member that did nothing."""
_ORGANISATION = bindparam("organisation_key", None, type_=Integer)
_RUN = bindparam("run_key", None, type_=Integer)
_SHOWN_TIMES = bindparam("shown_times", 0, type_=Integer)


class PastRules(NamedTuple):
    """Effects of rules on a list of a past run as that run stored them, as JSON; None where those of now hold."""

    required: str | None = None
    curated: str | None = None
    saved: str | None = None
    resting: str | None = None


class StoredList(NamedTuple):
    """A member's list of a run as it is stored, the member's profile, and what the member did since.

    The fields up to ``used_devices`` are the columns of the query, in its order.
    """

    member_id: str
    language: str | None
    personalised: bool | None
    role: str | None
    industry: str | None
    units: str | None
    region: str | None
    less_topics: str | None
    catalogue_version: int
    run_key: int
    run_id: str
    made_at: int
    """Microseconds since 1970, as the next one."""
    models_as_of: int
    """The moment of the models: what reasons say about time was true then."""
    list_id: str | None
    strategy: str | None
    entries: str | None
    """Entries as JSON; None where the run has no list for the member."""
    activity: str
    """The activity of the member as JSON (:func:`infra.events.store.activity_since`)."""
    study_record: str | None = None
    """See :func:`infra.policy.study_records.column`."""
    choices: str | None = None
    """See :func:`infra.policy.member_choices.column`."""
    showings: str | None = None
    """See :func:`infra.policy.fatigue.column`."""
    devices: str | None = None
    used_devices: str | None = None
    """See :func:`infra.policy.devices.column`."""
    past: PastRules = PastRules()
    generated_by: Literal["batch", "online"] = "batch"

    @property
    def wants_personal(self) -> bool:
        """Whether the member has not switched personalisation off."""
        return self.personalised is None or bool(self.personalised)

    @property
    def consumed(self) -> tuple[frozenset[str], frozenset[str]]:
        """The items that a personalised member has finished, and those that the member wants no more of."""
        activity = events.activity_of(self.activity)
        return frozenset(activity.finished if self.wants_personal else ()), frozenset(activity.dismissed)

    @property
    def finished(self) -> frozenset[str]:
        """The items that the member has finished."""
        return frozenset(events.activity_of(self.activity).finished)

    @property
    def saved_items(self) -> tuple[str, ...]:
        """The items that the member saved for later, the first saved first."""
        saved = self.past.saved
        return member_choices.saved_items(self.choices) if saved is None else tuple(orjson.loads(saved))

    @property
    def deleted_topics(self) -> str:
        """The topics that the member deleted from its interests, as a list in a text."""
        return LIST_SEPARATOR.join(member_choices.deleted_topics(self.choices))

    @property
    def item_ids(self) -> set[str]:
        """The ids of all items that the list may name."""
        return item_ids_of(split_entries(self.entries)).union(self.saved_items)

    def left_out(self, entries: Iterable[str]) -> frozenset[str]:
        """Return the items that the member finished or wants no more of.

        Exceptions are items that the entries let it review, unless it finished them since the run, and items that it
        saved after it dismissed them.
        """
        finished, dismissed = self.consumed
        if reviewed := _reviewed(entries):
            finished -= reviewed.difference(events.activity_of(self.activity).finished_since_run)
        return finished | dismissed.difference(self.saved_items)

    def resting_items(self, entries: Iterable[str], now: datetime, days: float) -> frozenset[str]:
        """Return the items that rest after several showings, except those that the entries let the member review."""
        if self.past.resting is not None:
            return frozenset(orjson.loads(self.past.resting))
        if not self.wants_personal or self.showings in {None, "[]"}:
            return frozenset()
        return fatigue.resting_items(self.showings, now, days) - _reviewed(entries)

    def recipient(self, taxonomies: Mapping[str, Taxonomy], finished: frozenset[str]) -> Recipient:
        """Return the recipient of the list."""
        return Recipient(
            taxonomies,
            role=self.role,
            industry=self.industry,
            units=self.units,
            region=self.region,
            finished=finished,
            devices=devices.of_member(self.devices, self.used_devices if self.wants_personal else None),
        )

    @property
    def event_digest(self) -> str:
        """A digest that changes where any of the member's events comes or goes."""
        return events.activity_of(self.activity).digest

    def with_list(self, row: dict[str, Any] | None) -> "StoredList":
        """Return this with another list of the run, such as the one for anyone; None: without a list."""
        if row is None:
            return self._replace(list_id=None, strategy=NON_PERSONAL, entries=None)
        entries = orjson.dumps(row["entries"]).decode()
        return self._replace(list_id=row["list_id"], strategy=row["strategy"], entries=entries)

    def with_list_of(self, other: "StoredList") -> "StoredList":
        """Return this with the list of another member."""
        return self._replace(
            list_id=other.list_id, strategy=other.strategy, entries=other.entries, generated_by=other.generated_by
        )


def _reviewed(entries: Iterable[str]) -> frozenset[str]:
    """Return the items that entries let their member review."""
    return frozenset(entry_of(text)["item_id"] for text in entries if REVIEW_MARK in text)


def stored_lists(dialect: str) -> Select[Any]:
    """Return the query for the lists of ``members`` of ``organisation_key``, in the columns of :class:`StoredList`.

    The lists are those of the run ``run_key``, of the published run where it is null. The members are JSON where the
    dialect is ``sqlite``, else an array.
    """
    if dialect == "sqlite":
        ids = func.json_each(bindparam("members", None, type_=Text)).table_valued("value")
        return _stored_list(members.c.member_id.in_(select(ids.c.value)), dialect)
    # A lateral join: so PostgreSQL uses the keys, whatever it estimates of tables that a run has just filled.
    wanted = func.unnest(bindparam("members", None, type_=ARRAY(Text))).table_valued("member_id")
    ids = wanted.render_derived(name="wanted")
    stored = _stored_list(members.c.member_id == ids.c.member_id, dialect).limit(1).lateral("stored")
    return select(stored).select_from(ids.join(stored, true()))


def _stored_list(wanted: ColumnElement[bool], dialect: str) -> Select[Any]:
    run_key = func.coalesce(cast(_RUN, Integer), runs.latest_key(_ORGANISATION))
    stored = and_(
        lists.c.organisation_key == _ORGANISATION,
        lists.c.run_key == run_table.c.run_key,
        lists.c.member_id == members.c.member_id,
    )
    shared = and_(
        list_entries.c.organisation_key == _ORGANISATION,
        list_entries.c.entries_hash == lists.c.entries_hash,
    )
    own = study.c.member_id == members.c.member_id
    activity = events.activity_since(_ORGANISATION, own, dialect, run_as_of=run_table.c.as_of)
    return (
        select(
            *(members.c[name] for name in StoredList._fields[: StoredList._fields.index("catalogue_version")]),
            catalog_version.total().label("catalogue_version"),
            run_table.c.run_key,
            run_table.c.run_id,
            type_coerce(run_table.c.made_at, BigInteger).label("made_at"),  # microseconds, as every driver reads it
            type_coerce(func.coalesce(run_table.c.models_as_of, run_table.c.as_of), BigInteger).label("models_as_of"),
            lists.c.list_id,
            lists.c.strategy,
            list_entries.c.entries,
            activity.correlate(members, run_table).scalar_subquery().label("activity"),
            study_records.column(_ORGANISATION, dialect).label("study_record"),
            member_choices.column(_ORGANISATION, dialect).label("choices"),
            fatigue.column(_ORGANISATION, _SHOWN_TIMES, dialect).label("showings"),
            members.c.devices,
            devices.column(_ORGANISATION, dialect).label("used_devices"),
        )
        .select_from(members)
        .outerjoin(run_table, run_table.c.run_key == run_key)
        .outerjoin(lists, stored)
        .outerjoin(list_entries, shared)
        .where(members.c.organisation_key == _ORGANISATION, wanted)
    )


def read(
    session: Session,
    organisation_key: int,
    member_ids: Sequence[str],
    *,
    run_key: int | None = None,
    shown_times: int = 0,
) -> dict[str, StoredList]:
    """Return the lists of some members by id, of a run or else of the published one.

    ``shown_times`` is the setting ``policy.fatigue_shown``.

    A member who came after the run, or who switched personalisation off since, gets the list for anyone. Members that
    the organisation does not have are left out.

    Raises
    ------
    NoPublishedRunError
    """
    dialect = session.get_bind().dialect.name
    stored_by_id: dict[str, StoredList] = {}
    for start in range(0, len(member_ids), BATCH_MEMBERS):
        batch = [member_id for member_id in member_ids[start : start + BATCH_MEMBERS] if catalog.NUL not in member_id]
        wanted = orjson.dumps(batch).decode() if dialect == "sqlite" else batch
        key = {"organisation_key": organisation_key, "run_key": run_key}
        rows = session.execute(stored_lists(dialect), {**key, "members": wanted, "shown_times": shown_times})
        stored_by_id |= {row[0]: checked(StoredList(*row), row[0]) for row in rows}
    if any(needs_general(stored) for stored in stored_by_id.values()):
        first = next(iter(stored_by_id.values()))
        run = {"organisation_key": organisation_key, "run_key": first.run_key}
        general = first.with_list(runs.push_list(session, run, runs.ANYONE))
        stored_by_id = {
            member_id: stored.with_list_of(general) if needs_general(stored) else stored
            for member_id, stored in stored_by_id.items()
        }
    return stored_by_id


def needs_general(stored: StoredList) -> bool:
    """Return whether a member gets the list for anyone."""
    return stored.entries is None or (not stored.wants_personal and stored.strategy != NON_PERSONAL)


def checked(stored: StoredList | None, member_id: str) -> StoredList:
    """Return a stored list.

    Raises
    ------
    UnknownMemberError, NoPublishedRunError
        The organisation has no such member, or no published run.
    """
    if stored is None:
        raise catalog.unknown_member(member_id)
    if stored.run_key is None:
        raise NoPublishedRunError
    return stored
