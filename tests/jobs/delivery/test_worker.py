"""Pushes to a study app on this machine, from the plan to the ledger."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook, WebhookVerificationError

from benchmarks.study_app import Push, Reply, StudyApp
from infra.access.secret_encryption import SecretCipher
from infra.db.core_tables import members
from infra.delivery import endpoints
from infra.errors import DatabaseError, SettingsError
from infra.settings.settings import Settings
from jobs.delivery.worker import deliver
from tests.conftest import ON_SQLITE
from tests.jobs.delivery.delivery_setup import KEY, LOCAL, DeliverySetup
from tests.limits import HANG_SECONDS

MEMBERS = 23
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def planned(setup: DeliverySetup) -> Callable[..., DeliverySetup]:
    """Return what registers an app, plans the pushes, and waits until they are due."""

    def plan(app: StudyApp, **changes: object) -> DeliverySetup:
        delivery = setup.settings.delivery.model_copy(update=changes)
        setup.settings = setup.settings.model_copy(update={"delivery": delivery})
        setup.add(app.url)
        assert setup.enqueue()["planned"] == MEMBERS
        setup.now = MORNING
        return setup

    return plan


def test_every_member_gets_one_signed_push_in_open_hours_and_nothing_before(setup: DeliverySetup) -> None:
    with StudyApp() as app:
        _, secret = setup.add(app.url)
        counts = setup.enqueue()
        assert setup.deliver() == Counter()
        setup.now = MORNING
        done = setup.deliver()

    none = dict.fromkeys(("outside_study_hours", "switched_off", "capped", "no_open_hours", "failed"), 0)
    assert counts == none | {"planned": MEMBERS}
    assert +done == {"delivered": MEMBERS}
    assert len(set(app.ids)) == len(app.seen) == MEMBERS
    assert {row["delivery_id"] for row in setup.rows()} == set(app.ids)
    assert {(attempt["number"], attempt["outcome"]) for attempt in setup.attempts()} == {(1, "status 204")}
    for push in app.seen:
        assert push.headers["host"] == f"127.0.0.1:{app.port}"
        assert push.headers["user-agent"].startswith("xuelu/")
        assert int(push.headers["webhook-timestamp"]) == MORNING.timestamp()
        signed = Webhook(secret).sign(push.delivery_id, MORNING, push.body.decode())
        assert push.headers["webhook-signature"] == signed
    bodies = [json.loads(push.body) for push in app.seen]
    assert {body["type"] for body in bodies} == {"push_list.ready"}
    assert {body["data"]["member_id"] for body in bodies} == {row["member_id"] for row in setup.rows()}
    assert all(body["data"]["items"] and body["data"]["items"][0]["reason"]["text"] for body in bodies)


@ON_SQLITE
def test_a_receiver_verifies_a_push_with_the_library_and_refuses_a_changed_one(setup: DeliverySetup) -> None:
    setup.now = datetime.now(UTC)
    with StudyApp() as app:
        _, secret = setup.add(app.url)
        setup.enqueue()
        setup.now = max(row["push_at"] for row in setup.rows())
        setup.deliver()

    push, now = app.seen[0], datetime.now(UTC)
    fresh = {**push.headers, "webhook-timestamp": str(int(now.timestamp()))}
    fresh["webhook-signature"] = Webhook(secret).sign(push.delivery_id, now, push.body.decode())
    assert Webhook(secret).verify(push.body, fresh)["data"]["member_id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(push.body + b" ", fresh)


@ON_SQLITE
def test_two_secrets_sign_while_one_replaces_the_other(setup: DeliverySetup) -> None:
    with StudyApp() as app:
        endpoint, old = setup.add(app.url)
        setup.enqueue()
        setup.now = MORNING

        def rotate(session: Any, _key: int) -> str:
            return endpoints.rotate_secret(
                session, endpoint, SecretCipher(KEY), overlap=timedelta(hours=1), now=setup.now
            )

        new = setup.do(rotate)
        setup.deliver()
        both = app.seen[0]
        setup.later(days=1)
        setup.enqueue()
        setup.deliver()
        last_push = app.seen[-1]

    assert new != old
    assert both.headers["webhook-signature"].split(" ") == [
        Webhook(secret).sign(both.delivery_id, MORNING, both.body.decode()) for secret in (new, old)
    ]
    assert last_push.headers["webhook-signature"] == Webhook(new).sign(
        last_push.delivery_id, setup.now, last_push.body.decode()
    )


@ON_SQLITE
@pytest.mark.parametrize("reply", [Reply(500), Reply(302, {"location": "/pushes"}), Reply(400), Reply(None)])
def test_whatever_is_no_2xx_is_a_failure_and_is_tried_again_under_the_same_id(
    planned: Callable[..., DeliverySetup], reply: Reply
) -> None:
    replies = [reply] * MEMBERS + [Reply(200)] * MEMBERS
    with StudyApp(lambda _push: replies.pop(0)) as app:
        setup = planned(app, retry_seconds=(60.0,))
        assert +setup.deliver() == {"pending": MEMBERS}
        setup.later(seconds=40)
        assert +setup.deliver() == {}
        setup.later(seconds=40)
        assert +setup.deliver() == {"delivered": MEMBERS}

    assert Counter(Counter(app.ids).values()) == {2: MEMBERS}
    waits = {(row["due_at"] - MORNING).total_seconds() for row in setup.rows()}
    assert min(waits) >= 48
    assert max(waits) <= 72
    assert len(waits) > MEMBERS // 2


def test_a_delivery_is_dead_when_all_its_retries_have_failed(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp(lambda _push: Reply(500)) as app:
        setup = planned(app, retry_seconds=(1.0, 1.0))
        for _ in range(5):
            setup.deliver()
            setup.later(seconds=5)

    assert Counter(Counter(app.ids).values()) == {3: MEMBERS}
    assert {(row["status"], row["reason"], row["failures"]) for row in setup.rows()} == {("dead", "status 500", 3)}


def test_a_delivery_is_dead_when_quiet_hours_begin(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp(lambda _push: Reply(500)) as app:
        setup = planned(app)
        setup.deliver()
        setup.now = datetime(2026, 3, 2, 22, tzinfo=UTC)
        assert +setup.deliver() == {"dead": MEMBERS}

    assert len(app.seen) == MEMBERS
    assert {row["reason"] for row in setup.rows()} == {"expired; last attempt: status 500"}


def test_410_disables_the_endpoint_and_what_was_not_sent_waits(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp(lambda _push: Reply(410)) as app:
        setup = planned(app, concurrency=2)
        done = setup.deliver()
        [endpoint] = setup.do(endpoints.list_endpoints)
        assert (endpoint["status"], endpoint["reason"]) == ("disabled", "it answered 410 Gone")
        setup.later(minutes=10)
        assert +setup.deliver() == {}

    assert len(app.seen) <= 4
    assert done["dead"] == len(app.seen)
    assert setup.statuses() == {"dead": len(app.seen), "pending": MEMBERS - len(app.seen)}
    assert setup.enqueue() == {}


@ON_SQLITE
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_leaves_the_endpoint_alone_and_counts_as_no_failure(
    planned: Callable[..., DeliverySetup], status: int
) -> None:
    replies = [Reply(status, {"retry-after": "600"})] * MEMBERS
    with StudyApp(lambda _push: replies.pop() if setup.now == MORNING else Reply()) as app:
        setup = planned(app, concurrency=2, retry_seconds=())
        setup.deliver()
        asked = len(app.seen)
        assert 1 <= asked <= 4
        setup.later(seconds=599)
        assert +setup.deliver() == {}
        setup.later(seconds=2)
        assert +setup.deliver() == {"delivered": MEMBERS}

    assert {row["failures"] for row in setup.rows()} == {0}
    assert len(app.seen) == MEMBERS + asked


@ON_SQLITE
def test_an_app_that_answers_too_late_gets_the_same_id_again(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp(lambda _push: Reply(204, delay_seconds=0.0 if setup.now > MORNING else 30.0)) as app:
        setup = planned(app, timeout_seconds=0.3, lease_seconds=1e-7, retry_seconds=(1.0,))
        assert +setup.deliver() == {"pending": MEMBERS}
        assert {row["reason"] for row in setup.rows()} == {"no answer within 0.3 s"}
        setup.later(seconds=2)
        patient = setup.settings.delivery.model_copy(update={"timeout_seconds": 60.0})
        setup.settings = setup.settings.model_copy(update={"delivery": patient})
        assert +setup.deliver() == {"delivered": MEMBERS}

    assert set(app.ids) == {row["delivery_id"] for row in setup.rows()}
    assert len(app.seen) > MEMBERS


def test_one_app_that_never_answers_holds_up_no_other(setup: DeliverySetup) -> None:
    fast = setup.settings.delivery.model_copy(update={"timeout_seconds": 5.0, "max_per_day": 2, "max_per_week": 14})
    setup.settings = setup.settings.model_copy(update={"delivery": fast})
    finished: list[str] = []
    with StudyApp(lambda _push: Reply(delay_seconds=30.0)) as mute, StudyApp() as app:
        setup.add(mute.url)
        setup.add(app.url)
        assert setup.enqueue()["planned"] == 2 * MEMBERS
        setup.now = MORNING
        setup.deliver(step=finished.append)

    assert len(set(app.ids)) == MEMBERS
    assert setup.statuses() == {"delivered": MEMBERS, "pending": MEMBERS}


@ON_SQLITE
def test_a_bad_address_and_a_bad_answer_are_failures_of_their_endpoints_alone(setup: DeliverySetup) -> None:
    """Such rows are of databases from before addresses were checked."""
    more = setup.settings.delivery.model_copy(update={"max_per_day": 6, "max_per_week": 42})
    setup.settings = setup.settings.model_copy(update={"delivery": more})
    overflow = {"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}
    bad = ["https://a..example/", "https://" + "x" * 64 + ".example/", "https://[v1.x]/", "https://app\t.example/"]
    with StudyApp(lambda _push: Reply(503, overflow)) as moody, StudyApp() as app:
        for target in (*bad, moody.url, app.url):
            setup.add(target)
        assert setup.enqueue()["planned"] == 6 * MEMBERS
        setup.now = MORNING
        assert +setup.deliver() == {"delivered": MEMBERS, "pending": 5 * MEMBERS}

    assert len(set(app.ids)) == MEMBERS
    assert {row["failures"] for row in setup.rows() if row["status"] == "pending"} == {1}


def test_a_lane_that_fails_is_logged_and_the_others_go_on(setup: DeliverySetup) -> None:
    class Faulty(Exception):  # noqa: N818 - stands for any fault of the code
        pass

    more = setup.settings.delivery.model_copy(update={"max_per_day": 2, "max_per_week": 14})
    setup.settings = setup.settings.model_copy(update={"delivery": more})
    arrived = threading.Event()

    def answer(_push: Push) -> Reply:
        if len(first.seen) + len(second.seen) == 2 * MEMBERS:
            arrived.set()
        return Reply()

    with StudyApp(answer) as first, StudyApp(answer) as second:
        setup.add(first.url)
        setup.add(second.url)
        setup.enqueue()
        setup.now = MORNING
        claims_begun = iter(range(1_000))

        def fail_once(step: str) -> None:
            if step == "claim" and next(claims_begun) < 2:
                raise Faulty

        context = setup.work(step=fail_once)

        async def watch() -> None:
            worker = asyncio.create_task(deliver(context, watch=True))
            await asyncio.to_thread(arrived.wait, HANG_SECONDS)
            context.stop.set()
            await worker

        asyncio.run(asyncio.wait_for(watch(), HANG_SECONDS))

    assert (len(set(first.ids)), len(set(second.ids))) == (MEMBERS, MEMBERS)


@ON_SQLITE
def test_a_body_above_the_limit_comes_with_a_link_in_place_of_its_items(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp() as app:
        planned(app, max_body_bytes=1_000, public_url="https://xuelu.example/").deliver()

    large = [json.loads(push.body)["data"] for push in app.seen if "link" in json.loads(push.body)["data"]]
    assert large
    assert all(len(push.body) <= 1_000 for push in app.seen)
    for data in large:
        assert "items" not in data
        assert data["link"] == f"https://xuelu.example/v1/members/{data['member_id']}/push-list"


@ON_SQLITE
def test_private_addresses_get_nothing_unless_allowed(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp() as app:
        setup = planned(app, allow_private_addresses=False)
        assert +setup.deliver() == {"pending": MEMBERS}

    assert app.connections == 0
    assert {"no public address" in row["reason"] for row in setup.rows()} == {True}


def test_who_switched_pushes_off_gets_none_not_even_one_that_was_planned(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp() as app:
        setup = planned(app)
        setup.do(
            lambda session, _: session.execute(update(members).where(members.c.member_id == "d1").values(pushes=False))
        )
        assert +setup.deliver() == {"delivered": MEMBERS - 1, "dropped": 1}
        setup.later(days=1)
        assert setup.enqueue()["switched_off"] == 1

    assert "d1" not in {json.loads(push.body)["data"]["member_id"] for push in app.seen}
    [dropped] = [row for row in setup.rows() if row["status"] == "dropped"]
    assert (dropped["member_id"], dropped["reason"]) == ("d1", "the member switched pushes off")


@pytest.mark.parametrize("changed", [{"quiet_hours": "07:00-09:00"}, {"timezone": "America/Sao_Paulo"}])
def test_a_push_waits_for_quiet_hours_that_the_member_set_after_the_plan(
    planned: Callable[..., DeliverySetup], changed: dict[str, str]
) -> None:
    of_d1 = update(members).where(members.c.member_id == "d1").values(**changed)
    with StudyApp() as app:
        setup = planned(app)
        setup.do(lambda session, _: session.execute(of_d1))
        assert +setup.deliver() == {"delivered": MEMBERS - 1, "pending": 1}
        [waiting] = [row for row in setup.rows() if row["status"] == "pending"]
        end = datetime(2026, 3, 2, 9 if "quiet_hours" in changed else 11, tzinfo=UTC)  # eight o'clock in Sao Paulo
        assert (waiting["member_id"], waiting["due_at"]) == ("d1", end)
        setup.now = end
        assert +setup.deliver() == {"delivered": 1}


def test_a_worker_that_watches_delivers_what_becomes_due_and_ends_when_told(
    planned: Callable[..., DeliverySetup],
) -> None:
    arrived = threading.Event()

    def answer(_push: Push) -> Reply:
        if len(app.seen) == MEMBERS:
            arrived.set()
        return Reply()

    with StudyApp(answer) as app:
        setup = planned(app)
        setup.now = MORNING - timedelta(seconds=1)
        work = setup.work()

        async def watch() -> None:
            worker = asyncio.create_task(deliver(work, watch=True))
            await asyncio.sleep(0.2)
            assert app.seen == []
            setup.now = MORNING
            await asyncio.to_thread(arrived.wait, HANG_SECONDS)
            work.stop.set()
            await worker

        asyncio.run(asyncio.wait_for(watch(), HANG_SECONDS))

    assert len(app.seen) == MEMBERS
    assert work.attempts["delivered"] == MEMBERS


@ON_SQLITE
def test_a_key_that_is_not_the_one_of_the_database_is_told(planned: Callable[..., DeliverySetup]) -> None:
    with StudyApp() as app:
        setup = planned(app, secret_key="x" * 40)
        with pytest.raises(SettingsError, match="not the key"):
            setup.deliver()
        setup.settings = setup.settings.model_copy(
            update={"delivery": LOCAL.model_copy(update={"secret_key": "short"})}
        )
        with pytest.raises(SettingsError, match="openssl rand"):
            setup.deliver()

    assert app.seen == []


def test_a_database_without_tables_is_told(settings: Settings, empty: None, open_engine: Any, now: datetime) -> None:
    del empty
    with pytest.raises(DatabaseError):
        DeliverySetup(open_engine(settings.database_url), settings, now).deliver()


def test_pushes_are_told_in_the_language_of_each_member(planned: Callable[..., DeliverySetup]) -> None:
    def language(push: Push) -> tuple[str, str]:
        data = json.loads(push.body)["data"]
        return data["member_id"][0], data["language"]

    with StudyApp() as app:
        planned(app).deliver()

    assert {("c", "en"), ("d", "zh-CN")} <= {language(push) for push in app.seen}
