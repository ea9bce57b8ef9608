"""The outbox: planning, claiming, recording results, retrying and measuring."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from infra.db.core_tables import events, members
from infra.db.delivery_tables import deliveries as ledger
from infra.db.engine import transaction
from infra.delivery import admin, claims, endpoints, outbox
from infra.delivery.claims import AttemptResult
from infra.delivery.metrics import DeliveryMetrics, QueueCollector
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, PENDING
from infra.errors import DeliveryError, NotFoundError, RunStateError
from infra.runs import store as runs
from infra.settings.settings import Settings
from tests.jobs.delivery.delivery_setup import DeliverySetup

MEMBERS = 23
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def setup(setup: DeliverySetup) -> DeliverySetup:
    """Return the delivery of an organisation with a webhook."""
    setup.add("https://app.example/pushes")
    return setup


@pytest.fixture
def endpoint_key(setup: DeliverySetup) -> int:
    """Return the key of the webhook, its pushes being planned."""
    setup.enqueue()
    [endpoint] = setup.do(endpoints.list_endpoints)
    key: int = endpoint["endpoint_key"]
    return key


def change(setup: DeliverySetup, **values: Any) -> None:
    """Change settings of the delivery."""
    delivery_settings = setup.settings.delivery.model_copy(update=values)
    setup.settings = setup.settings.model_copy(update={"delivery": delivery_settings})


def claim(setup: DeliverySetup, key: int, *, limit: int = 100, lease: timedelta = MINUTE) -> list[dict[str, Any]]:
    """Claim what is due."""
    with transaction(setup.engine) as session:
        return claims.claim(session, key, limit=limit, lease=lease, now=setup.now)


def record(setup: DeliverySetup, delivery: dict[str, Any], status: str, **more: Any) -> None:
    """Record the result of a claimed delivery."""
    result = AttemptResult(delivery["delivery_key"], delivery["attempts"], setup.now, "tried", status, **more)
    with transaction(setup.engine) as session:
        claims.record_results(session, [result])


def test_every_member_with_a_list_gets_one_row_of_its_date(setup: DeliverySetup, endpoint_key: int) -> None:
    del endpoint_key
    rows = setup.rows()
    assert len({row["member_id"] for row in rows}) == len(rows) == MEMBERS
    assert {(row["period"], row["push_at"], row["due_at"]) for row in rows} == {("2026-03-02", MORNING, MORNING)}
    assert {row["expires_at"] for row in rows} == {datetime(2026, 3, 2, 22, tzinfo=UTC)}
    assert "" not in {row["member_id"] for row in rows}


def test_the_same_run_again_changes_nothing(setup: DeliverySetup, endpoint_key: int) -> None:
    del endpoint_key
    before = Counter((row["member_id"], row["period"]) for row in setup.rows())
    assert setup.enqueue()["planned"] == MEMBERS
    assert Counter((row["member_id"], row["period"]) for row in setup.rows()) == before


def test_a_night_after_the_push_plans_the_next_date(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    for delivery in claim(setup, endpoint_key):
        record(setup, delivery, DELIVERED)
    assert setup.enqueue()["planned"] == MEMBERS
    assert Counter(row["period"] for row in setup.rows()) == {"2026-03-02": MEMBERS, "2026-03-03": MEMBERS}


def test_what_is_due_keeps_its_place_and_brings_the_new_lists(setup: DeliverySetup, endpoint_key: int) -> None:
    """A second night while the pushes of the first wait for a worker; one of them is under way."""
    setup.now = MORNING
    [under_way] = claim(setup, endpoint_key, limit=1)
    first = under_way["run_key"]
    with transaction(setup.engine) as session:
        key = under_way["organisation_key"]
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        second = runs.start(session, key, as_of=setup.now, now=setup.now, record=record)
        lists = pd.DataFrame({"member_id": ["d1"], "strategy": "history", "language": "en", "entries_hash": "x"})
        runs.store_lists(session, key, second, lists, pd.DataFrame({"entries_hash": ["x"], "entries": ["[]"]}))
        outbox.enqueue(session, key, second, setup.settings, now=setup.now)

    today = [row for row in setup.rows() if row["period"] == "2026-03-02"]
    assert Counter(row["run_key"] for row in today) == {first: 1, second: MEMBERS - 1}
    assert [row["member_id"] for row in setup.rows() if row["period"] == "2026-03-03"] == ["d1"]


def test_without_endpoints_nothing_is_planned(setup: DeliverySetup) -> None:
    [endpoint] = setup.do(endpoints.list_endpoints)
    setup.do(
        lambda session, _: endpoints.set_status(session, endpoint["endpoint_key"], endpoints.DISABLED, reason="gone")
    )

    assert setup.enqueue() == {}
    assert setup.rows() == []


def test_caps_are_over_all_endpoints_and_the_first_one_comes_first(setup: DeliverySetup) -> None:
    first = setup.do(endpoints.list_endpoints)[0]["endpoint_key"]
    setup.add("https://second.example/")

    counts = setup.enqueue()

    assert counts["planned"] == 2 * MEMBERS
    by_date = {(row["endpoint_key"], row["period"]) for row in setup.rows()}
    assert (first, "2026-03-02") in by_date
    assert len(by_date) == 2  # the second one has the next date
    change(setup, max_per_week=1)
    setup.do(lambda session, _: session.execute(ledger.delete()))
    assert setup.enqueue() == {
        "planned": MEMBERS,
        "switched_off": 0,
        "capped": MEMBERS,
        "no_open_hours": 0,
        "outside_study_hours": 0,
        "failed": 0,
    }


def test_members_are_pushed_to_when_they_use_to_study(setup: DeliverySetup) -> None:
    """Member d1 studies at eight in the evening, in Shanghai; one event of every day says nothing of the hour."""
    start = datetime(2026, 2, 10, tzinfo=UTC)

    def study(session: Session, key: int) -> None:
        rows = [
            {
                "organisation_key": key,
                "event_id": f"e{day}-{hour}",
                "member_id": "d1",
                "item_id": "v1",
                "verb": "viewed",
                "occurred_at": start + timedelta(days=day, hours=hour),
                "date_only": hour == 0,
            }
            for day in range(10)
            for hour in (0, 12)
        ]
        session.execute(insert(events), rows)
        shanghai = update(members).where(members.c.member_id == "d1").values(timezone="Asia/Shanghai")
        session.execute(shanghai)

    setup.do(study)
    setup.enqueue()

    [theirs] = [row for row in setup.rows() if row["member_id"] == "d1"]
    assert theirs["push_at"] == datetime(2026, 3, 2, 11, tzinfo=UTC)  # 19:00 in Shanghai: 19 to 21 hold the evening


def test_pushes_shown_and_dismissed_and_study_taken_back_are_no_habit(setup: DeliverySetup) -> None:
    """Member d1 dismissed pushes in the afternoon, and took back what was logged after that."""
    start = datetime(2026, 2, 10, tzinfo=UTC)
    named = {"member_id": "d1", "item_id": "v1"}

    def log(session: Session, key: int) -> None:
        for day in range(10):
            at = start + timedelta(days=day)
            rows = [
                named | {"event_id": f"s{day}", "verb": "shown", "occurred_at": at + timedelta(hours=13)},
                named | {"event_id": f"d{day}", "verb": "dismissed", "occurred_at": at + timedelta(hours=13)},
                named | {"event_id": f"v{day}", "verb": "viewed", "occurred_at": at + timedelta(hours=15)},
                {"event_id": f"x{day}", "verb": "voided", "occurred_at": at, "voided_event_id": f"v{day}"},
            ]
            for row in rows:
                session.execute(insert(events).values(organisation_key=key, **row))

    setup.do(log)
    setup.enqueue()

    assert len({row["push_at"] for row in setup.rows()}) == 1, "as those of members without any habit"


def test_many_workers_never_hold_the_same_delivery(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    taken: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        while claimed := claim(setup, endpoint_key, limit=2):
            taken.extend(delivery["delivery_key"] for delivery in claimed)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(taken) == len(set(taken)) == MEMBERS


def test_a_lease_that_is_over_lets_another_worker_in_under_the_same_id(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    first = claim(setup, endpoint_key)
    assert claim(setup, endpoint_key) == []
    setup.now += MINUTE
    second = claim(setup, endpoint_key)

    assert {delivery["delivery_id"] for delivery in first} == {delivery["delivery_id"] for delivery in second}
    assert {delivery["attempts"] for delivery in second} == {2}
    assert {(attempt["number"], attempt["outcome"]) for attempt in setup.attempts()} == {(1, None), (2, None)}


def test_leases_and_pauses_of_a_clock_that_ran_ahead_hold_nothing_up(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    assert claim(setup, endpoint_key, lease=timedelta(days=365))
    setup.do(lambda session, _: endpoints.throttle(session, endpoint_key, until=MORNING + timedelta(days=365)))
    assert len(setup.do(lambda session, _: claims.endpoints_with_due(session, now=MORNING))) == 1
    assert len(claim(setup, endpoint_key)) == MEMBERS


def test_a_late_failure_changes_nothing_and_a_late_success_counts(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    late, lost, *_ = claim(setup, endpoint_key)
    setup.now += MINUTE
    again = {delivery["delivery_key"]: delivery for delivery in claim(setup, endpoint_key)}
    record(setup, late, DELIVERED)
    record(setup, lost, DEAD)
    record(setup, again[late["delivery_key"]], PENDING, due_at=setup.now)

    rows = {row["delivery_key"]: row for row in setup.rows()}
    assert rows[late["delivery_key"]]["status"] == DELIVERED
    assert rows[lost["delivery_key"]]["status"] == PENDING
    assert rows[lost["delivery_key"]]["leased_until"] == setup.now + MINUTE


def test_what_is_not_delivered_in_its_time_is_dead_but_not_while_a_worker_holds_it(
    setup: DeliverySetup, endpoint_key: int
) -> None:
    setup.now = datetime(2026, 3, 2, 21, 59, 30, tzinfo=UTC)
    claim(setup, endpoint_key, limit=1)
    setup.now = datetime(2026, 3, 2, 22, tzinfo=UTC)
    with transaction(setup.engine) as session:
        assert claims.expire_overdue(session, now=setup.now) == MEMBERS - 1
        assert claims.expire_overdue(session, now=setup.now + MINUTE) == 1
    assert {row["reason"] for row in setup.rows()} == {"expired; last attempt: none"}


def stored(setup: DeliverySetup, delivery_id: str) -> dict[str, Any]:
    """Return a delivery with its attempts."""
    delivery: dict[str, Any] = setup.do(lambda session, key: admin.get_delivery(session, key, delivery_id))
    return delivery


def redeliver(setup: DeliverySetup, *delivery_ids: str) -> list[datetime]:
    """Send deliveries again; raise the first refusal."""
    chosen = [stored(setup, delivery_id) for delivery_id in delivery_ids]
    results: dict[str, Any] = setup.do(
        lambda session, key: admin.redeliver(session, key, chosen, setup.settings, now=setup.now)
    )
    for result in results.values():
        if isinstance(result, DeliveryError):
            raise result
    return list(results.values())


def test_a_dead_delivery_is_tried_again_at_the_next_open_time_under_its_old_id(
    setup: DeliverySetup, endpoint_key: int
) -> None:
    setup.now = MORNING
    [delivery] = claim(setup, endpoint_key, limit=1)
    record(setup, delivery, DEAD)
    setup.now = datetime(2026, 3, 2, 23, tzinfo=UTC)

    [at] = redeliver(setup, delivery["delivery_id"])

    assert at == datetime(2026, 3, 3, 8, tzinfo=UTC)
    row = stored(setup, delivery["delivery_id"])
    assert (row["status"], row["period"], row["due_at"]) == (PENDING, "2026-03-03", at)
    setup.now = at
    assert [held["delivery_id"] for held in claim(setup, endpoint_key)] == [delivery["delivery_id"]]


def test_a_retry_keeps_to_the_caps_and_to_one_push_a_date(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    held = claim(setup, endpoint_key)
    for delivery in held[:2]:
        record(setup, delivery, DEAD)
    dead, off = held[:2]
    setup.do(
        lambda session, _: session.execute(
            update(members).where(members.c.member_id == off["member_id"]).values(pushes=False)
        )
    )
    with pytest.raises(DeliveryError, match="switched_off"):
        redeliver(setup, off["delivery_id"])
    change(setup, max_per_day=2)
    setup.now = datetime(2026, 3, 2, 23, tzinfo=UTC)
    setup.enqueue()
    with pytest.raises(DeliveryError, match="has a push of this endpoint on 2026-03-03 already"):
        redeliver(setup, dead["delivery_id"])
    change(setup, max_per_day=1)
    with pytest.raises(DeliveryError, match="capped"):
        redeliver(setup, dead["delivery_id"])


def test_what_was_delivered_is_sent_again_on_its_old_date_whatever_the_caps(
    setup: DeliverySetup, endpoint_key: int
) -> None:
    setup.now = MORNING
    [delivery] = claim(setup, endpoint_key, limit=1)
    record(setup, delivery, DELIVERED)
    assert redeliver(setup, delivery["delivery_id"]) == [MORNING]

    assert stored(setup, delivery["delivery_id"])["period"] == "2026-03-02"
    with pytest.raises(DeliveryError, match="is pending and will be sent at 2026-03-02 08:00 UTC"):
        redeliver(setup, delivery["delivery_id"])


def test_a_dropped_delivery_is_not_sent_and_cannot_be_dropped_twice(setup: DeliverySetup, endpoint_key: int) -> None:
    name = setup.rows()[0]["delivery_id"]

    def drop(session: Session, key: int) -> None:
        admin.drop(session, admin.get_delivery(session, key, name), now=setup.now)

    setup.do(drop)
    setup.now = MORNING
    assert name not in {delivery["delivery_id"] for delivery in claim(setup, endpoint_key)}
    with pytest.raises(DeliveryError, match="is dropped already"):
        setup.do(drop)
    with pytest.raises(NotFoundError, match="xuelu deliveries list"):
        stored(setup, "dl_unknown")


def test_a_removed_endpoint_drops_what_it_would_still_get(setup: DeliverySetup, endpoint_key: int) -> None:
    with transaction(setup.engine) as session:
        assert claims.drop_pending(session, endpoint_key, now=setup.now) == MEMBERS
    assert setup.statuses() == {DROPPED: MEMBERS}


def test_metrics_tell_the_queue_of_every_endpoint(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    record(setup, claim(setup, endpoint_key, limit=1)[0], DEAD)
    record(setup, claim(setup, endpoint_key, limit=1)[0], DELIVERED)
    setup.now += MINUTE
    registry = CollectorRegistry()
    registry.register(QueueCollector(setup.engine, setup.clock))
    metrics = DeliveryMetrics(registry)
    metrics.count(DELIVERED, 3)
    with metrics.timed():
        pass

    text = generate_latest(registry).decode()

    [endpoint] = setup.do(endpoints.list_endpoints)
    labels = f'{{endpoint="{endpoint["endpoint_id"]}",organisation="default"}}'
    assert f"xuelu_deliveries_pending{labels} {MEMBERS - 2:.1f}" in text
    assert f"xuelu_deliveries_due{labels} {MEMBERS - 2:.1f}" in text
    assert f"xuelu_delivery_queue_age_seconds{labels} 60.0" in text
    assert f"xuelu_deliveries_dead{labels} 1.0" in text
    assert 'xuelu_delivery_attempts_total{status="delivered"} 3.0' in text
    assert "xuelu_delivery_seconds_count 1.0" in text


def test_runs_that_are_no_longer_kept_take_their_deliveries_along(setup: DeliverySetup, endpoint_key: int) -> None:
    setup.now = MORNING
    claim(setup, endpoint_key)
    with transaction(setup.engine) as session:
        old = session.execute(select(ledger.c.run_key)).scalars().first()
        key = session.execute(select(ledger.c.organisation_key)).scalars().first()
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        new = runs.start(session, key, as_of=setup.now, now=setup.now, record=record)
        runs.finish(session, new, status="published", now=setup.now, checks=[], counts={"lists": 1}, data_digest="0")
        week_after = setup.now + timedelta(days=9)
        policy = setup.settings.policy
        counted = [admin.counted_runs(session, key, policy, now=now) for now in (setup.now, week_after)]
        assert counted == [[old], []], "of a week pushes count under the cap"
        assert not runs.prune(session, key, before=week_after, stay=counted[0])
        assert runs.prune(session, key, before=week_after, stay=counted[1])
        assert old != new
    assert setup.rows() == []
    assert setup.attempts() == []


def test_a_run_that_is_not_served_is_not_rolled_back_where_none_is(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(engine) as session, pytest.raises(RunStateError, match="earlier is not served any more"):
        outbox.roll_back(session, 1, settings, actor="a", run_id="earlier", now=now)
