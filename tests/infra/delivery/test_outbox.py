"""The ledger: what is planned, claimed, settled, tried again and measured."""

import threading
from collections import Counter
from collections.abc import Callable
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
from infra.delivery.claims import Settled
from infra.delivery.metrics import Meters, QueueCollector
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, PENDING
from infra.errors import DeliveryError, UnknownDeliveryError
from infra.runs import store as runs
from infra.settings.settings import Settings
from tests.jobs.delivery.delivery_desk import LOCAL, Desk

MEMBERS = 23
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(engine: Engine, settings: Settings, now: datetime, served: dict[str, Any]) -> Desk:
    """Return the delivery of an organisation with a webhook, whose pushes are planned."""
    del served
    made = Desk(engine, settings.model_copy(update={"delivery": LOCAL}), now)
    made.add("https://app.example/pushes")
    return made


@pytest.fixture
def endpoint_key(desk: Desk) -> int:
    """Return the key of the webhook, its pushes being planned."""
    desk.enqueue()
    [one] = desk.do(endpoints.listing)
    key: int = one["endpoint_key"]
    return key


def change(desk: Desk, **values: Any) -> None:
    """Change settings of the delivery."""
    given = desk.settings.delivery.model_copy(update=values)
    desk.settings = desk.settings.model_copy(update={"delivery": given})


def claim(desk: Desk, key: int, *, limit: int = 100, lease: timedelta = MINUTE) -> list[dict[str, Any]]:
    """Claim what is due."""
    with transaction(desk.engine) as session:
        return claims.claim(session, key, limit=limit, lease=lease, now=desk.now)


def settle(desk: Desk, one: dict[str, Any], status: str, **more: Any) -> None:
    """Write down what became of a claimed delivery."""
    result = Settled(one["delivery_key"], one["attempts"], desk.now, "told", status, **more)
    with transaction(desk.engine) as session:
        claims.settle(session, [result])


def test_every_member_with_a_list_gets_one_row_of_its_date(desk: Desk, endpoint_key: int) -> None:
    del endpoint_key
    rows = desk.rows()
    assert len({row["member_id"] for row in rows}) == len(rows) == MEMBERS
    assert {(row["period"], row["push_at"], row["due_at"]) for row in rows} == {("2026-03-02", MORNING, MORNING)}
    assert {row["expires_at"] for row in rows} == {datetime(2026, 3, 2, 22, tzinfo=UTC)}
    assert "" not in {row["member_id"] for row in rows}


def test_the_same_run_again_changes_nothing(desk: Desk, endpoint_key: int) -> None:
    del endpoint_key
    before = Counter((row["member_id"], row["period"]) for row in desk.rows())
    assert desk.enqueue()["planned"] == MEMBERS
    assert Counter((row["member_id"], row["period"]) for row in desk.rows()) == before


def test_a_night_after_the_push_plans_the_next_date(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    for one in claim(desk, endpoint_key):
        settle(desk, one, DELIVERED)
    assert desk.enqueue()["planned"] == MEMBERS
    assert Counter(row["period"] for row in desk.rows()) == {"2026-03-02": MEMBERS, "2026-03-03": MEMBERS}


def test_what_is_due_keeps_its_place_and_brings_the_new_lists(desk: Desk, endpoint_key: int) -> None:
    """A second night while the pushes of the first wait for a worker; one of them is under way."""
    desk.now = MORNING
    [under_way] = claim(desk, endpoint_key, limit=1)
    first = under_way["run_key"]
    with transaction(desk.engine) as session:
        key = under_way["organisation_key"]
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        second = runs.start(session, key, as_of=desk.now, now=desk.now, record=record)
        lists = pd.DataFrame({"member_id": ["d1"], "path": "history", "language": "en", "content": "x"})
        runs.store_lists(session, key, second, lists, pd.DataFrame({"content": ["x"], "entries": ["[]"]}))
        outbox.enqueue(session, key, second, desk.settings.delivery, now=desk.now)

    today = [row for row in desk.rows() if row["period"] == "2026-03-02"]
    assert Counter(row["run_key"] for row in today) == {first: 1, second: MEMBERS - 1}
    assert [row["member_id"] for row in desk.rows() if row["period"] == "2026-03-03"] == ["d1"]


def test_without_endpoints_nothing_is_planned(desk: Desk) -> None:
    [one] = desk.do(endpoints.listing)
    desk.do(lambda session, _: endpoints.set_status(session, one["endpoint_key"], endpoints.DISABLED, reason="gone"))

    assert desk.enqueue() == {}
    assert desk.rows() == []


def test_caps_are_over_all_endpoints_and_the_first_one_comes_first(desk: Desk) -> None:
    first = desk.do(endpoints.listing)[0]["endpoint_key"]
    desk.add("https://second.example/")

    counts = desk.enqueue()

    assert counts["planned"] == 2 * MEMBERS
    by_date = {(row["endpoint_key"], row["period"]) for row in desk.rows()}
    assert (first, "2026-03-02") in by_date
    assert len(by_date) == 2  # the second one has the next date
    change(desk, max_per_week=1)
    desk.do(lambda session, _: session.execute(ledger.delete()))
    assert desk.enqueue() == {"planned": MEMBERS, "switched_off": 0, "capped": MEMBERS, "no_open_hours": 0}


def test_members_are_pushed_to_when_they_use_to_study(desk: Desk) -> None:
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
            }
            for day in range(10)
            for hour in (0, 12)
        ]
        session.execute(insert(events), rows)
        shanghai = update(members).where(members.c.member_id == "d1").values(timezone="Asia/Shanghai")
        session.execute(shanghai)

    desk.do(study)
    desk.enqueue()

    [theirs] = [row for row in desk.rows() if row["member_id"] == "d1"]
    assert theirs["push_at"] == datetime(2026, 3, 2, 11, tzinfo=UTC)  # 19:00 in Shanghai: 19 to 21 hold the evening


def test_many_workers_never_hold_the_same_delivery(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    taken: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        while found := claim(desk, endpoint_key, limit=2):
            taken.extend(one["delivery_key"] for one in found)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(taken) == len(set(taken)) == MEMBERS


def test_a_lease_that_is_over_lets_another_worker_in_under_the_same_id(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    first = claim(desk, endpoint_key)
    assert claim(desk, endpoint_key) == []
    desk.now += MINUTE
    second = claim(desk, endpoint_key)

    assert {one["delivery_id"] for one in first} == {one["delivery_id"] for one in second}
    assert {one["attempts"] for one in second} == {2}
    assert {(one["number"], one["outcome"]) for one in desk.attempts()} == {(1, None), (2, None)}


def test_a_late_failure_changes_nothing_and_a_late_success_counts(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    late, lost, *_ = claim(desk, endpoint_key)
    desk.now += MINUTE
    again = {one["delivery_key"]: one for one in claim(desk, endpoint_key)}
    settle(desk, late, DELIVERED)
    settle(desk, lost, DEAD)
    settle(desk, again[late["delivery_key"]], PENDING, due_at=desk.now)

    rows = {row["delivery_key"]: row for row in desk.rows()}
    assert rows[late["delivery_key"]]["status"] == DELIVERED
    assert rows[lost["delivery_key"]]["status"] == PENDING
    assert rows[lost["delivery_key"]]["leased_until"] == desk.now + MINUTE


def test_what_is_not_delivered_in_its_time_is_dead_but_not_while_a_worker_holds_it(
    desk: Desk, endpoint_key: int
) -> None:
    desk.now = datetime(2026, 3, 2, 21, 59, 30, tzinfo=UTC)
    claim(desk, endpoint_key, limit=1)
    desk.now = datetime(2026, 3, 2, 22, tzinfo=UTC)
    with transaction(desk.engine) as session:
        assert claims.bury_expired(session, now=desk.now) == MEMBERS - 1
        assert claims.bury_expired(session, now=desk.now + MINUTE) == 1
    assert {row["reason"] for row in desk.rows()} == {"its time was over; last attempt: none"}


def find(desk: Desk, delivery_id: str) -> dict[str, Any]:
    found: dict[str, Any] = desk.do(lambda session, key: admin.find(session, key, delivery_id))
    return found


def again(desk: Desk, how: Callable[..., datetime], delivery_id: str) -> datetime:
    """Send a delivery again."""
    found = find(desk, delivery_id)
    at: datetime = desk.do(lambda session, _: how(session, found, desk.settings.delivery, now=desk.now))
    return at


def test_a_dead_delivery_is_tried_again_at_the_next_open_time_under_its_old_id(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    [one] = claim(desk, endpoint_key, limit=1)
    settle(desk, one, DEAD)
    desk.now = datetime(2026, 3, 2, 23, tzinfo=UTC)

    at = again(desk, admin.retry, one["delivery_id"])

    assert at == datetime(2026, 3, 3, 8, tzinfo=UTC)
    row = find(desk, one["delivery_id"])
    assert (row["status"], row["period"], row["due_at"]) == (PENDING, "2026-03-03", at)
    desk.now = at
    assert [held["delivery_id"] for held in claim(desk, endpoint_key)] == [one["delivery_id"]]


def test_a_retry_keeps_to_the_caps_and_to_one_push_a_date(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    held = claim(desk, endpoint_key)
    for one in held[:2]:
        settle(desk, one, DEAD)
    dead, off = held[:2]
    desk.do(
        lambda session, _: session.execute(
            update(members).where(members.c.member_id == off["member_id"]).values(pushes=False)
        )
    )
    with pytest.raises(DeliveryError, match="switched_off"):
        again(desk, admin.retry, off["delivery_id"])
    change(desk, max_per_day=2)
    desk.now = datetime(2026, 3, 2, 23, tzinfo=UTC)
    desk.enqueue()
    with pytest.raises(DeliveryError, match="has a push of this endpoint on 2026-03-03 already"):
        again(desk, admin.retry, dead["delivery_id"])
    change(desk, max_per_day=1)
    with pytest.raises(DeliveryError, match="capped"):
        again(desk, admin.retry, dead["delivery_id"])


def test_what_was_delivered_is_replayed_on_its_old_date_whatever_the_caps(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    [one] = claim(desk, endpoint_key, limit=1)
    settle(desk, one, DELIVERED)
    with pytest.raises(DeliveryError, match="xuelu deliveries replay"):
        again(desk, admin.retry, one["delivery_id"])

    assert again(desk, admin.replay, one["delivery_id"]) == MORNING

    assert find(desk, one["delivery_id"])["period"] == "2026-03-02"
    with pytest.raises(DeliveryError, match="is pending and will be sent at 2026-03-02 08:00 UTC"):
        again(desk, admin.replay, one["delivery_id"])


def test_a_dropped_delivery_is_not_sent_and_cannot_be_dropped_twice(desk: Desk, endpoint_key: int) -> None:
    name = desk.rows()[0]["delivery_id"]

    def drop(session: Session, key: int) -> None:
        admin.drop(session, admin.find(session, key, name), now=desk.now)

    desk.do(drop)
    desk.now = MORNING
    assert name not in {one["delivery_id"] for one in claim(desk, endpoint_key)}
    with pytest.raises(DeliveryError, match="is dropped already"):
        desk.do(drop)
    with pytest.raises(UnknownDeliveryError, match="xuelu deliveries list"):
        find(desk, "dl_unknown")


def test_a_removed_endpoint_drops_what_it_would_still_get(desk: Desk, endpoint_key: int) -> None:
    with transaction(desk.engine) as session:
        assert claims.drop_pending(session, endpoint_key, now=desk.now) == MEMBERS
    assert desk.statuses() == {DROPPED: MEMBERS}


def test_metrics_tell_the_queue_of_every_endpoint(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    settle(desk, claim(desk, endpoint_key, limit=1)[0], DEAD)
    settle(desk, claim(desk, endpoint_key, limit=1)[0], DELIVERED)
    desk.now += MINUTE
    registry = CollectorRegistry()
    registry.register(QueueCollector(desk.engine, desk.clock))
    meters = Meters(registry)
    meters.count(DELIVERED, 3)
    with meters.timed():
        pass

    text = generate_latest(registry).decode()

    [one] = desk.do(endpoints.listing)
    labels = f'{{endpoint="{one["endpoint_id"]}",organisation="default"}}'
    assert f"xuelu_deliveries_pending{labels} {MEMBERS - 2:.1f}" in text
    assert f"xuelu_deliveries_due{labels} {MEMBERS - 2:.1f}" in text
    assert f"xuelu_delivery_queue_age_seconds{labels} 60.0" in text
    assert f"xuelu_deliveries_dead{labels} 1.0" in text
    assert 'xuelu_delivery_attempts_total{status="delivered"} 3.0' in text
    assert "xuelu_delivery_seconds_count 1.0" in text


def test_runs_that_are_no_longer_kept_take_their_deliveries_along(desk: Desk, endpoint_key: int) -> None:
    desk.now = MORNING
    claim(desk, endpoint_key)
    with transaction(desk.engine) as session:
        old = session.execute(select(ledger.c.run_key)).scalars().first()
        key = session.execute(select(ledger.c.organisation_key)).scalars().first()
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        new = runs.start(session, key, as_of=desk.now, now=desk.now, record=record)
        runs.finish(session, new, status="published", now=desk.now, checks=[], counts={"lists": 1}, data_digest="0")
        assert runs.prune(session, key, before=desk.now + MINUTE)
        assert old != new
    assert desk.rows() == []
    assert desk.attempts() == []
