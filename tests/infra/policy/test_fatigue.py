"""Fatigue, on both databases: what is shown several times without a reaction rests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from sqlalchemy import Engine, bindparam, insert, select, update

from infra.catalog import organisations
from infra.db.core_tables import events, lists, members
from infra.db.delivery_tables import deliveries, endpoints
from infra.db.engine import transaction
from infra.delivery.admin import counted_runs
from infra.delivery.payloads import lists_to_push
from infra.policy import fatigue
from infra.policy.required_entries import ListRules
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take

TIMES, DAYS = 2, 5.0
RULES = ListRules(PolicySettings(fatigue_shown=TIMES, fatigue_days=DAYS))
EVENT = "event_id,member_id,item_id,verb,occurred_at\n"


@pytest.fixture
def shown(engine: Engine, now: datetime) -> Callable[..., list[str]]:
    """Return what shows the items of a member's list."""

    def of(member_id: str, *, at: datetime = now) -> list[str]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            answer = push_lists.shown(session, key, member_id, ListRequest(n=20, now=at, rules=RULES))
        return [item["item_id"] for item in answer["items"]]

    return of


@pytest.mark.usefixtures("served")
def test_an_item_rests_after_so_many_showings_and_a_reaction_wakes_it(
    take: Take, engine: Engine, shown: Callable[..., list[str]], now: datetime
) -> None:
    first, *rest = shown("d1")
    of_other = shown("d2")
    take("events", f"{EVENT}s1,d1,{first},shown,2026-03-01T08:00:00Z\n")
    assert shown("d1")[0] == first
    take("events", f"{EVENT}s2,d1,{first},shown,2026-03-01T09:00:00Z\n")
    assert shown("d1") == rest
    assert shown("d2") == of_other
    last = datetime.fromisoformat("2026-03-01T09:00:00Z")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        resting = fatigue.resting_of(session, key, "d1", times=TIMES, days=DAYS, now=now)
        assert fatigue.resting_of(session, key, "d2", times=TIMES, days=DAYS, now=now) == []
    assert resting == [{"item_id": first, "shown_at": last, "rests_until": last + timedelta(days=DAYS)}]
    assert first not in shown("d1", at=last + timedelta(days=DAYS, microseconds=-1))
    assert first in shown("d1", at=last + timedelta(days=DAYS))
    take("events", f"{EVENT}r1,d1,{first},viewed,2026-03-01T10:00:00Z\n")
    assert shown("d1", at=now)[0] == first


@pytest.mark.usefixtures("served")
def test_pinned_required_and_saved_items_and_members_without_personalisation_know_no_rest(
    take: Take, shown: Callable[..., list[str]]
) -> None:
    first, second, *_ = shown("d1")
    lines = [f"{item}{n},d1,{item},shown,2026-03-01T0{n}:00:00Z\n" for item in (first, second) for n in range(2)]
    take("events", EVENT + "".join(lines))
    assert not {first, second} & {*shown("d1")}
    take("curations", f"curation_id,action,items,ends_at\nc,pin,{first},2026-04-01\n")
    take("requirements", f"requirement_id,items,due_on\nr,{second},2026-03-02\n")
    assert shown("d1")[:2] == [second, first]
    take("members", "member_id,personalised\nd1,false\n")
    assert shown("d1")[:2] == [second, first]


@pytest.mark.usefixtures("served")
def test_no_item_is_shown_once_more_within_the_days_of_rest(
    engine: Engine, shown: Callable[..., list[str]], now: datetime
) -> None:
    showings: dict[str, list[datetime]] = {}
    for number in range(30):
        at = now + timedelta(days=number / 2)
        listed = shown("d1", at=at)[:3]
        for item_id in listed:
            recent = [moment for moment in showings.get(item_id, []) if at - moment < timedelta(days=DAYS)]
            assert len(recent) < TIMES, "an item is shown once more while it rests"
            showings.setdefault(item_id, []).append(at)
        if listed:
            with transaction(engine) as session:
                key = organisations.key_of(session, "default")
                session.execute(insert(events), [event(key, "d1", item_id, "shown", at) for item_id in listed])
    assert len(showings) > 3, "others take the place of what rests, until all does"


def event(key: int, member_id: str, item_id: str, verb: str, at: datetime) -> dict[str, Any]:
    """Return a row of an event."""
    event_id = f"{member_id} {item_id} {verb} {at}"
    return {"organisation_key": key, "event_id": event_id, "member_id": member_id, "item_id": item_id} | {
        "verb": verb,
        "occurred_at": at,
    }


@pytest.mark.usefixtures("couriers")
def test_what_rests_is_what_a_count_in_order_finds_for_any_log(engine: Engine, now: datetime) -> None:
    rng = np.random.default_rng(7)
    log = [
        (f"d{rng.integers(4)}", f"i{rng.integers(3)}", "shown" if rng.random() < 0.75 else "viewed", int(hours))
        for hours in rng.permutation(400)[:150]
    ]
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for member_id, item_id, verb, hours in sorted(log, key=lambda row: row[3]):
        n, _ = counts.get((member_id, item_id), (0, 0))
        counts[member_id, item_id] = (n + 1, hours) if verb == "shown" else (0, hours)
    start = now - timedelta(hours=400)
    resting = {
        (member_id, item_id)
        for (member_id, item_id), (n, hours) in counts.items()
        if n >= TIMES and start + timedelta(hours=hours) > now - timedelta(days=DAYS)
    }
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        rows = [event(key, name, item, verb, start + timedelta(hours=hours)) for name, item, verb, hours in log]
        session.execute(insert(events), rows)
        of_run = fatigue.of_run(session, key, times=TIMES, days=DAYS, now=now)
        column = fatigue.column(bindparam("key"), bindparam("times"), engine.dialect.name).label("showings")
        each = session.execute(select(members.c.member_id, column), {"key": key, "times": TIMES}).all()
        off = session.execute(select(column), {"key": key, "times": 0}).scalars().all()
    assert {(name, item) for name, text in of_run.items() for item in orjson.loads(text)} == resting != set()
    by_row = {(name, item) for name, text in each for item in fatigue.resting_items(text, now, DAYS)}
    assert by_row == resting
    assert {*off} == {None}


@pytest.mark.usefixtures("served")
def test_a_delivered_push_counts_as_a_showing_of_its_items(
    engine: Engine, shown: Callable[..., list[str]], take: Take, now: datetime
) -> None:
    first, *_ = shown("d1")
    take("events", f"{EVENT}s1,d1,{first},shown,2026-03-01T08:00:00Z\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        run_key = runs.latest(session, key)["run_key"]
        of_endpoint = {"endpoint_id": "e", "kind": "webhook", "target": "x", "status": "active", "created_at": now}
        session.execute(insert(endpoints).values(organisation_key=key, endpoint_key=1, **of_endpoint))
        times = dict.fromkeys(["push_at", "due_at", "expires_at"], now)
        row = {"organisation_key": key, "delivery_key": 1, "member_id": "d1", "run_key": run_key}
        session.execute(
            insert(deliveries).values(
                **row,
                **times,
                endpoint_key=1,
                period="2026-03-02",
                delivery_id="1",
                status="pending",
                attempts=1,
                failures=0,
            )
        )
        lists_to_push(session, [row], n=3, now=now, rules=RULES)
    with transaction(engine) as session:
        same = deliveries.c.delivery_key == row["delivery_key"]
        pushed = orjson.loads(session.scalar(select(deliveries.c.item_ids).where(same)) or "[]")
        assert (len(pushed), pushed[0]) == (3, first)
        session.execute(update(deliveries).where(same).values(status="delivered", finished_at=now))
        list_id = session.scalar(select(lists.c.list_id).where(lists.c.member_id == "d1", lists.c.run_key == run_key))
    assert first not in shown("d1")
    take(
        "events",
        f"event_id,member_id,item_id,verb,occurred_at,push_list_id\ns2,d1,{pushed[1]},shown,2026-03-02,{list_id}\n",
    )
    assert pushed[1] in shown("d1"), "what the app shows of a push is one showing"
    take("events", f"{EVENT}s3,d1,{pushed[1]},shown,2026-03-01T08:00:00Z\n")
    assert pushed[1] not in shown("d1")
    with transaction(engine) as session:
        policies = RULES.policy.model_copy(update={"fatigue_days": 20.0}), PolicySettings()
        moments = [now + timedelta(days=19.9), now + timedelta(days=20)]
        stay = [[counted_runs(session, key, policy, now=moment) for policy in policies] for moment in moments]
    assert stay == [[[run_key], []], [[], []]], "a run stays as long as the items of its pushes may rest"


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_past_lists_show_what_rested_then(
    engine: Engine, take: Take, settings: Settings, shown: Callable[..., list[str]], now: datetime
) -> None:
    first, *_ = shown("d1")
    lines = [f"s{n},d1,{first},shown,2026-03-01T0{n}:00:00Z\n" for n in range(2)]
    take("events", EVENT + "".join(lines))
    policy = settings.policy.model_copy(update={"fatigue_shown": TIMES, "fatigue_days": DAYS})
    nightly(engine, settings.model_copy(update={"policy": policy}), now=now)
    expected = shown("d1")
    take("events", f"{EVENT}r1,d1,{first},viewed,2026-03-01T10:00:00Z\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        past = push_lists.archived(session, key, "d1", n=20, day=now.date())
    assert [item["item_id"] for item in past["items"]] == expected
    assert first not in expected
