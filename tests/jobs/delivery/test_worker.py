"""Pushes to a study app on this machine, from the plan to the ledger."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update
from standardwebhooks import Webhook, WebhookVerificationError

from benchmarks.study_app import Push, Reply, StudyApp
from infra.db.core_tables import members
from infra.delivery import endpoints
from infra.delivery.sealed_secrets import Sealer
from infra.errors import DatabaseError, SettingsError
from infra.settings.settings import Settings
from jobs.delivery.worker import deliver
from tests.jobs.delivery.delivery_desk import KEY, LOCAL, Desk

MEMBERS = 23
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def desk(engine: Engine, settings: Settings, now: datetime, served: dict[str, Any]) -> Desk:
    """Return the delivery of an organisation whose lists were published last night."""
    del served
    return Desk(engine, settings.model_copy(update={"delivery": LOCAL}), now)


@pytest.fixture
def planned(desk: Desk) -> Callable[..., Desk]:
    """Return what registers an app, plans the pushes, and waits until they are due."""

    def plan(app: StudyApp, **changes: object) -> Desk:
        delivery = desk.settings.delivery.model_copy(update=changes)
        desk.settings = desk.settings.model_copy(update={"delivery": delivery})
        desk.add(app.url)
        assert desk.enqueue()["planned"] == MEMBERS
        desk.now = MORNING
        return desk

    return plan


def test_every_member_gets_one_signed_push_in_open_hours_and_nothing_before(desk: Desk) -> None:
    with StudyApp() as app:
        _, secret = desk.add(app.url)
        counts = desk.enqueue()
        assert desk.deliver() == Counter()
        desk.now = MORNING
        done = desk.deliver()

    assert counts == {"planned": MEMBERS, "switched_off": 0, "capped": 0, "no_open_hours": 0}
    assert +done == {"delivered": MEMBERS}
    assert len(set(app.ids)) == len(app.seen) == MEMBERS
    assert {row["delivery_id"] for row in desk.rows()} == set(app.ids)
    assert {(one["number"], one["outcome"]) for one in desk.attempts()} == {(1, "status 204")}
    for push in app.seen:
        assert push.headers["host"] == f"127.0.0.1:{app.port}"
        assert push.headers["user-agent"].startswith("xuelu/")
        assert int(push.headers["webhook-timestamp"]) == MORNING.timestamp()
        signed = Webhook(secret).sign(push.delivery_id, MORNING, push.body.decode())
        assert push.headers["webhook-signature"] == signed
    bodies = [json.loads(push.body) for push in app.seen]
    assert {body["type"] for body in bodies} == {"push_list.ready"}
    assert {body["data"]["member_id"] for body in bodies} == {row["member_id"] for row in desk.rows()}
    assert all(body["data"]["items"] and body["data"]["items"][0]["reason"]["text"] for body in bodies)


def test_a_receiver_verifies_a_push_with_the_library_and_refuses_a_changed_one(desk: Desk) -> None:
    desk.now = datetime.now(UTC)
    with StudyApp() as app:
        _, secret = desk.add(app.url)
        desk.enqueue()
        desk.now = max(row["push_at"] for row in desk.rows())
        desk.deliver()

    push, now = app.seen[0], datetime.now(UTC)
    fresh = {**push.headers, "webhook-timestamp": str(int(now.timestamp()))}
    fresh["webhook-signature"] = Webhook(secret).sign(push.delivery_id, now, push.body.decode())
    assert Webhook(secret).verify(push.body, fresh)["data"]["member_id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(push.body + b" ", fresh)


def test_two_secrets_sign_while_one_replaces_the_other(desk: Desk) -> None:
    with StudyApp() as app:
        endpoint, old = desk.add(app.url)
        desk.enqueue()
        desk.now = MORNING

        def rotate(session: Any, _key: int) -> str:
            return endpoints.rotate(session, endpoint, Sealer(KEY), overlap=timedelta(hours=1), now=desk.now)

        new = desk.do(rotate)
        desk.deliver()
        both = app.seen[0]
        desk.later(days=1)
        desk.enqueue()
        desk.deliver()
        one = app.seen[-1]

    assert new != old
    assert both.headers["webhook-signature"].split(" ") == [
        Webhook(secret).sign(both.delivery_id, MORNING, both.body.decode()) for secret in (new, old)
    ]
    assert one.headers["webhook-signature"] == Webhook(new).sign(one.delivery_id, desk.now, one.body.decode())


@pytest.mark.parametrize("reply", [Reply(500), Reply(302, {"location": "/pushes"}), Reply(400), Reply(None)])
def test_whatever_is_no_2xx_is_a_failure_and_is_tried_again_under_the_same_id(
    planned: Callable[..., Desk], reply: Reply
) -> None:
    replies = [reply] * MEMBERS + [Reply(200)] * MEMBERS
    with StudyApp(lambda _push: replies.pop(0)) as app:
        desk = planned(app, retry_seconds=(60.0,))
        assert +desk.deliver() == {"pending": MEMBERS}
        desk.later(seconds=40)
        assert +desk.deliver() == {}
        desk.later(seconds=40)
        assert +desk.deliver() == {"delivered": MEMBERS}

    assert Counter(Counter(app.ids).values()) == {2: MEMBERS}
    waits = {(row["due_at"] - MORNING).total_seconds() for row in desk.rows()}
    assert min(waits) >= 48
    assert max(waits) <= 72
    assert len(waits) > MEMBERS // 2


def test_a_delivery_is_dead_when_all_its_retries_have_failed(planned: Callable[..., Desk]) -> None:
    with StudyApp(lambda _push: Reply(500)) as app:
        desk = planned(app, retry_seconds=(1.0, 1.0))
        for _ in range(5):
            desk.deliver()
            desk.later(seconds=5)

    assert Counter(Counter(app.ids).values()) == {3: MEMBERS}
    assert {(row["status"], row["reason"], row["failures"]) for row in desk.rows()} == {("dead", "status 500", 3)}


def test_a_delivery_is_dead_when_quiet_hours_begin(planned: Callable[..., Desk]) -> None:
    with StudyApp(lambda _push: Reply(500)) as app:
        desk = planned(app)
        desk.deliver()
        desk.now = datetime(2026, 3, 2, 22, tzinfo=UTC)
        assert +desk.deliver() == {"dead": MEMBERS}

    assert len(app.seen) == MEMBERS
    assert {row["reason"] for row in desk.rows()} == {"its time was over; last attempt: status 500"}


def test_410_disables_the_endpoint_and_what_was_not_sent_waits(planned: Callable[..., Desk]) -> None:
    with StudyApp(lambda _push: Reply(410)) as app:
        desk = planned(app, concurrency=2)
        done = desk.deliver()
        [endpoint] = desk.do(endpoints.listing)
        assert (endpoint["status"], endpoint["reason"]) == ("disabled", "it answered 410 Gone")
        desk.later(minutes=10)
        assert +desk.deliver() == {}

    assert len(app.seen) <= 4
    assert done["dead"] == len(app.seen)
    assert desk.statuses() == {"dead": len(app.seen), "pending": MEMBERS - len(app.seen)}
    assert desk.enqueue() == {}


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_leaves_the_endpoint_alone_and_counts_as_no_failure(
    planned: Callable[..., Desk], status: int
) -> None:
    replies = [Reply(status, {"retry-after": "600"})] * MEMBERS
    with StudyApp(lambda _push: replies.pop() if desk.now == MORNING else Reply()) as app:
        desk = planned(app, concurrency=2, retry_seconds=())
        desk.deliver()
        asked = len(app.seen)
        assert 1 <= asked <= 4
        desk.later(seconds=599)
        assert +desk.deliver() == {}
        desk.later(seconds=2)
        assert +desk.deliver() == {"delivered": MEMBERS}

    assert {row["failures"] for row in desk.rows()} == {0}
    assert len(app.seen) == MEMBERS + asked


def test_an_app_that_answers_too_late_gets_the_same_id_again(planned: Callable[..., Desk]) -> None:
    with StudyApp(lambda _push: Reply(204, delay_seconds=0.0 if desk.now > MORNING else 30.0)) as app:
        desk = planned(app, timeout_seconds=0.3, retry_seconds=(1.0,))
        assert +desk.deliver() == {"pending": MEMBERS}
        assert {row["reason"] for row in desk.rows()} == {"no answer within 0.3 s"}
        desk.later(seconds=2)
        assert +desk.deliver() == {"delivered": MEMBERS}

    assert set(app.ids) == {row["delivery_id"] for row in desk.rows()}
    assert len(app.seen) > MEMBERS


def test_one_app_that_never_answers_holds_up_no_other(desk: Desk) -> None:
    fast = desk.settings.delivery.model_copy(update={"timeout_seconds": 1.0, "max_per_day": 2, "max_per_week": 14})
    desk.settings = desk.settings.model_copy(update={"delivery": fast})
    finished: list[str] = []
    with StudyApp(lambda _push: Reply(delay_seconds=30.0)) as mute, StudyApp() as app:
        desk.add(mute.url)
        desk.add(app.url)
        assert desk.enqueue()["planned"] == 2 * MEMBERS
        desk.now = MORNING
        desk.deliver(step=finished.append)

    assert len(set(app.ids)) == MEMBERS
    assert desk.statuses() == {"delivered": MEMBERS, "pending": MEMBERS}


def test_a_body_above_the_limit_comes_with_a_link_in_place_of_its_items(planned: Callable[..., Desk]) -> None:
    with StudyApp() as app:
        planned(app, max_body_bytes=1_000, public_url="https://xuelu.example/").deliver()

    large = [json.loads(push.body)["data"] for push in app.seen if "link" in json.loads(push.body)["data"]]
    assert large
    assert all(len(push.body) <= 1_000 for push in app.seen)
    for data in large:
        assert "items" not in data
        assert data["link"] == f"https://xuelu.example/v1/members/{data['member_id']}/push-list"


def test_private_addresses_get_nothing_unless_allowed(planned: Callable[..., Desk]) -> None:
    with StudyApp() as app:
        desk = planned(app, allow_private_addresses=False)
        assert +desk.deliver() == {"pending": MEMBERS}

    assert app.connections == 0
    assert {"no public address" in row["reason"] for row in desk.rows()} == {True}


def test_who_switched_pushes_off_gets_none_not_even_one_that_was_planned(planned: Callable[..., Desk]) -> None:
    with StudyApp() as app:
        desk = planned(app)
        desk.do(
            lambda session, _: session.execute(update(members).where(members.c.member_id == "d1").values(pushes=False))
        )
        assert +desk.deliver() == {"delivered": MEMBERS - 1, "dropped": 1}
        desk.later(days=1)
        assert desk.enqueue()["switched_off"] == 1

    assert "d1" not in {json.loads(push.body)["data"]["member_id"] for push in app.seen}
    [dropped] = [row for row in desk.rows() if row["status"] == "dropped"]
    assert (dropped["member_id"], dropped["reason"]) == ("d1", "the member switched pushes off")


def test_a_worker_that_watches_delivers_what_becomes_due_and_ends_when_told(planned: Callable[..., Desk]) -> None:
    arrived = threading.Event()

    def answer(_push: Push) -> Reply:
        if len(app.seen) == MEMBERS:
            arrived.set()
        return Reply()

    with StudyApp(answer) as app:
        desk = planned(app)
        desk.now = MORNING - timedelta(seconds=1)
        work = desk.work()

        async def watch() -> None:
            worker = asyncio.create_task(deliver(work, watch=True))
            await asyncio.sleep(0.2)
            assert app.seen == []
            desk.now = MORNING
            await asyncio.to_thread(arrived.wait, 60)
            work.stop.set()
            await worker

        asyncio.run(asyncio.wait_for(watch(), 60))

    assert len(app.seen) == MEMBERS
    assert work.done["delivered"] == MEMBERS


def test_a_key_that_is_not_the_one_of_the_database_is_told(planned: Callable[..., Desk]) -> None:
    with StudyApp() as app:
        desk = planned(app, secret_key="x" * 40)
        with pytest.raises(SettingsError, match="not the key"):
            desk.deliver()
        desk.settings = desk.settings.model_copy(update={"delivery": LOCAL.model_copy(update={"secret_key": "short"})})
        with pytest.raises(SettingsError, match="openssl rand"):
            desk.deliver()

    assert app.seen == []


def test_a_database_without_tables_is_told(settings: Settings, empty: None, open_engine: Any, now: datetime) -> None:
    del empty
    with pytest.raises(DatabaseError):
        Desk(open_engine(settings.database_url), settings, now).deliver()


def test_pushes_are_told_in_the_language_of_each_member(planned: Callable[..., Desk]) -> None:
    def language(push: Push) -> tuple[str, str]:
        data = json.loads(push.body)["data"]
        return data["member_id"][0], data["language"]

    with StudyApp() as app:
        planned(app).deliver()

    assert {("c", "en"), ("d", "zh-CN")} <= {language(push) for push in app.seen}
