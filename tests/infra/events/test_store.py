"""Study events in the database: once each, and read back where they count."""

from datetime import datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from features.events import check_events
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import events as table
from infra.db.engine import transaction
from infra.events import store as events
from infra.events import unresolved
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from tests.conftest import Take

COLUMNS = ["event_id", "member_id", "item_id", "verb", "occurred_at", "progress", "voided_event_id"]


def chunk(*rows: tuple[str, ...]) -> pd.DataFrame:
    """Return sound events."""
    frame = pd.DataFrame([(*row, *[""] * (len(COLUMNS) - len(row))) for row in rows], columns=COLUMNS, dtype="str")
    sound, rejects = check_events(frame)
    assert rejects.empty
    return sound


def stored_ids(session: Session) -> list[str]:
    """Return the ids of all events."""
    return list(session.scalars(select(table.c.event_id).order_by(table.c.event_id)))


ONE = ("e1", "m1", "i1", "progressed", "2026-02-01T08:00:00.000001Z", "0.30000000000000004")


def test_an_event_is_stored_once_however_often_it_comes(engine: Engine, key: int) -> None:
    with transaction(engine) as session:
        first = events.store(session, key, chunk(ONE, ONE, ("e2", *ONE[1:])))
        second = events.store(session, key, chunk(ONE, ("e3", *ONE[1:])))
        assert (first.stored, first.duplicates, len(first.rejects)) == (2, 1, 0)
        assert (second.stored, second.duplicates, len(second.rejects)) == (1, 1, 0)
        assert stored_ids(session) == ["e1", "e2", "e3"]


@pytest.mark.parametrize(
    "other",
    [
        ("e1", "m2", *ONE[2:]),
        ("e1", "m1", "i2", *ONE[3:]),
        ("e1", "m1", "i1", "viewed", *ONE[4:]),
        (*ONE[:4], "2026-02-01T08:00:00.000002Z", ONE[5]),
        (*ONE[:5], "0.3"),
        (*ONE[:5], ""),
        (*ONE[:6], "e9"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_an_id_with_other_content_is_a_reject_whether_in_one_chunk_or_later(
    engine: Engine, key: int, other: tuple[str, ...], together: bool
) -> None:
    with transaction(engine) as session:
        if together:
            done = events.store(session, key, chunk(ONE, other))
            assert (done.stored, done.duplicates) == (1, 0)
        else:
            events.store(session, key, chunk(ONE))
            done = events.store(session, key, chunk(("e2", *ONE[1:]), other))
            assert (done.stored, done.duplicates) == (1, 0)
        [reject] = done.rejects.to_dict("records")
        assert (reject["line"], reject["field"], reject["value"]) == (1, "event_id", "e1")
        assert "says something else" in reject["reason"]
        row = session.execute(select(table).where(table.c.event_id == "e1")).mappings().one()
        assert (row["member_id"], row["item_id"], row["verb"], row["progress"]) == (
            "m1",
            "i1",
            "progressed",
            0.1 + 0.2,
        )


def test_contradictions_and_repetitions_of_one_chunk_are_counted_beside_each_other(engine: Engine, key: int) -> None:
    wrong = ("e1", "m2", *ONE[2:])
    with transaction(engine) as session:
        events.store(session, key, chunk(ONE))
        done = events.store(session, key, chunk(wrong, ("e2", *ONE[1:]), ("e2", *wrong[1:]), ("e2", *ONE[1:]), ONE))
        assert (done.stored, done.duplicates) == (1, 1)
        assert sorted(done.rejects["line"]) == [0, 2, 4]
        assert stored_ids(session) == ["e1", "e2"]


def test_more_events_than_a_statement_has_parameters_are_all_recognised(engine: Engine, key: int) -> None:
    rows = [(f"e{number}", *ONE[1:]) for number in range(33_000)]
    with transaction(engine) as session:
        assert events.store(session, key, chunk(*rows)).stored == len(rows)
        again = events.store(session, key, chunk(*rows))
        assert (again.stored, again.duplicates, len(again.rejects)) == (0, len(rows), 0)
        assert session.scalar(select(func.count()).select_from(table)) == len(rows)


def test_events_of_unknown_members_and_items_wait_until_they_are_made(
    engine: Engine, key: int, take: Take, now: datetime
) -> None:
    take("members", "member_id\nm1\n")
    with transaction(engine) as session:
        events.store(
            session, key, chunk(ONE, ("e2", "m2", "i2", *ONE[3:]), ("void", "", "", "voided", ONE[4], "", "e9"))
        )
        assert unresolved.count(session, key) == 2
        assert unresolved.create(session, key, unresolved.unknown_ids(session, key), now=now) == (1, 2)
        assert unresolved.count(session, key) == 0
        assert unresolved.create(session, key, unresolved.unknown_ids(session, key), now=now) == (0, 0)
        existing_ids = {name: sorted(ids) for name, ids in catalog.existing_ids(session, key).items()}
        assert existing_ids == {"item_id": ["i1", "i2"], "member_id": ["m1", "m2"]}


def test_only_events_before_the_moment_and_neither_voiding_nor_voided_ones_count(
    engine: Engine, key: int, take: Take, now: datetime
) -> None:
    take("members", "member_id\nm1\n")
    take("items", "item_id\ni1\ni2\n")
    at = (now - timedelta(days=1)).isoformat()
    study = [
        ("counts", "m1", "i1", "viewed", at),
        ("voided", "m1", "i2", "viewed", at),
        ("not voided", "m1", "i2", "completed", at),
        ("at the moment", "m1", "i2", "viewed", now.isoformat()),
        ("stranger", "m9", "i1", "viewed", at),
        ("v1", "", "", "voided", now.isoformat(), "", "voided"),
        ("v2", "", "", "voided", at, "", "v1"),
        ("v3", "", "", "voided", at, "", "nothing there"),
        ("no void", "m1", "i1", "rated", at, "", "not voided"),
    ]
    with transaction(engine) as session:
        events.store(session, key, chunk(*study))
        members, items = pd.Index(["m1"]), pd.Index(["i1", "i2"])
        study_events = events.study_events(session, key, members=members, items=items, before=now)
    assert sorted(zip(study_events["item"].tolist(), study_events["verb"].tolist(), strict=True)) == [
        (0, "rated"),
        (0, "viewed"),
        (1, "completed"),
    ]
    assert study_events["member"].tolist() == [0, 0, 0]
    assert study_events["session"].tolist() == [0, 0, 0]


def test_digests_before_a_moment_and_of_all_change_with_an_event_and_its_voiding(engine: Engine, key: int) -> None:
    moment = datetime.fromisoformat("2026-02-01T09:00:00+00:00")
    late = ("e2", *ONE[1:4], "2026-02-01T09:00:00Z")
    voiding = ("w1", "", "", "voided", "2026-02-01T10:00:00Z", "", "e1")
    with transaction(engine) as session:
        assert events.event_digests(session, key, before=moment).empty
        events.store(session, key, chunk(ONE))
        first = events.event_digests(session, key, before=moment).loc["m1"]
        events.store(session, key, chunk(late))
        second = events.event_digests(session, key, before=moment).loc["m1"]
        events.store(session, key, chunk(voiding))
        third = events.event_digests(session, key, before=moment).loc["m1"]
    assert first["before"] == first["all"] == second["before"] != second["all"]
    assert third["before"] == ""
    assert third["all"] not in {"", first["all"], second["all"]}


def test_an_organisation_without_events_has_members_and_items_and_no_cells(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("members", "member_id\nm1\n")
    take("items", "item_id\ni1\n")
    with transaction(engine) as session:
        interactions = load_interactions(session, organisations.key_of(session, "default"), settings, as_of=now)
    assert (interactions.shape, len(interactions.cells)) == ((2, 1), 0)


def test_the_weighting_rules_are_those_of_the_settings(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("members", "member_id\nm1\n")
    take("items", "item_id,duration_seconds\ni1,100\ni2,\n")
    take(
        "events",
        "member_id,item_id,verb,occurred_at,duration_seconds\nm1,i1,viewed,2026-02-01T12:00:00Z,5000\n"
        "m1,i2,viewed,2026-02-02T12:00:00Z,5000\n",
    )
    weights = settings.weights.model_copy(update={"item_time_cap": 3.0, "unknown_item_cap_seconds": 1234.0})
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        interactions = load_interactions(session, key, settings.model_copy(update={"weights": weights}), as_of=now)
    assert interactions.cells["study_seconds"].tolist() == [300.0, 1234.0]


def test_a_date_is_stored_as_one_and_read_back_with_its_day(engine: Engine, take: Take, now: datetime) -> None:
    take("items", "item_id\ni1\n")
    take("members", "member_id,timezone\nm1,America/New_York\nm2,\n")
    log = "event_id,member_id,item_id,verb,occurred_at\n"
    log += "e1,m1,i1,viewed,2026-02-01\ne2,m1,i1,viewed,2026-02-01T23:30:00Z\n"  # 18:30 of the same day
    log += "e3,m2,i1,viewed,2026-02-01T15:30:00Z\ne4,m2,i1,viewed,2026-02-01T16:30:00Z\n"  # around midnight in Shanghai
    take("events", log)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        flags = session.execute(select(table.c.event_id, table.c.date_only).order_by(table.c.event_id)).all()
        in_utc = load_interactions(session, key, Settings(), as_of=now).cells
        organisations.set_timezone(session, key, "Asia/Shanghai")
        in_shanghai = load_interactions(session, key, Settings(), as_of=now).cells

    assert [tuple(row) for row in flags] == [("e1", True), ("e2", False), ("e3", False), ("e4", False)]
    assert in_utc["weight"].tolist() == [1.0, 1.0]
    assert in_shanghai["weight"].tolist() == [1.0, 1.5], "the organisation's zone is that of members without one"


def test_times_without_an_offset_in_files_are_in_the_organisations_zone(engine: Engine, key: int, take: Take) -> None:
    with transaction(engine) as session:
        organisations.set_timezone(session, key, "Asia/Shanghai")
    head = "event_id,member_id,item_id,verb,occurred_at\n"
    take("events", head + "e1,m1,i1,viewed,2026-02-01T08:00:00\ne2,m1,i1,viewed,2026-02-01\n")
    take("events", head + "e3,m1,i1,viewed,2026-02-01T08:00:00Z\n")
    with transaction(engine) as session:
        rows = session.execute(select(table.c.event_id, table.c.occurred_at, table.c.date_only).order_by("event_id"))
        stored = {row.event_id: (row.occurred_at.isoformat(), row.date_only) for row in rows}
    assert stored == {
        "e1": ("2026-02-01T00:00:00+00:00", False),
        "e2": ("2026-02-01T00:00:00+00:00", True),
        "e3": ("2026-02-01T08:00:00+00:00", False),
    }
