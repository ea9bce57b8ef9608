"""AuditBuffer and uses, written behind: nothing is lost, whatever happens to the database meanwhile."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from infra.access import api_keys, audit, audit_buffer, audit_log
from infra.access.audit_buffer import AuditBuffer
from infra.access.rate_counts import RequestCounts
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.errors import DatabaseError
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE

pytestmark = pytest.mark.usefixtures("couriers")


@pytest.fixture
def buffer(engine: Engine, now: datetime) -> AuditBuffer:
    """Return where readings are noted; they are written when a test says so."""
    return AuditBuffer(engine, RequestCounts(), clock=lambda: now)


def read_counts(engine: Engine) -> list[tuple[str, list[int]]]:
    """Return actor and counts of every entry that tells of readings."""
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        assert audit_log.verify(session, owner)[1] is None
        subject_counts = [
            (entry["actor"], orjson.loads(entry["detail"])["subjects"]) for entry in audit_entries(session, owner)
        ]
    return [(actor, sorted(counts.values())) for actor, counts in subject_counts]


def test_what_was_noted_is_written_in_one_entry_for_each_key(engine: Engine, buffer: AuditBuffer) -> None:
    for member_id in ("d1", "d2", "d1"):
        buffer.record_read(1, "k1", "lists.read", member_id)
    buffer.record_read(1, "k2", "lists.read", "d3")
    assert buffer.pending == 4
    buffer.flush()
    buffer.flush()
    assert buffer.pending == 0
    assert read_counts(engine) == [("k1", [1, 2]), ("k2", [1])]
    with transaction(engine) as session:
        names = audit.subjects(session, 1, ["d1"])
        [first, _] = audit_entries(session, 1)
    assert orjson.loads(first["detail"])["subjects"][names["d1"]] == 2


def test_what_was_noted_is_written_when_the_service_stops(engine: Engine, now: datetime) -> None:
    pending: list[int] = []
    buffer = AuditBuffer(engine, RequestCounts(), clock=lambda: now, note_pending=pending.append)
    buffer.start()
    buffer.record_read(1, "k1", "lists.read", "d1")
    buffer.close()
    assert read_counts(engine) == [("k1", [1])]
    assert pending[-1] == 0


def test_uses_are_written_before_the_head_of_the_log(engine: Engine, buffer: AuditBuffer, now: datetime) -> None:
    """As who revokes a key writes them: the other way round the two could end in a deadlock on PostgreSQL."""
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    buffer.record_read(1, "k1", "lists.read", "d1")
    buffer.record_key_use("0a1b2c3d4e5f", now)
    buffer.flush()
    uses, *heads = [
        number for number, text in enumerate(statements) if "UPDATE api_keys" in text or "INTO audit_heads" in text
    ]
    assert statements[uses].startswith("UPDATE api_keys")
    assert heads


def test_the_last_use_of_a_key_is_written(engine: Engine, buffer: AuditBuffer, now: datetime) -> None:
    with transaction(engine) as session:
        key_id, _ = api_keys.create(session, 1, name="app", scopes=["admin"], now=now)
    buffer.record_key_use(key_id, now)
    buffer.flush()
    with transaction(engine) as session:
        assert [row["last_used_at"] for row in api_keys.list_keys(session, 1)] == [now]


def test_notes_wait_while_the_database_cannot_take_them(engine: Engine, buffer: AuditBuffer) -> None:
    buffer.record_read(1, "k1", "lists.read", "d1")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_entries RENAME TO elsewhere"))
    with pytest.raises((DatabaseError, DBAPIError)):
        buffer.flush()
    assert buffer.pending == 1
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_entries"))
    buffer.flush()
    assert read_counts(engine) == [("k1", [1])]


def test_a_thread_that_meets_a_lost_database_ends_when_it_is_told_to(tmp_path: Path) -> None:
    lost = make_engine(f"sqlite:///{tmp_path / 'no folder' / 'x.db'}")
    buffer = AuditBuffer(lost, RequestCounts())
    buffer.start()
    buffer.record_read(1, "k1", "lists.read", "d1")
    buffer.close()
    assert buffer.pending == 1
    lost.dispose()


@ON_SQLITE
def test_readings_that_could_not_be_recorded_are_refused(buffer: AuditBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_buffer, "MAX_BUFFERED", 2)
    for _ in range(2):
        buffer.record_read(1, "k1", "lists.read", "d1")
    with pytest.raises(DatabaseError, match="2 reads wait"):
        buffer.record_read(1, "k1", "lists.read", "d1")


def test_the_clock_is_the_present_where_none_is_given(engine: Engine) -> None:
    before = datetime.now(UTC)
    buffer = AuditBuffer(engine, RequestCounts())
    buffer.record_read(1, "k1", "lists.read", "d1")
    buffer.flush()
    with transaction(engine) as session:
        [entry] = audit_entries(session, 1)
    assert before <= entry["at"] <= datetime.now(UTC)


@pytest.mark.parametrize(("actor", "member_id"), [("oidc:a\ud800", "d1"), ("oidc:a\0", "d1")])
def test_reads_that_no_database_takes_hold_up_no_others(
    engine: Engine, buffer: AuditBuffer, actor: str, member_id: str
) -> None:
    buffer.record_read(1, "k1", "lists.read", "d1")
    buffer.record_read(1, actor, "lists.read", member_id)
    buffer.record_read(1, "k2", "lists.read", "d2")
    buffer.start()
    buffer.close()
    assert buffer.pending == 0
    logged = [entry for entry in read_counts(engine) if not entry[0].startswith("oidc:")]
    assert logged == [("k1", [1]), ("k2", [1])]
