"""The night: from study logs to published push lists, in one transaction."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Row, func, select, text

from infra.catalog import organisations
from infra.db.core_tables import list_entries, lists, members, similar_items
from infra.db.core_tables import runs as run_table
from infra.db.engine import FAULTS, transaction
from infra.errors import UnknownOrganisationError
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from jobs.progress import STEPS, StepProgress
from tests.conftest import ON_SQLITE, Take

DAY = timedelta(days=1)

FAILING = {
    "sqlite": "CREATE TRIGGER fail BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    "postgresql": "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$; "
    "CREATE TRIGGER fail BEFORE INSERT ON {table} EXECUTE FUNCTION fail()",
}


def content_of(engine: Engine, run: dict[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Return everything a run serves, list ids apart, which are made from the id of the run."""
    queries = (
        select(lists.c.member_id, lists.c.strategy, lists.c.entries_hash).order_by(lists.c.member_id),
        select(list_entries.c.entries_hash, list_entries.c.entries)
        .where(list_entries.c.entries_hash.in_(select(lists.c.entries_hash).where(lists.c.run_key == run["run_key"])))
        .order_by(list_entries.c.entries_hash),
        select(similar_items.c.item_id, similar_items.c.entries).order_by(similar_items.c.item_id),
    )
    own = (lists.c.run_key == run["run_key"], None, similar_items.c.run_key == run["run_key"])
    with transaction(engine) as session:
        return [
            [tuple(row) for row in session.execute(query if where is None else query.where(where))]
            for query, where in zip(queries, own, strict=True)
        ]


def rows_of_runs(engine: Engine) -> list[Row[Any]]:
    """Return all runs with their number of lists."""
    counted = (
        select(run_table.c.run_id, run_table.c.status, func.count(lists.c.member_id))
        .outerjoin(lists, lists.c.run_key == run_table.c.run_key)
        .group_by(run_table.c.run_id, run_table.c.status, run_table.c.run_key)
        .order_by(run_table.c.run_key)
    )
    with transaction(engine) as session:
        return list(session.execute(counted).all())


def listed(engine: Engine, member_id: str, now: datetime) -> list[str]:
    """Return the items of a member's list."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        return [
            item["item_id"] for item in push_lists.shown(session, key, member_id, ListRequest(n=100, now=now))["items"]
        ]


def test_a_night_publishes_a_list_for_every_member_and_one_for_anyone(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    reports: list[StepProgress] = []
    run = nightly(couriers, settings, now=now, progress=reports.append)
    assert (run["status"], run["made_at"], run["as_of"]) == ("published", now, now)
    assert run["settings_digest"] == settings.digest()
    assert len(run["checks"]) >= 7
    assert not [check for check in run["checks"] if check["passed"] is False]
    assert [report.step for report in reports if report.state == "started"] == list(STEPS)
    assert [report.step for report in reports if report.state == "finished"] == list(STEPS)
    assert all(report.peak_bytes > 0 for report in reports if report.state == "finished")
    with transaction(couriers) as session:
        of_run = session.scalars(select(lists.c.member_id).where(lists.c.run_key == run["run_key"])).all()
        everybody = session.scalars(select(members.c.member_id)).all()
        assert runs.latest(session, organisations.key_of(session, "default")) == run
    assert sorted(of_run) == sorted([*everybody, runs.ANYONE])
    assert run["counts"] == {"events": 61, "lists": 24, "similar_items": 17, "listed_items": 15}


@ON_SQLITE
def test_nobody_gets_what_is_hidden_not_yet_published_for_others_or_studied(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    nightly(couriers, settings, now=now)
    by_member = {member_id: listed(couriers, member_id, now) for member_id in ("d0", "c0", "new-driver", "unknown")}
    for member_id, item_ids in by_member.items():
        assert not {"hidden", "coming"} & set(item_ids), member_id
        assert len(item_ids) == len(set(item_ids)), member_id
    assert {name for name, item_ids in by_member.items() if "drivers" in item_ids} == {"d0", "new-driver"}
    assert not {"v1", "v2", "v3"} & set(by_member["d0"])


@ON_SQLITE
def test_lists_are_no_longer_than_the_settings_say(couriers: Engine, settings: Settings, now: datetime) -> None:
    models = settings.models.model_copy(update={"list_length": 2})
    nightly(couriers, settings.model_copy(update={"models": models}), now=now)
    assert [len(listed(couriers, member_id, now)) for member_id in ("d0", "unknown")] == [2, 2]


@ON_SQLITE
def test_drivers_are_offered_what_drivers_study_and_clerks_what_clerks_study(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    nightly(couriers, settings, now=now)
    assert {item[0] for item in listed(couriers, "d4", now)[:3]} == {"v"}
    assert {item[0] for item in listed(couriers, "c4", now)[:3]} <= {"o", "h"}
    assert {item[0] for item in listed(couriers, "new-driver", now)[:6]} == {"v"}


def test_the_same_inputs_give_the_same_lists_byte_for_byte(couriers: Engine, settings: Settings, now: datetime) -> None:
    first, second = nightly(couriers, settings, now=now), nightly(couriers, settings, now=now)
    assert first["run_id"] != second["run_id"]
    assert first["data_digest"] == second["data_digest"]
    content = content_of(couriers, first)
    assert [len(part) for part in content] == [24, 18, 17]
    assert content_of(couriers, second) == content


@pytest.mark.usefixtures("served")
def test_the_same_inputs_give_the_same_lists_on_both_databases(
    sqlite_url: str, postgresql_url: str, open_engine: Callable[[str], Engine]
) -> None:
    content = []
    for url in (sqlite_url, postgresql_url):
        engine = open_engine(url)
        with transaction(engine) as session:
            run = runs.latest(session, organisations.key_of(session, "default"))
        content.append((run["data_digest"], content_of(engine, run)))
    assert content[0] == content[1]


@ON_SQLITE
def test_other_inputs_have_another_digest(couriers: Engine, settings: Settings, take: Take, now: datetime) -> None:
    first = nightly(couriers, settings, now=now)
    take("events", "member_id,item_id,verb,occurred_at\nunknown,new,viewed,2026-03-01\n")
    assert nightly(couriers, settings, now=now)["data_digest"] != first["data_digest"]


@pytest.mark.parametrize("table", ["runs", "list_entries", "lists", "similar_items"])
def test_a_night_that_fails_leaves_yesterdays_lists_served_and_nothing_of_itself(
    engine: Engine, settings: Settings, served: dict[str, Any], now: datetime, table: str
) -> None:
    before, shown = rows_of_runs(engine), listed(engine, "d1", now)
    with engine.begin() as connection:
        connection.execute(text(FAILING[engine.dialect.name].format(table=table)))
    with pytest.raises(FAULTS, match="the disk is full"):
        nightly(engine, settings, now=now + DAY)
    assert [row for row in rows_of_runs(engine) if row.status != "built"] == before
    assert all(row[2] == 0 for row in rows_of_runs(engine) if row.status == "built")
    assert [row[0] for row in before] == [served["run_id"]]
    assert listed(engine, "d1", now) == shown
    with engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER fail{f' ON {table}' if engine.dialect.name == 'postgresql' else ''}"))
    assert nightly(engine, settings, now=now + DAY)["status"] == "published"
    assert [row.status for row in rows_of_runs(engine)] == ["published", "published"]


@pytest.mark.usefixtures("served")
def test_a_night_on_data_that_cannot_be_learned_from_is_held_and_leaves_yesterdays_lists_served(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    before = rows_of_runs(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM items"))
    run = nightly(engine, settings, now=now + DAY)
    assert run["status"] == "held"
    assert {check["name"] for check in run["checks"] if check["passed"] is False} == {
        "the catalogue offers something",
    }
    assert rows_of_runs(engine) == [*before, (run["run_id"], "held", 0)]


def test_a_night_for_an_organisation_nobody_knows_is_an_error(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    with pytest.raises(UnknownOrganisationError, match="known: default"):
        nightly(couriers, settings.model_copy(update={"organisation": "bakers"}), now=now)
    assert rows_of_runs(couriers) == []


def test_a_night_before_anybody_studied_lists_the_newest_items(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("items", "item_id,published_at\nold,2026-01-01\nnewer,2026-02-01\nundated,\n")
    take("members", "member_id\nm1\n")
    assert nightly(engine, settings, now=now)["status"] == "published"
    assert listed(engine, "m1", now) == ["newer", "old", "undated"]


def test_a_night_as_of_the_past_knows_nothing_of_what_came_later(
    couriers: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    past = datetime(2026, 2, 24, tzinfo=UTC)
    first = nightly(couriers, settings, now=now, as_of=past)
    take("events", "member_id,item_id,verb,occurred_at\nunknown,v1,liked,2026-02-24\nc1,v1,liked,2026-02-28\n")
    second = nightly(couriers, settings, now=now + DAY, as_of=past)
    assert (first["as_of"], first["made_at"], second["made_at"]) == (past, now, now + DAY)
    assert second["data_digest"] == first["data_digest"]
    assert content_of(couriers, second) == content_of(couriers, first)
    assert "new" not in listed(couriers, "unknown", now), "not published then"
    assert "closing" in listed(couriers, "unknown", now)
    third = nightly(couriers, settings, now=now, as_of=past + timedelta(microseconds=1))
    assert third["data_digest"] != first["data_digest"]


@ON_SQLITE
def test_a_night_as_of_later_leaves_out_what_is_over_by_then(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    nightly(couriers, settings, now=now, as_of=now + 30 * DAY)
    item_ids = listed(couriers, "unknown", now + 30 * DAY)
    assert "coming" in item_ids
    assert "closing" not in item_ids


@ON_SQLITE
def test_a_member_who_switched_personalisation_off_gets_what_is_popular(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    nightly(couriers, settings, now=now)
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
        push_list = push_lists.shown(session, key, "private", ListRequest(n=100, now=now))
    assert push_list["strategy"] == "popular"
    assert not {item["reason"]["code"] for item in push_list["items"]} & {"because_finished", "because_studied"}


@ON_SQLITE
def test_an_organisations_own_roles_make_its_segments(
    engine: Engine, settings: Settings, now: datetime, take: Take
) -> None:
    """Newcomers get what their role studies, though more members studied the other item."""
    with transaction(engine) as session:
        key = organisations.ensure(session, "default", now=now)
        session.execute(
            text(
                "INSERT INTO taxonomy_codes VALUES (:key, 'role', 'rider', '', 'Riders', '骑手'), "
                "(:key, 'role', 'desk', '', 'Desk', '坐班')"
            ),
            {"key": key},
        )
    take("items", "item_id,topics\na,road\nb,office\nc,road\n")
    people = [(f"r{number}", "rider", "a") for number in range(12)] + [
        (f"k{number}", "desk", "b") for number in range(15)
    ]
    newcomers = "new-rider,rider,en\nnew-desk,desk,en\n"
    take(
        "members", "member_id,role,language\n" + "".join(f"{name},{role},en\n" for name, role, _ in people) + newcomers
    )
    log = "".join(f"{name},{item},completed,2026-02-28\n" for name, _, item in people)
    take("events", "member_id,item_id,verb,occurred_at\n" + log)
    nightly(engine, settings, now=now)
    with transaction(engine) as session:
        firsts = [
            push_lists.shown(session, key, name, ListRequest(n=1, now=now))["items"][0]
            for name in ("new-rider", "new-desk")
        ]
    assert [(first["item_id"], first["reason"]["text"]) for first in firsts] == [
        ("a", "Fits riders"),
        ("b", "Fits desk"),
    ]
