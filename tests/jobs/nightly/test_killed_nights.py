"""Nights that are killed, cut off, or run out of space: yesterday's lists stay served, and the next night is clean."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from infra.catalog import organisations
from infra.db.core_tables import lists
from infra.db.core_tables import runs as run_table
from infra.db.engine import make_engine, opened, transaction
from infra.db.locks import night_lock
from infra.errors import DatabaseError, NightRunningError
from infra.runs import list_contents, steps
from infra.runs import store as runs
from infra.serving.online_model import ONLINE_MODEL
from infra.settings.settings import Settings
from jobs.ingest.ingest import ingest
from jobs.nightly.night import nightly
from jobs.progress import STEPS, StepProgress
from tests.conftest import (
    NOW,
    ON_SQLITE,
    SMALL_MODELS,
    SMALL_RANKER,
    PostgresqlServer,
    PostgresqlStates,
    SqliteStates,
    Take,
)
from tests.limits import HANG_SECONDS

DAY = timedelta(days=1)
KILLED = -9
ROOT = Path(__file__).parents[3]
Dies = Callable[..., int]


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    """Return the process in which nights die."""
    started = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("dying.py"))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    yield started
    started.communicate(timeout=HANG_SECONDS)


@pytest.fixture
def dies(process: subprocess.Popen[str], settings: Settings, now: datetime, tmp_path: Path) -> Dies:
    """Return what runs a night of the next day in a process of its own, and returns how it ended."""

    def run(**asked: Any) -> int:
        request = {"now": (now + DAY).isoformat(), "complaint": str(tmp_path / "complaint"), **asked}
        request["settings"] = json.loads(
            settings.model_dump_json(include={"database_url", "artefacts_folder", "models", "ranker"})
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    return run


LATER = "member_id,item_id,verb,occurred_at\nd1,v5,completed,2026-03-02T09:00:00Z\nc1,o6,liked,2026-03-02\n"


def state_of(engine: Engine) -> tuple[str, list[tuple[Any, ...]]]:
    """Return the run that is served and the bytes of all its lists."""
    with transaction(engine) as session:
        run = runs.latest(session, organisations.key_of(session, "default"))
        run_lists = list_contents.lists_of(session, run)
    return run["run_id"], sorted(run_lists.hashes.items())


def statuses(engine: Engine) -> list[tuple[str, int]]:
    """Return the status of every run with the number of its lists."""
    query = select(run_table.c.status, func.count(lists.c.member_id)).outerjoin(
        lists, lists.c.run_key == run_table.c.run_key
    )
    with transaction(engine) as session:
        rows = session.execute(query.group_by(run_table.c.run_key, run_table.c.status).order_by(run_table.c.run_key))
        return [tuple(row) for row in rows]


@pytest.fixture
def changed(take: Take, served: dict[str, Any]) -> None:
    """Let members study after the first night, so that the next one makes other lists."""
    del served
    take("events", LATER)


@pytest.fixture(scope="module")
def uninterrupted(sqlite_states: SqliteStates, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """Return the bytes of the lists of a night that nothing happened to."""
    settings = Settings(
        database_url=sqlite_states.new("uninterrupted", "served"), models=SMALL_MODELS, ranker=SMALL_RANKER,
        artefacts_folder=tmp_path_factory.mktemp("uninterrupted"),
    )  # fmt: skip
    log = settings.artefacts_folder / "later.csv"
    log.write_text(LATER)
    with opened(settings.database_url) as engine:
        ingest(engine, settings, log, "events", now=NOW)
        nightly(engine, settings, now=NOW + DAY)
        return state_of(engine)[1]


KILLS: list[dict[str, Any]] = [
    {"step": [STEPS[0], "started"]},
    # Nothing is stored between the end of a step and the start of the next.
    *({"step": [step, "finished"], "resume": True} for step in STEPS),
    # Inside the transaction that publishes.
    {"statement": "published_at", "resume": True},
]


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_night_killed_anywhere_leaves_yesterdays_lists_served_and_can_go_on(
    engine: Engine, settings: Settings, now: datetime, dies: Dies, uninterrupted: list[tuple[Any, ...]]
) -> None:
    before = state_of(engine)

    for kill in KILLS:
        assert dies(**kill) == KILLED, kill
        assert state_of(engine) == before, kill
        assert statuses(engine) == [("published", 24), ("built", 0)], kill

    reports: list[StepProgress] = []
    resumed = nightly(engine, settings, now=now + DAY, resume=True, progress=reports.append)
    assert resumed["status"] == "published"
    assert [report.step for report in reports if report.state == "resumed"] == list(STEPS[:5])
    assert [report.step for report in reports if report.state == "finished"] == list(STEPS[5:])
    assert statuses(engine) == [("published", 24), ("published", 24)]
    assert uninterrupted != before[1]
    assert state_of(engine)[1] == uninterrupted, "the same as of a night that nothing happened to"
    assert [path.name for path in settings.artefacts_folder.glob("*-*/*")] == ["online_model.artefact"]


@ON_SQLITE
@pytest.mark.usefixtures("changed")
def test_the_night_after_a_killed_one_starts_clean(
    engine: Engine, settings: Settings, now: datetime, dies: Dies
) -> None:
    assert dies(step=["lists", "finished"]) == KILLED
    assert list(settings.artefacts_folder.glob("*-*"))
    assert nightly(engine, settings, now=now + DAY)["status"] == "published"
    assert statuses(engine) == [("published", 24), ("published", 24)]
    assert [path.name for path in settings.artefacts_folder.glob("*-*/*")] == ["online_model.artefact"]


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_night_whose_connections_are_cut_publishes_nothing_and_can_go_on(
    engine: Engine, settings: Settings, now: datetime, postgresql_server: PostgresqlServer
) -> None:
    before = state_of(engine)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"

    # A step that is saved goes on with new connections; that the lock was lost is noticed before lists are published.
    for steps_cut in (STEPS[:5], *([step] for step in STEPS[5:])):

        def tell(progress: StepProgress, steps_cut: Sequence[str] = steps_cut) -> None:
            if progress.state == "started" and progress.step in steps_cut:
                postgresql_server.run(cut.format(engine.url.database))

        with pytest.raises(DatabaseError):
            nightly(engine, settings, now=now + DAY, progress=tell, resume=STEPS[0] not in steps_cut)
        assert state_of(engine) == before, steps_cut

    assert nightly(engine, settings, now=now + DAY, resume=True)["status"] == "published"
    assert statuses(engine) == [("published", 24), ("published", 24)]


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_night_without_space_for_what_its_steps_make_ends_and_can_go_on(
    engine: Engine, settings: Settings, now: datetime, dies: Dies, tmp_path: Path
) -> None:
    before = state_of(engine)
    assert dies(largest_file=2_000) == 1
    assert "File too large" in (tmp_path / "complaint").read_text(encoding="utf-8")
    assert state_of(engine) == before
    assert nightly(engine, settings, now=now + DAY, resume=True)["status"] == "published"


@pytest.mark.usefixtures("changed")
@ON_SQLITE
def test_a_night_whose_sqlite_database_is_full_publishes_nothing(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    before = state_of(engine)

    def fill(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("gate", "finished"):
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count = 1")

    with pytest.raises(DatabaseError, match="full"):
        nightly(engine, settings, now=now + DAY, progress=fill)
    engine.dispose()
    assert state_of(engine) == before
    assert nightly(engine, settings, now=now + DAY, resume=True)["status"] == "published"


@pytest.fixture
def small_disk(postgresql_server: PostgresqlServer, postgresql_states: PostgresqlStates) -> Iterator[tuple[str, Path]]:
    """Return the address of a served PostgreSQL database on a small file system, and where that is mounted."""
    postgresql_states.new("on_a_large_disk", "served")
    folder = postgresql_server.folder / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0777", "tmpfs", folder], check=False)
    if mounted.returncode:
        postgresql_states.drop("on_a_large_disk")
        folder.rmdir()
        pytest.skip("only an administrator may mount a small file system")
    try:
        place = folder / "tablespace"
        place.mkdir(mode=0o777)
        os.chown(place, (postgresql_server.folder / "data").stat().st_uid, -1)
        postgresql_server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
        postgresql_server.run("CREATE DATABASE on_a_small_disk TEMPLATE on_a_large_disk TABLESPACE small")
        yield postgresql_server.url("on_a_small_disk"), folder
        postgresql_states.drop("on_a_small_disk")
        postgresql_server.run("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", folder], check=True)
        postgresql_states.drop("on_a_large_disk")


def test_a_night_whose_postgresql_runs_out_of_disk_publishes_nothing_and_can_go_on(
    small_disk: tuple[str, Path], now: datetime, tmp_path: Path
) -> None:
    url, disk = small_disk
    settings = Settings(database_url=url, artefacts_folder=tmp_path, models=SMALL_MODELS)
    engine, filler = make_engine(url), disk / "filler"
    before = state_of(engine)

    def fill(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("publish", "started"):
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"x" * 4096):
                    pass

    with pytest.raises(DatabaseError, match="No space left on device"):
        nightly(engine, settings, now=now + DAY, progress=fill)
    assert state_of(engine) == before
    filler.unlink()
    assert nightly(engine, settings, now=now + DAY, resume=True)["status"] == "published"
    assert statuses(engine) == [("published", 24), ("published", 24)]
    engine.dispose()


def test_a_second_night_at_the_same_time_is_refused(couriers: Engine, settings: Settings, now: datetime) -> None:
    def again(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("fit", "started"):
            with pytest.raises(NightRunningError, match="another night of organisation 'default' is at work"):
                nightly(couriers, settings, now=now)

    assert nightly(couriers, settings, now=now, progress=again)["status"] == "published"
    assert statuses(couriers) == [("published", 24)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_another_organisation_may_have_its_night_at_the_same_time(couriers: Engine) -> None:
    with night_lock(couriers, "default") as lock, night_lock(couriers, "bakers"):
        lock.check()
    with night_lock(couriers, "default"):
        pass


def test_every_step_is_recorded_with_its_time_rows_and_memory(engine: Engine, served_online: dict[str, Any]) -> None:
    with transaction(engine) as session:
        recorded = steps.of_run(session, served_online)
    assert list(recorded) == [*STEPS, ONLINE_MODEL]
    assert recorded["enqueue"]["rows"] == 0, "nobody is there to push to"
    assert recorded["snapshot"]["rows"] == served_online["counts"]["events"]
    assert recorded["publish"]["rows"] == served_online["counts"]["lists"]
    assert all(step["seconds"] >= 0 and step["peak_bytes"] > 0 for step in recorded.values())
