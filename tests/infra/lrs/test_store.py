"""xAPI statements in the database: kept once, never changed, voided in any order, read as study events."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.db.lrs_tables import statement_terms
from infra.db.lrs_tables import statements as table
from infra.errors import BatchTooSlowError, NotFoundError, StatementConflictError
from infra.lrs import store as lrs
from infra.lrs.search import StatementFilter, find, get
from infra.lrs.store import StoreResult
from infra.privacy.statements import moments_of_member
from tests.statements import HOME, VOIDED, about, statement

KEY = {"objectType": "Agent", "account": {"homePage": "https://xuelu.example/keys", "name": "k1"}}


def keep(engine: Engine, key: int, *batch: dict[str, Any], now: datetime) -> StoreResult:
    """Store a batch in a transaction of its own."""
    with transaction(engine) as session:
        return lrs.store(session, key, batch, authority=KEY, home_page=HOME, clock=lambda: now)


def matching_ids(
    engine: Engine, key: int, statement_filter: StatementFilter | None = None, *, limit: int = 100
) -> list[str]:
    """Return the ids of what is found."""
    with transaction(engine) as session:
        return [entry["id"] for entry in find(session, key, statement_filter or StatementFilter(), limit=limit)[0]]


def count(engine: Engine, column: Any) -> int:
    """Return the number of rows of a table."""
    with transaction(engine) as session:
        return session.scalar(select(func.count(column))) or 0


def test_a_statement_comes_back_whole_with_what_the_store_adds(engine: Engine, key: int, now: datetime) -> None:
    sent = statement(id="6690E6C9-3ef0-4ed3-8b37-7f3964730bee", context={"extensions": {"http://x.org/y": None}})
    sent["context"]["contextActivities"] = {"parent": {"id": "https://lms.example/courses/1"}}
    assert keep(engine, key, sent, now=now) == StoreResult([sent["id"]], 1, 1)
    with transaction(engine) as session:
        stored_at, stored_statement = get(session, key, sent["id"].lower(), voided=False)
    assert stored_at == now
    sent["context"]["contextActivities"] = {"parent": [{"id": "https://lms.example/courses/1"}]}
    assert stored_statement == sent | {"version": "1.0.0", "stored": "2026-03-02T01:30:00.000000Z", "authority": KEY}


def test_what_a_sender_leaves_out_is_filled_in_and_who_it_claims_to_be_is_not_believed(
    engine: Engine, key: int, now: datetime
) -> None:
    sent = statement(authority={"mbox": "mailto:boss@example.org"}, stored="2020-01-01T00:00:00Z", version="1.0.2")
    del sent["id"], sent["timestamp"]
    [statement_id] = keep(engine, key, sent, now=now).ids
    with transaction(engine) as session:
        _, stored_statement = get(session, key, statement_id, voided=False)
    assert (stored_statement["authority"], stored_statement["version"]) == (KEY, "1.0.2")
    assert stored_statement["stored"] == stored_statement["timestamp"] == "2026-03-02T01:30:00.000000Z"


def test_the_same_statement_again_changes_nothing_and_another_of_its_id_is_refused(
    engine: Engine, key: int, now: datetime
) -> None:
    sent, other = statement(), statement()
    keep(engine, key, sent, now=now)
    same = sent | {"timestamp": "2026-03-01T08:00:00.123Z"}
    assert keep(engine, key, same, now=now + timedelta(days=1)) == StoreResult([sent["id"]], 0, 0)
    with pytest.raises(StatementConflictError, match=sent["id"]):
        keep(engine, key, other, sent | {"object": {"id": "https://lms.example/items/8"}}, now=now)
    assert matching_ids(engine, key) == [sent["id"]]
    assert (count(engine, table.c.statement_id), count(engine, events.c.event_id)) == (1, 1)


def test_newest_come_first_and_no_two_are_stored_at_the_same_moment(engine: Engine, key: int, now: datetime) -> None:
    ids = [*keep(engine, key, statement(), statement(), now=now).ids, *keep(engine, key, statement(), now=now).ids]
    assert matching_ids(engine, key) == ids[::-1]
    assert matching_ids(engine, key, StatementFilter(ascending=True)) == ids
    moment = now + timedelta(microseconds=1)
    assert matching_ids(engine, key, StatementFilter(since=moment)) == ids[2:]
    assert matching_ids(engine, key, StatementFilter(until=moment, ascending=True)) == ids[:2]


@pytest.mark.parametrize("ascending", [False, True])
def test_pages_hold_everything_once(engine: Engine, key: int, now: datetime, ascending: bool) -> None:
    ids = keep(engine, key, *(statement() for _ in range(7)), now=now).ids
    pages, after = [], None
    while True:
        with transaction(engine) as session:
            page, after = find(session, key, StatementFilter(ascending=ascending, after=after), limit=3)
        pages.append([entry["id"] for entry in page])
        if after is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [statement_id for page in pages for statement_id in page] == (ids if ascending else ids[::-1])


@pytest.mark.parametrize("voided_first", [True, False])
def test_a_voided_statement_is_found_as_such_only_whichever_came_first(
    engine: Engine, key: int, now: datetime, voided_first: bool
) -> None:
    wrong = statement()
    void = about(wrong["id"].upper(), VOIDED)
    for sent in (wrong, void) if voided_first else (void, wrong):
        keep(engine, key, sent, now=now)
    with transaction(engine) as session:
        assert get(session, key, wrong["id"], voided=True)[1]["id"] == wrong["id"]
        with pytest.raises(NotFoundError, match=wrong["id"]):
            get(session, key, wrong["id"], voided=False)
        with pytest.raises(NotFoundError, match="voided statement"):
            get(session, key, void["id"], voided=True)
    assert matching_ids(engine, key) == [void["id"]]


def test_a_voiding_statement_cannot_be_voided(engine: Engine, key: int, now: datetime) -> None:
    wrong = statement()
    void = about(wrong["id"], VOIDED)
    again = about(void["id"], VOIDED)
    keep(engine, key, wrong, void, again, now=now)
    assert matching_ids(engine, key) == [again["id"], void["id"]]


def test_statements_become_study_events_and_those_no_column_has_room_for_are_kept_all_the_same(
    engine: Engine, key: int, now: datetime
) -> None:
    study, talk = statement(), statement(verb={"id": "http://activitystrea.ms/schema/1.0/create"})
    endless = statement(result={"duration": "P1Y"})
    keep(engine, key, study, talk, endless, about(study["id"], VOIDED), now=now)
    with transaction(engine) as session:
        rows = session.execute(
            select(events.c.event_id, events.c.member_id, events.c.verb, events.c.voided_event_id)
        ).all()
    assert {(row.member_id, row.verb, row.voided_event_id) for row in rows} == {
        ("li", "completed", None),
        (None, "voided", study["id"]),
    }
    assert count(engine, table.c.statement_id) == 4


def test_an_event_of_the_same_id_that_says_something_else_refuses_the_statement(
    engine: Engine, key: int, now: datetime
) -> None:
    sent = statement()
    keep(engine, key, sent, now=now)
    with transaction(engine) as session:
        session.execute(statement_terms.delete())
        session.execute(table.delete())
    with pytest.raises(StatementConflictError, match="an event of this id"):
        keep(engine, key, sent | {"object": {"id": "https://lms.example/items/8"}}, now=now)


def test_another_organisation_has_statements_of_its_own(engine: Engine, key: int, now: datetime) -> None:
    sent = statement()
    with transaction(engine) as session:
        other = organisations.ensure(session, "other", now=now)
    keep(engine, key, sent, now=now)
    assert matching_ids(engine, other) == []
    keep(engine, other, sent | {"verb": {"id": "http://x.org/else"}}, about(sent["id"], VOIDED), now=now)
    assert matching_ids(engine, key) == [sent["id"]]


def test_what_is_told_as_consistent_is_never_before_what_is_there(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        assert lrs.consistent_through(session, key, now=now) == now - timedelta(seconds=60)
    keep(engine, key, statement(), now=now)
    with transaction(engine) as session:
        assert lrs.consistent_through(session, key, now=now) == now
        assert lrs.consistent_through(session, key, now=now + timedelta(hours=1)) > now


def test_many_writers_at_once_keep_every_statement_once(engine: Engine, key: int, now: datetime) -> None:
    shared = [statement() for _ in range(5)]

    def write(_: int) -> int:
        return keep(engine, key, *shared, statement(), now=now).new

    with ThreadPoolExecutor(8) as pool:
        new = sorted(pool.map(write, range(16)))
    assert new == [1] * 15 + [6]
    assert len(set(matching_ids(engine, key))) == 21


def test_erasing_a_member_removes_every_statement_it_takes_part_in(engine: Engine, key: int, now: datetime) -> None:
    mine = statement()
    taught = statement(
        actor={"mbox": "mailto:ana@example.org"}, context={"instructor": {"account": {"homePage": HOME, "name": "li"}}}
    )
    grouped = statement(actor={"objectType": "Group", "member": [{"account": {"homePage": HOME, "name": "li"}}]})
    others = statement(actor={"account": {"homePage": "https://other.example", "name": "li"}})
    keep(engine, key, mine, taught, grouped, others, now=now)
    with transaction(engine) as session:
        assert lrs.erase(session, key, moments_of_member(session, key, "li", home_page=HOME)) == 3
    assert matching_ids(engine, key) == [others["id"]]
    with transaction(engine) as session:
        moments = moments_of_member(session, key, "https://other.example|li", home_page=HOME)
        assert lrs.erase(session, key, moments) == 1
        assert moments_of_member(session, key, "nobody", home_page=None) == []
    assert count(engine, statement_terms.c.term) == 0


def test_a_batch_that_outlasts_what_readers_are_promised_is_not_stored(engine: Engine, key: int, now: datetime) -> None:
    moments = iter([now, now + timedelta(seconds=46)])
    with pytest.raises(BatchTooSlowError, match="1 statements took longer than 45 s"), transaction(engine) as session:
        lrs.store(session, key, [statement()], authority=KEY, home_page=HOME, clock=lambda: next(moments))
    assert matching_ids(engine, key) == []
    moments = iter([now, now + timedelta(seconds=45)])
    with transaction(engine) as session:
        lrs.store(session, key, [statement()], authority=KEY, home_page=HOME, clock=lambda: next(moments))
        assert lrs.newest_stored(session, key) == now
