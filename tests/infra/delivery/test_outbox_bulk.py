"""The outbox at sizes beyond the databases' bounds on parameters, and which run's lists it delivers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import members
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from infra.delivery import admin, claims, outbox
from infra.delivery.claims import AttemptResult
from infra.delivery.outbox import DEAD, DELIVERED, PENDING
from infra.runs import store as runs
from tests.jobs.delivery.delivery_setup import DeliverySetup

MANY = {"sqlite": 33_000, "postgresql": 70_000}
"""More than a statement of the database binds parameters."""
MEMBERS = 23
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_more_results_than_a_statement_has_parameters_are_recorded_at_once(
    setup: DeliverySetup, tmp_path: Path
) -> None:
    """PostgreSQL binds at most 65,535 parameters to a statement, SQLite 32,766."""
    many_results = MANY[setup.engine.dialect.name]
    endpoint, _ = setup.add(str(tmp_path), "jsonl")

    def many(session: Session, key: int) -> None:
        rows = pd.DataFrame({"member_id": [f"p{number:05d}" for number in range(many_results)]})
        rows["delivery_id"] = "dl_" + rows["member_id"]
        moments = dict.fromkeys(("push_at", "due_at"), pd.Timestamp(MORNING))
        moments["expires_at"] = pd.Timestamp(MORNING) + pd.Timedelta(hours=12)
        plain = {"period": "2026-03-02", "status": PENDING, "attempts": 0, "failures": 0}
        parents = {"organisation_key": key, "endpoint_key": endpoint["endpoint_key"]}
        run_key = runs.latest(session, key)["run_key"]
        bulk.insert_new(session, deliveries, rows.assign(**moments, **plain, **parents, run_key=run_key))

    setup.do(many)
    with transaction(setup.engine) as session:
        batch = claims.claim(
            session, endpoint["endpoint_key"], limit=many_results, lease=timedelta(minutes=30), now=MORNING
        )
        assert len(batch) == many_results
        assert claims.missing(session, batch) == []
        n_dead = 1_000
        results = [
            AttemptResult(claim["delivery_key"], 1, MORNING, "written", DEAD if number < n_dead else DELIVERED)
            for number, claim in enumerate(batch)
        ]
        claims.record_results(session, results)
    assert setup.statuses() == {DELIVERED: many_results - n_dead, DEAD: n_dead}


def publish(setup: DeliverySetup) -> int:
    """Publish a run with the lists of the one that is served, and plan its pushes; return its key."""

    def night(session: Session, key: int) -> int:
        before = runs.latest(session, key)
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        run_key = runs.start(session, key, as_of=setup.now, now=setup.now, record=record)
        columns = ("member_id", "strategy", "language", "entries_hash")
        rows = session.execute(
            select(*(runs.lists.c[name] for name in columns)).where(runs.lists.c.run_key == before["run_key"])
        )
        values = [dict(row) | {"organisation_key": key, "run_key": run_key} for row in rows.mappings()]
        values = [row | {"list_id": f"l{run_key}-{number}"} for number, row in enumerate(values)]
        session.execute(insert(runs.lists), values)
        runs.finish(session, run_key, status="published", now=setup.now, checks=[], counts={}, data_digest="0")
        outbox.enqueue(session, key, run_key, setup.settings, now=setup.now)
        return run_key

    run_key: int = setup.do(night)
    return run_key


@pytest.mark.parametrize(
    ("database_url", "hours_later"),
    [("sqlite", (0.0,)), ("postgresql", (0.0, 11.0)), ("sqlite", (0.0, 18.0))],
    indirect=["database_url"],
)
def test_files_always_bring_the_lists_of_the_run_that_is_served(
    setup: DeliverySetup, tmp_path: Path, hours_later: tuple[float, ...]
) -> None:
    """With five pushes a week, plans of the second week begin a day ahead; every third day has a second night."""
    changed = setup.settings.delivery.model_copy(update={"max_per_week": 5})
    setup.settings = setup.settings.model_copy(update={"delivery": changed})
    setup.add(str(tmp_path), "jsonl")
    written: set[str] = set()
    for day in range(12):
        for hours in hours_later if day % 3 == 0 else (0.0,):
            setup.now = datetime(2026, 3, 3, 2, 30, tzinfo=UTC) + timedelta(days=day, hours=hours)
            ahead = [row for row in setup.rows() if row["status"] == DELIVERED and row["push_at"] > setup.now]
            assert not ahead, f"day {day}, {hours} hours: written before the run that is served when it is pushed"
            run_key = publish(setup)
            for hour in (0, 6):
                setup.later(hours=hour)
                setup.deliver()
                fresh = [
                    row for row in setup.rows() if row["status"] == DELIVERED and row["delivery_id"] not in written
                ]
                written |= {row["delivery_id"] for row in fresh}
                assert {row["run_key"] for row in fresh} <= {run_key}, "the served run's"
                ages = [row["push_at"] - (setup.now - timedelta(hours=hour)) for row in fresh]
                assert all(age < timedelta(hours=24) for age in ages), f"day {day}: {max(ages)}"
    assert len({row["period"] for row in setup.rows() if row["status"] == DELIVERED}) >= 8


def test_a_retry_brings_the_lists_of_the_run_that_is_served_now(setup: DeliverySetup) -> None:
    setup.add("https://app.example/pushes")
    setup.enqueue()
    setup.now = MORNING
    first = claims_of(setup)
    setup.later(hours=1)
    run_key = publish(setup)
    again = claims_of(setup)
    assert {claim["delivery_id"] for claim in first} == {claim["delivery_id"] for claim in again}
    assert {claim["run_key"] for claim in again} == {run_key}


def claims_of(setup: DeliverySetup) -> list[dict[str, Any]]:
    """Claim everything that is due."""
    with transaction(setup.engine) as session:
        [endpoint_key] = {row["endpoint_key"] for row in setup.rows()}
        return claims.claim(session, endpoint_key, limit=100, lease=timedelta(minutes=1), now=setup.now)


def test_retrying_all_dead_deliveries_reads_members_and_events_once(setup: DeliverySetup) -> None:
    setup.add("https://app.example/pushes")
    setup.enqueue()
    with transaction(setup.engine) as session:
        session.execute(update(deliveries).values(status=DEAD))
        session.execute(update(members).where(members.c.member_id == "d1").values(pushes=False))
    setup.now = MORNING
    queries: list[str] = []
    event.listen(setup.engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))

    def retry(session: Session, key: int) -> dict[str, Any]:
        chosen = admin.list_deliveries(session, key, status=DEAD, limit=1_000)
        return admin.redeliver(session, key, chosen, setup.settings, now=setup.now)

    results = setup.do(retry)
    assert len(results) == MEMBERS
    assert sum(isinstance(result, datetime) for result in results.values()) == MEMBERS - 1
    assert len(queries) < 15, "not some for each delivery"
    assert setup.statuses() == {PENDING: MEMBERS - 1, DEAD: 1}
