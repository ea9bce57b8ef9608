"""Readings and uses, written behind: nothing is lost, whatever happens to the database meanwhile."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, text

from infra.access import api_keys, audit, audit_buffer
from infra.access.audit_buffer import Readings
from infra.access.rate_counts import Rates
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.errors import DatabaseError

pytestmark = pytest.mark.usefixtures("couriers")


@pytest.fixture
def notes(engine: Engine, now: datetime) -> Readings:
    """Return where readings are noted; they are written when a test says so."""
    return Readings(engine, Rates(), clock=lambda: now)


def told(engine: Engine) -> list[tuple[str, list[int]]]:
    """Return actor and counts of every entry that tells of readings."""
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        assert audit.verify(session, owner)[1] is None
        found = [(one["actor"], orjson.loads(one["detail"])["subjects"]) for one in audit.entries(session, owner)]
    return [(actor, sorted(counts.values())) for actor, counts in found]


def test_what_was_noted_is_written_in_one_entry_for_each_key(engine: Engine, notes: Readings) -> None:
    for member_id in ("d1", "d2", "d1"):
        notes.note(1, "k1", "lists.read", member_id)
    notes.note(1, "k2", "lists.read", "d3")
    assert notes.waiting == 4
    notes.flush()
    notes.flush()
    assert notes.waiting == 0
    assert told(engine) == [("k1", [1, 2]), ("k2", [1])]
    with transaction(engine) as session:
        names = audit.subjects(session, 1, ["d1"])
        [first, _] = audit.entries(session, 1)
    assert orjson.loads(first["detail"])["subjects"][names["d1"]] == 2


def test_what_was_noted_is_written_when_the_service_stops(engine: Engine, notes: Readings) -> None:
    notes.start()
    notes.note(1, "k1", "lists.read", "d1")
    notes.close()
    assert told(engine) == [("k1", [1])]


def test_the_last_use_of_a_key_is_written(engine: Engine, notes: Readings, now: datetime) -> None:
    with transaction(engine) as session:
        key_id, _ = api_keys.create(session, 1, name="app", scopes=["admin"], now=now)
    notes.note_use(key_id, now)
    notes.flush()
    with transaction(engine) as session:
        assert [row["last_used_at"] for row in api_keys.listed(session, 1)] == [now]


def test_notes_wait_while_the_database_cannot_take_them(engine: Engine, notes: Readings) -> None:
    notes.note(1, "k1", "lists.read", "d1")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_entries RENAME TO elsewhere"))
    with pytest.raises(DatabaseError):
        notes.flush()
    assert notes.waiting == 1
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_entries"))
    notes.flush()
    assert told(engine) == [("k1", [1])]


def test_a_thread_that_meets_a_lost_database_ends_when_it_is_told_to(tmp_path: Path) -> None:
    lost = make_engine(f"sqlite:///{tmp_path / 'no folder' / 'x.db'}")
    notes = Readings(lost, Rates())
    notes.start()
    notes.note(1, "k1", "lists.read", "d1")
    notes.close()
    assert notes.waiting == 1
    lost.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_readings_that_could_not_be_recorded_are_refused(notes: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_buffer, "MOST_NOTES", 2)
    for _ in range(2):
        notes.note(1, "k1", "lists.read", "d1")
    with pytest.raises(DatabaseError, match="2 readings wait"):
        notes.note(1, "k1", "lists.read", "d1")


def test_the_clock_is_the_present_where_none_is_given(engine: Engine) -> None:
    before = datetime.now(UTC)
    notes = Readings(engine, Rates())
    notes.note(1, "k1", "lists.read", "d1")
    notes.flush()
    with transaction(engine) as session:
        [entry] = audit.entries(session, 1)
    assert before <= entry["at"] <= datetime.now(UTC)
