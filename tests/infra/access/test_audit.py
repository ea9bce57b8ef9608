"""The audit log: an append-only chain that shows any change, and that can forget a member."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, text

from infra.access import audit, audit_log
from infra.access.audit_log import EntryFilter
from infra.catalog import organisations
from infra.db.access_tables import audit_subjects
from infra.db.engine import transaction
from infra.privacy import export
from tests.audit_entries import audit_entries
from tests.conftest import Take

ENTRIES = 5


def write(engine: Engine, now: datetime, *, count: int = ENTRIES, subject: str | None = None, who: str = "k1") -> int:
    """Write entries one transaction each; return the key of their organisation."""
    for number in range(count):
        with transaction(engine) as session:
            owner = organisations.ensure(session, "couriers", now=now)
            at = now + timedelta(seconds=number)
            audit.append(
                session, owner, actor=who, action="lists.read", subject=subject, now=at, detail={"number": number}
            )
    return owner


def verdict(engine: Engine, organisation_key: int) -> tuple[int, str | None]:
    """Return what the check of a chain says."""
    with transaction(engine) as session:
        return audit_log.verify(session, organisation_key)


def test_a_chain_that_nobody_touched_holds(engine: Engine, now: datetime) -> None:
    owner = write(engine, now)
    assert verdict(engine, owner) == (ENTRIES, None)
    with transaction(engine) as session:
        entries = audit_entries(session, owner)
        other = organisations.ensure(session, "bakers", now=now)
    assert [(entry["sequence"], entry["actor"], entry["at"]) for entry in entries] == [
        (number + 1, "k1", now + timedelta(seconds=number)) for number in range(ENTRIES)
    ]
    assert verdict(engine, other) == (0, None)


@pytest.mark.parametrize(
    ("change", "holds", "message"),
    [
        ("UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 3", 2, "entry 3 was changed"),
        ("UPDATE audit_entries SET detail = '{}' WHERE sequence = 1", 0, "entry 1 was changed"),
        ("UPDATE audit_entries SET detail = NULL WHERE sequence = 5", 4, "entry 5 was changed"),
        ("UPDATE audit_entries SET at = at + 1 WHERE sequence = 2", 1, "entry 2 was changed"),
        ("DELETE FROM audit_entries WHERE sequence = 3", 2, "entry 3 is missing"),
        ("DELETE FROM audit_entries WHERE sequence = 5", 4, "cut off at the end"),
        ("DELETE FROM audit_entries", 0, "cut off at the end"),
        ("DELETE FROM audit_heads", 5, "cut off at the end"),
        ("UPDATE audit_heads SET hash = 'another'", 5, "not the one that was written last"),
    ],
)
def test_any_change_shows_and_where(engine: Engine, now: datetime, change: str, holds: int, message: str) -> None:
    owner = write(engine, now)
    with engine.begin() as connection:
        connection.execute(text(change))
    count, fault = verdict(engine, owner)
    assert count == holds
    assert message in (fault or "")


def test_writers_at_the_same_time_make_one_chain(engine: Engine, now: datetime) -> None:
    write(engine, now, count=1)
    with ThreadPoolExecutor(8) as pool:
        [owner] = set(pool.map(lambda number: write(engine, now, count=10, who=f"k{number}"), range(8)))
    assert verdict(engine, owner) == (81, None)


def test_a_transaction_that_fails_leaves_no_entry_and_no_gap(engine: Engine, now: datetime) -> None:
    owner = write(engine, now)
    with pytest.raises(TypeError), transaction(engine) as session:
        audit.append(session, owner, actor="k1", action="x", subject=None, now=now, detail={"of": audit})
    with transaction(engine) as session:
        audit.append(session, owner, actor="k1", action="x", subject=None, now=now)
        session.rollback()
    write(engine, now, count=1)
    assert verdict(engine, owner) == (ENTRIES + 1, None)


def test_a_member_is_told_by_a_keyed_hash_until_its_secret_is_destroyed(
    engine: Engine, take: Take, now: datetime
) -> None:
    take("members", "member_id\nli.na\nchen\n")
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        audit.append(session, owner, actor="k1", action="lists.read", subject="li.na", now=now)
        audit.append(session, owner, actor="k1", action="lists.read", subject="li.na", now=now)
        audit.append(session, owner, actor="k1", action="lists.read", subject="chen", now=now)
        first, second, other = [entry["subject"] for entry in audit_entries(session, owner)]
        assert first == second != other
        assert audit.subjects(session, owner, ["li.na", "chen"]) == {"li.na": first, "chen": other}
        session.execute(delete(audit_subjects).where(audit_subjects.c.member_id == "li.na"))  # as an erasure does
        assert audit.subjects(session, owner, ["li.na"])["li.na"] != first
        assert audit.subjects(session, owner, ["chen"]) == {"chen": other}
    assert verdict(engine, owner) == (3, None)


def test_a_search_for_a_member_draws_no_secret(engine: Engine, take: Take, now: datetime) -> None:
    """A secret drawn by a search locked its row against the audit buffer, which holds the log's head (a deadlock)."""
    take("members", "member_id\nli.na\n")
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        assert audit_log.page(session, owner, EntryFilter(subject="li.na"), limit=9) == []
        assert export.export(session, owner, "li.na", home_page=None)["audit"] == []
        assert session.execute(text("SELECT * FROM audit_subjects")).all() == []
        audit.append(session, owner, actor="k1", action="lists.read", subject="li.na", now=now)
        [entry] = audit_log.page(session, owner, EntryFilter(subject="li.na"), limit=9)
        assert [entry["action"]] == [
            shown["action"] for shown in export.export(session, owner, "li.na", home_page=None)["audit"]
        ]


def test_one_who_is_no_member_leaves_no_id_behind(engine: Engine, now: datetime) -> None:
    write(engine, now, subject="who.left")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM audit_subjects")).all() == []
        assert "who.left" not in repr(connection.execute(text("SELECT * FROM audit_entries")).all())


@pytest.mark.parametrize("member_id", ["who\0left", "\ud800", "", "\U0001f600", "a" * 5_000])
def test_any_text_can_be_hashed_as_a_member(engine: Engine, now: datetime, member_id: str) -> None:
    owner = write(engine, now, count=1, subject=member_id)
    assert verdict(engine, owner) == (1, None)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM audit_subjects")).all() == []


def test_verification_while_others_write_raises_no_alarm(engine: Engine, now: datetime) -> None:
    owner = write(engine, now, count=1)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, engine, now, count=60)
        verdicts = [verdict(engine, owner)[1]]
        while not writing.done():
            verdicts.append(verdict(engine, owner)[1])
        writing.result()
    assert set(verdicts) == {None}
    assert verdict(engine, owner) == (61, None)


def test_entries_are_found_by_member_in_buffered_reads_too(engine: Engine, take: Take, now: datetime) -> None:
    take("members", "member_id\nli\nana\n")
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        names = audit.subjects(session, owner, ["li", "ana"])
        audit.append(session, owner, actor="k1", action="members.export", subject="li", now=now)
        audit.append(session, owner, actor="k1", action="members.export", subject="ana", now=now)
        detail = {"subjects": {names["li"]: 2}}
        audit.append(session, owner, actor="k2", action="lists.read", subject=None, now=now, detail=detail)
        of_li = audit_log.page(session, owner, EntryFilter(subject="li"), limit=10)
        assert [(row["sequence"], row["action"]) for row in of_li] == [(3, "lists.read"), (1, "members.export")]
        assert audit_log.page(session, owner, EntryFilter(subject="gone"), limit=10) == []
        [row] = audit_log.page(session, owner, EntryFilter(action="members"), before=2, limit=10)
        assert row["sequence"] == 1
        assert audit_log.page(session, owner, EntryFilter(until=now), limit=10) == []
        assert len(audit_log.page(session, owner, EntryFilter(actor="k1", since=now), limit=1)) == 1
