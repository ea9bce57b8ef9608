"""An erasure in the very moment at which a night publishes: the night goes on, and nothing of the member is left."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from infra.access import audit
from infra.catalog import organisations
from infra.db.core_tables import lists, members, runs
from infra.db.engine import transaction
from infra.privacy import erasure
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from jobs.progress import StepProgress
from tests.limits import HANG_SECONDS


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Return threads to erase in."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def erase(
    engine: Engine, settings: Settings, now: datetime, erased: Event | None = None, commit: Event | None = None
) -> list[str]:
    """Erase a member, wait before the commit until it is asked for, and return what is left."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        report = erasure.erase(session, settings, key, "d3", actor="test", now=now)
        if erased and commit:
            erased.set()
            assert commit.wait(HANG_SECONDS)
        return list(report["left"])


def wait_for_a_waiter(engine: Engine, *, unless: Future[Any] | None = None) -> None:
    """Return when a transaction waits for a lock of another one, where the database can tell."""
    if engine.dialect.name == "sqlite":
        return
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    pause = Event()
    for _ in range(HANG_SECONDS * 50):
        with engine.connect() as connection:
            if connection.execute(query).scalar_one() or (unless and unless.done()):
                return
        pause.wait(0.02)
    raise AssertionError("nothing waits")


def member_ids(engine: Engine) -> list[set[str]]:
    """Return who has a list in each run."""
    with transaction(engine) as session:
        rows = session.execute(select(runs.c.run_key, lists.c.member_id).join(lists, runs.c.run_key == lists.c.run_key))
        by_run: dict[int, set[str]] = {}
        for run_key, member_id in rows:
            by_run.setdefault(run_key, set()).add(member_id)
    return list(by_run.values())


def test_a_night_whose_run_is_erased_before_it_publishes_begins_again(
    couriers: Engine, settings: Settings, now: datetime, pool: ThreadPoolExecutor
) -> None:
    erased, commit = Event(), Event()
    begun: list[Future[Any]] = []

    def erase_at_the_gate(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("lists", "finished") and not begun:
            begun.append(pool.submit(erase, couriers, settings, now, erased, commit))
            assert erased.wait(HANG_SECONDS)
            pool.submit(commit_when_waited_for)

    def commit_when_waited_for() -> None:
        with suppress(AssertionError):
            wait_for_a_waiter(couriers)
        commit.set()

    run = nightly(couriers, settings, now=now, progress=erase_at_the_gate)
    assert begun[0].result(HANG_SECONDS) == []
    assert run["status"] == "published"
    assert all("d3" not in listed for listed in member_ids(couriers))
    assert run["counts"]["lists"] == 23


def test_an_erasure_waits_for_lists_that_are_being_published(
    couriers: Engine, settings: Settings, now: datetime, pool: ThreadPoolExecutor
) -> None:
    begun: list[Future[Any]] = []

    def erase_within(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("publish", "finished") and not begun:
            begun.append(pool.submit(erase, couriers, settings, now))
            wait_for_a_waiter(couriers, unless=begun[0])

    run = nightly(couriers, settings, now=now, progress=erase_within)
    left = begun[0].result(HANG_SECONDS)
    assert run["status"] == "published"
    assert not left or "a night is storing its models; run this again when it has ended" in left
    assert all("d3" not in listed for listed in member_ids(couriers))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_erasure_and_a_change_of_the_member_wait_for_each_other(
    couriers: Engine, settings: Settings, now: datetime, pool: ThreadPoolExecutor
) -> None:
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
        session.execute(update(members).where(members.c.member_id == "d3").values(language="en"))
        erasing = pool.submit(erase, couriers, settings, now)
        wait_for_a_waiter(couriers, unless=erasing)
        audit.append(session, key, actor="test", action="members.write", subject="d3", now=now)
    assert erasing.result(HANG_SECONDS) == []
