"""Rows in bulk: what goes into a table comes out of it, on both databases alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db import bulk
from infra.db.core_tables import EPOCH, events, items, members
from infra.db.engine import transaction

A = datetime(2026, 3, 1, 8, 30, 0, 123_456, tzinfo=UTC)
LAST_MOMENT = timedelta(days=230 * 365, microseconds=999_999)
TEXTS = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40
)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
INSTANTS = st.none() | st.builds(
    lambda microseconds: EPOCH + timedelta(microseconds=microseconds),
    st.integers(0, LAST_MOMENT // timedelta(microseconds=1)),
)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, INSTANTS, st.none() | st.booleans()), min_size=1, max_size=5)
SAME_DATABASE = examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def key(engine: Engine, now: datetime) -> int:
    """Return the key of an organisation."""
    with transaction(engine) as session:
        return organisations.ensure(session, "couriers", now=now)


def frame_of(rows: list[tuple[Any, Any, Any, Any]], key: int) -> pd.DataFrame:
    """Return items as a checked chunk holds them."""
    titles, durations, instants, flags = (list(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "organisation_key": key,
            "item_id": [f"i{number}" for number in range(len(rows))],
            "title": pd.Series(titles, dtype="str"),
            "duration_seconds": pd.Series(durations, dtype="float64"),
            "published_at": pd.Series(instants, dtype="datetime64[us, UTC]"),
            "hidden": pd.Series(flags, dtype="boolean"),
        }
    )


@SAME_DATABASE
@given(rows=ROWS)
def test_texts_numbers_instants_and_flags_come_back_as_they_were(
    engine: Engine, key: int, rows: list[tuple[Any, Any, Any, Any]]
) -> None:
    columns = (items.c.title, items.c.duration_seconds, items.c.published_at, items.c.hidden)
    with transaction(engine) as session:
        session.execute(delete(items))
        assert bulk.insert_new(session, items, frame_of(rows, key)) == len(rows)
        stored = session.execute(select(*columns).order_by(items.c.item_id)).all()
    assert [tuple(row) for row in stored] == rows


@SAME_DATABASE
@given(rows=ROWS)
def test_frames_read_back_hold_what_was_written_with_instants_as_microseconds(
    engine: Engine, key: int, rows: list[tuple[Any, Any, Any, Any]]
) -> None:
    with transaction(engine) as session:
        session.execute(delete(items))
        bulk.insert_new(session, items, frame_of(rows, key))
        query = select(*bulk.raw_columns(items, ["title", "duration_seconds", "published_at"])).order_by(
            items.c.item_id
        )
        [read] = list(bulk.read_frames(session, query))
    instants = [None if row[2] is None else (row[2] - EPOCH) // timedelta(microseconds=1) for row in rows]
    assert list(read) == ["title", "duration_seconds", "published_at"]
    assert [None if pd.isna(title) else title for title in read["title"]] == [row[0] for row in rows]
    assert [None if pd.isna(seconds) else seconds for seconds in read["duration_seconds"]] == [row[1] for row in rows]
    assert [None if pd.isna(instant) else int(instant) for instant in read["published_at"]] == instants


def people(key: int, **columns: list[str | None]) -> pd.DataFrame:
    """Return members with these columns."""
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()}).assign(
        organisation_key=key
    )


def stored_people(session: Session) -> list[tuple[Any, ...]]:
    """Return id, role and region of all members."""
    query = select(members.c.member_id, members.c.role, members.c.region).order_by(members.c.member_id)
    return [tuple(row) for row in session.execute(query)]


def test_insert_leaves_rows_that_are_there_as_they_are(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        assert bulk.insert_new(session, members, people(key, member_id=["a", "b"], role=["8", "9"])) == 2
        assert bulk.insert_new(session, members, people(key, member_id=["b", "c"], role=["1", "2"])) == 1
        assert stored_people(session) == [("a", "8", None), ("b", "9", None), ("c", "2", None)]


def test_upsert_replaces_the_columns_of_the_frame_and_no_others(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        bulk.insert_new(session, members, people(key, member_id=["a", "b"], role=["8", "9"], region=["N", "S"]))
        assert bulk.upsert(session, members, people(key, member_id=["b", "c"], role=["1", None])) == 2
        assert stored_people(session) == [("a", "8", "N"), ("b", "1", "S"), ("c", None, None)]


def test_upsert_of_keys_alone_adds_rows_and_changes_none(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        bulk.insert_new(session, members, people(key, member_id=["a"], role=["8"]))
        assert bulk.upsert(session, members, people(key, member_id=["a", "b"])) == 1
        assert stored_people(session) == [("a", "8", None), ("b", None, None)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_rows_are_written_in_the_order_of_their_keys(engine: Engine, key: int) -> None:
    """Two bodies with the same rows in opposite orders ended in a deadlock, and one of them in 503."""
    with transaction(engine) as session:
        bulk.upsert(session, members, people(key, member_id=["c", "a", "b"], role=["1", "2", "3"]))
        assert session.scalars(text("SELECT member_id FROM members ORDER BY ctid")).all() == ["a", "b", "c"]


def test_nothing_to_write_writes_nothing(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        assert bulk.insert_new(session, members, people(key, member_id=[])) == 0
        assert bulk.upsert(session, members, people(key, member_id=[], role=[])) == 0
        assert list(bulk.read_frames(session, select(members.c.member_id))) == []


def test_several_writes_to_one_table_fit_into_one_transaction(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        written = [
            bulk.insert_new(session, members, people(key, member_id=[f"{part}{number}" for number in range(3)]))
            for part in "abc"
        ]
        assert written == [3, 3, 3]
        assert len(stored_people(session)) == 9


def test_rows_written_in_bulk_are_gone_with_a_transaction_that_fails(engine: Engine, key: int) -> None:
    def fail(session: Session) -> None:
        bulk.insert_new(session, members, people(key, member_id=["a"]))
        raise LookupError("on the way")

    with pytest.raises(LookupError, match="on the way"), transaction(engine) as session:
        fail(session)
    with transaction(engine) as session:
        assert stored_people(session) == []


def test_reading_comes_in_frames_of_bounded_size_and_loses_no_row(engine: Engine, key: int) -> None:
    number = bulk.FETCH_ROWS + 7
    ids = pd.Series(range(number)).astype("str")
    frame = pd.DataFrame({"event_id": ids, "organisation_key": key, "verb": "viewed", "member_id": "m", "item_id": "i"})
    frame["occurred_at"] = pd.Series(A, index=frame.index, dtype="datetime64[us, UTC]")
    with transaction(engine) as session:
        assert bulk.insert_new(session, events, frame) == number
        parts = [part["event_id"] for part in bulk.read_frames(session, select(events.c.event_id))]
    assert [len(part) for part in parts] == [bulk.FETCH_ROWS, 7]
    assert pd.concat(parts).nunique() == number


def test_both_databases_hold_the_same_after_the_same_writes(
    sqlite_url: str, postgresql_url: str, open_engine: Callable[[str], Engine], now: datetime
) -> None:
    rows: list[Any] = [
        ("快递员的安全", 0.1 + 0.2, A, True),
        (None, None, None, None),
        ('a\tb\\N\n"c"', -0.0, EPOCH, False),
    ]
    held = []
    for url in (sqlite_url, postgresql_url):
        with transaction(open_engine(url)) as session:
            key = organisations.ensure(session, "couriers", now=now)
            bulk.upsert(session, items, frame_of(rows, key))
            held.append([tuple(row) for row in session.execute(select(items).order_by(items.c.item_id))])
    assert held[0] == held[1]


@SAME_DATABASE
@given(n=st.integers(1, 2 * bulk.STATEMENT_ROWS + 20), seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_few_rows_tell_which_of_them_are_new(engine: Engine, key: int, n: int, seed: int, share: float) -> None:
    ids = [f"{number:04d}" for number in range(n)]
    there = set(np.array(ids)[np.random.default_rng(seed).random(n) < share].tolist())

    def insert(session: Session, wanted: list[str]) -> set[str]:
        columns = {"organisation_key": [key] * len(wanted), "event_id": wanted, "verb": ["viewed"] * len(wanted)}
        columns["occurred_at"] = [0] * len(wanted)
        return bulk.insert_few(session, events, columns, key="event_id")

    with transaction(engine) as session:
        session.execute(delete(events))
        assert insert(session, sorted(there)) == there
        assert insert(session, ids) == set(ids) - there
        assert set(session.scalars(select(events.c.event_id))) == set(ids)
