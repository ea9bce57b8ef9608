"""Events in batches: stored once, each with what became of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from infra.catalog import organisations
from infra.db.core_tables import events as table
from infra.db.core_tables import items, members
from infra.db.engine import transaction
from infra.errors import EventConflictError, EventsRefusedError
from infra.events import http_batches
from tests.together import together


@pytest.fixture
def key(engine: Engine, now: datetime) -> int:
    """Return the key of an organisation with one member and one item."""
    with transaction(engine) as session:
        organisation_key = organisations.ensure(session, "default", now=now)
        for table_of, name, value in ((members, "member_id", "m1"), (items, "item_id", "i1")):
            session.execute(insert(table_of).values(organisation_key=organisation_key, **{name: value}))
        return organisation_key


def event(event_id: str | None = "e1", **changes: Any) -> dict[str, Any]:
    """Return a good event."""
    good = {"member_id": "m1", "item_id": "i1", "verb": "progressed", "occurred_at": "2026-02-01T08:00:00Z"}
    return {"event_id": event_id, **good, "progress": 0.3, **changes}


def post(engine: Engine, key: int, *batch: object, partial: bool = False) -> list[dict[str, Any]]:
    """Post a batch in a transaction of its own."""
    with transaction(engine) as session:
        return http_batches.post(session, key, http_batches.checked(batch, partial=partial))


def stored(engine: Engine) -> list[str]:
    """Return the ids of all events."""
    with transaction(engine) as session:
        return list(session.scalars(select(table.c.event_id).order_by(table.c.event_id)))


def test_results_come_in_the_order_of_the_events(engine: Engine, key: int) -> None:
    batch = [event("e3"), event("e1"), event("e2"), event("e1")]
    assert post(engine, key, *batch) == [
        {"event_id": "e3", "status": "stored"},
        {"event_id": "e1", "status": "stored"},
        {"event_id": "e2", "status": "stored"},
        {"event_id": "e1", "status": "duplicate"},
    ]
    assert [outcome["status"] for outcome in post(engine, key, *batch)] == ["duplicate"] * 4
    assert stored(engine) == ["e1", "e2", "e3"]


def test_every_column_is_stored_as_a_file_would_store_it(engine: Engine, key: int) -> None:
    full = event(
        occurred_at="2026-02-01T10:00:00.5+02:00",
        duration_seconds=90,
        score=1,
        rating=4.5,
        device=" ios ",
        push_list_id="l1",
        session_id="s1",
        voided_event_id="e0",
    )
    post(engine, key, full)
    with transaction(engine) as session:
        row = session.execute(select(table)).mappings().one()
    assert row["occurred_at"].isoformat() == "2026-02-01T08:00:00.500000+00:00"
    assert (row["duration_seconds"], row["progress"], row["score"], row["rating"]) == (90.0, 0.3, 1.0, 4.5)
    assert (row["device"], row["push_list_id"], row["session_id"], row["voided_event_id"]) == ("ios", "l1", "s1", "e0")


def test_an_event_without_an_id_is_named_after_its_content(engine: Engine, key: int) -> None:
    [first, second] = post(engine, key, event(None), event(None))
    assert first["event_id"] == second["event_id"] != None  # noqa: E711 - the chain reads as one claim
    assert (first["status"], second["status"]) == ("stored", "duplicate")


BAD = [
    (event("b", progress=1.5), "progress", "outside 0..1"),
    (event("b", progress="0.5"), "progress", "must be a number"),
    (event("b", progress=True), "progress", "must be a number"),
    (event("b", verb="watched"), "verb", "unknown; known: viewed, started, "),
    (event("b", occurred_at="yesterday"), "occurred_at", "not a time"),
    (event("b", item_id=None), "item_id", "missing, and required"),
    (event("b", member_id="a\0b"), "member_id", "holds a control character"),
    (event("b", colour="red"), "colour", "unknown field"),
    (event("b", device=["ios"]), "device", "must be a text"),
    ({"verb": "voided", "occurred_at": "2026-02-01T08:00:00Z"}, "voided_event_id", "a voided event must name"),
    ({}, "verb", "missing, and required"),
    (7, "", "must be an object"),
]


@together(("bad", "field", "reason"), BAD)
def test_a_bad_event_refuses_its_batch_and_says_why(
    engine: Engine, key: int, bad: object, field: str, reason: str
) -> None:
    with pytest.raises(EventsRefusedError, match="of 3 events are bad, the first being row 1: ") as caught:
        post(engine, key, event(), bad, event("e2"))
    assert caught.value.errors[0]["row"] == 1
    assert caught.value.errors[0]["field"] == field
    assert caught.value.errors[0]["reason"].startswith(reason)
    assert stored(engine) == []


def test_every_fault_of_a_batch_is_told() -> None:
    mistyped = {"verb": "watched", "occured_at": "2026-02-01T08:00:00Z", "item_id": 7, "foo": 1}
    with pytest.raises(EventsRefusedError, match="of 2 events are bad") as caught:
        http_batches.checked([mistyped, event("b", verb=1)], partial=False)
    assert sorted((error["row"], error["field"], error["reason"][:41]) for error in caught.value.errors) == [
        (0, "foo", "unknown field; known: event_id, member_id"),
        (0, "item_id", "must be a text"),
        (0, "member_id", "missing, and required"),
        (0, "occured_at", "unknown field; known and nearest: occurre"),
        (0, "occurred_at", "missing, and required"),
        (0, "verb", "unknown; known: viewed, started, progress"),
        (1, "verb", "must be a text"),
    ]


@pytest.mark.parametrize(("bad", "field", "reason"), BAD)
def test_the_good_events_of_a_partial_batch_are_stored(
    engine: Engine, key: int, bad: object, field: str, reason: str
) -> None:
    done = post(engine, key, event(), bad, event("e2"), partial=True)
    assert [outcome["status"] for outcome in done] == ["stored", "rejected", "stored"]
    assert done[1]["errors"][0]["field"] == field
    assert done[1]["errors"][0]["reason"].startswith(reason)
    assert stored(engine) == ["e1", "e2"]


@pytest.mark.parametrize("together", [True, False])
def test_an_id_that_says_something_else_is_a_conflict(engine: Engine, key: int, together: bool) -> None:
    before = [event()] if together else []
    if not together:
        post(engine, key, event())
    with pytest.raises(EventConflictError, match=r"e1.*says something else") as caught:
        post(engine, key, *before, event("e2"), event(progress=0.4))
    assert [fault["row"] for fault in caught.value.errors] == [len(before) + 1]
    done = post(engine, key, *before, event("e2"), event(progress=0.4), partial=True)
    assert [outcome["status"] for outcome in done[-2:]] == ["stored", "conflict"]
    assert stored(engine) == ["e1", "e2"]


def test_an_empty_batch_is_no_fault(engine: Engine, key: int) -> None:
    assert post(engine, key) == []


def test_another_organisation_has_ids_of_its_own(engine: Engine, key: int, now: datetime) -> None:
    post(engine, key, event())
    with transaction(engine) as session:
        other = organisations.ensure(session, "other", now=now)
    assert post(engine, other, event(progress=0.9))[0]["status"] == "unresolved"


def test_many_writers_of_the_same_events_store_them_once(engine: Engine, key: int) -> None:
    batch = [event(f"e{number:03d}") for number in range(100)]

    def write(turn: int) -> int:
        turned = batch[turn:] + batch[:turn]
        return sum(outcome["status"] == "stored" for outcome in post(engine, key, *turned))

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(write, range(20))) == 100
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(table)) == 100


def test_events_of_unknown_members_and_items_are_stored_unresolved(engine: Engine, key: int) -> None:
    batch = [
        event("e1"),
        event("e2", member_id="m9"),
        event("e3", item_id="i9"),
        {"event_id": "e4", "verb": "voided", "voided_event_id": "e9", "occurred_at": "2026-02-01T08:00:00Z"},
    ]
    results = post(engine, key, *batch)
    assert [result["status"] for result in results] == ["stored", "unresolved", "unresolved", "stored"]
    assert stored(engine) == ["e1", "e2", "e3", "e4"]
    assert [result["status"] for result in post(engine, key, *batch)] == ["duplicate"] * 4
