"""Nights that go on after the last finished step, and what keeps them from going on with the wrong things."""

import mmap
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.db.locks import night_lock
from infra.errors import DatabaseError, NightRunningError, RunStateError
from infra.runs import artefacts, memory, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from jobs.progress import STEPS, StepProgress
from tests.conftest import ON_SQLITE, Take

Run = Callable[..., Any]
DAY = timedelta(days=1)


class PowerCutError(Exception):
    """The end of a night in these tests."""


def stop_at(step: str) -> Callable[[StepProgress], None]:
    """Return what ends a night when a step begins."""

    def tell(progress: StepProgress) -> None:
        if (progress.step, progress.state) == (step, "started"):
            raise PowerCutError

    return tell


@pytest.fixture
def stopped(couriers: Engine, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the run of a night that stopped before its gate."""
    with pytest.raises(PowerCutError):
        nightly(couriers, settings, now=now, progress=stop_at("gate"))
    with transaction(couriers) as session:
        run = runs.unfinished(session, organisations.key_of(session, "default"))
    assert run
    return run


def resumed(engine: Engine, settings: Settings, now: datetime) -> dict[str, str]:
    """Go on with a night, and return the state of each step."""
    reports: list[StepProgress] = []
    run = nightly(engine, settings, now=now, resume=True, progress=reports.append)
    assert run["status"] == "published"
    return {report.step: report.state for report in reports if report.state != "started"}


@ON_SQLITE
def test_a_night_goes_on_with_what_it_read_whatever_came_since(
    couriers: Engine, settings: Settings, stopped: dict[str, Any], take: Take, now: datetime
) -> None:
    take("events", "member_id,item_id,verb,occurred_at\nunknown,new,viewed,2026-03-01\n")
    states = resumed(couriers, settings, now + DAY)
    assert states == {name: "resumed" if name in STEPS[:5] else "finished" for name in STEPS}
    with transaction(couriers) as session:
        run = runs.latest(session, organisations.key_of(session, "default"))
    assert (run["run_id"], run["as_of"], run["made_at"]) == (stopped["run_id"], now, now)
    assert (run["published_at"], run["counts"]["events"]) == (now + DAY, 61)


@pytest.mark.parametrize("harm", ["removed", "changed", "never recorded"])
@ON_SQLITE
def test_a_step_whose_artefact_is_not_what_was_recorded_is_done_again_with_all_after_it(
    couriers: Engine, settings: Settings, stopped: dict[str, Any], now: datetime, harm: str
) -> None:
    file = settings.artefacts_folder / stopped["run_id"] / f"fit{artefacts.ENDING}"
    match harm:
        case "removed":
            file.unlink()
        case "changed":
            file.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
        case _:
            with transaction(couriers) as session:
                steps.forget(session, stopped, ["fit", "lists"])
    states = resumed(couriers, settings, now)
    assert [name for name in STEPS if states[name] == "resumed"] == ["snapshot", "rank", "features"]


@ON_SQLITE
def test_nothing_can_go_on_where_no_night_stopped(couriers: Engine, settings: Settings, now: datetime) -> None:
    with pytest.raises(RunStateError, match="no night was interrupted; run `xuelu nightly` without --resume"):
        nightly(couriers, settings, now=now, resume=True)


@ON_SQLITE
@pytest.mark.usefixtures("stopped")
def test_a_night_does_not_go_on_under_other_settings_or_as_of_another_moment(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    shorter = settings.model_copy(update={"models": settings.models.model_copy(update={"list_length": 3})})
    with pytest.raises(RunStateError, match="was started with another settings_digest;"):
        nightly(couriers, shorter, now=now, resume=True)
    with pytest.raises(RunStateError, match="was started with another as_of;"):
        nightly(couriers, settings, now=now, as_of=now - DAY, resume=True)
    assert resumed(couriers, settings, now)["snapshot"] == "resumed"


@ON_SQLITE
def test_a_night_that_goes_on_is_checked_by_the_limits_of_now(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    nightly_rules = settings.nightly.model_copy(update={"min_coverage": 1.0})
    strict = settings.model_copy(update={"nightly": nightly_rules})
    with pytest.raises(PowerCutError):
        nightly(couriers, strict, now=now, progress=stop_at("publish"))

    assert resumed(couriers, settings, now)["gate"] == "finished"


@ON_SQLITE
def test_a_run_whose_place_was_taken_is_not_finished(couriers: Engine, stopped: dict[str, Any], now: datetime) -> None:
    with transaction(couriers) as session:
        runs.discard_unfinished(session, stopped["organisation_key"])
    with pytest.raises(RunStateError, match="another night took the place"), transaction(couriers) as session:
        runs.finish(session, stopped["run_key"], status="published", now=now, checks=[])


@ON_SQLITE
def test_a_run_that_is_not_finished_cannot_be_served(couriers: Engine, stopped: dict[str, Any], now: datetime) -> None:
    with pytest.raises(RunStateError, match="is not finished"), transaction(couriers) as session:
        runs.publish(session, stopped, now=now)


@ON_SQLITE
def test_the_command_tells_steps_as_lines_of_json_and_goes_on_where_asked(xuelu: Run, stopped: dict[str, Any]) -> None:
    answer = xuelu("nightly", "--resume", "--json")
    assert answer.status == 0
    assert answer.json["run_id"] == stopped["run_id"]
    reports = [orjson.loads(line) for line in answer.err.splitlines()]
    assert [report["step"] for report in reports] == list(STEPS)
    assert [report["state"] for report in reports] == ["resumed"] * 5 + ["finished"] * 3
    assert all(report["peak_bytes"] > 0 for report in reports[5:])


def test_a_lock_beside_a_database_that_cannot_be_written_is_one_line(tmp_path: Path, open_engine: Any) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'missing' / 'xuelu.db'}")
    with pytest.raises(DatabaseError, match="its folder must exist"), night_lock(engine, "default"):
        pass


def test_all_links_to_a_database_have_one_lock(tmp_path: Path, open_engine: Any) -> None:
    file, link = tmp_path / "xuelu.db", tmp_path / "link.db"
    link.symlink_to(file)
    engine, linked = (open_engine(f"sqlite:///{path}") for path in (file, link))
    with night_lock(engine, "default"), pytest.raises(NightRunningError), night_lock(linked, "default"):
        pass


def test_a_database_in_memory_needs_no_lock(open_engine: Any) -> None:
    engine = open_engine("sqlite://")
    with night_lock(engine, "default") as lock, night_lock(engine, "default"):
        lock.check()


def test_a_lock_is_free_again_after_an_error(engine: Engine) -> None:
    with pytest.raises(PowerCutError), night_lock(engine, "default"):
        raise PowerCutError
    with night_lock(engine, "default"), pytest.raises(NightRunningError), night_lock(engine, "default"):
        pass


def test_no_other_account_can_hold_the_lock(tmp_path: Path, open_engine: Any) -> None:
    with night_lock(open_engine(f"sqlite:///{tmp_path / 'xuelu.db'}"), "default"):
        assert (tmp_path / "xuelu.db-night.lock").stat().st_mode & 0o777 == 0o600


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE


def test_peaks_are_those_of_a_stretch_of_work() -> None:
    memory.reset_peak()
    before = memory.peak_bytes()
    block = bytearray(512 * 2**20)  # much more than earlier tests may give back meanwhile
    block[::4096] = b"x" * len(block[::4096])
    assert memory.peak_bytes() >= before + 60 * 2**20
    del block
    memory.reset_peak()
    assert memory.peak_bytes() < before + 60 * 2**20


def test_freed_memory_goes_back_to_the_system() -> None:
    block = [bytes(50_000) for _ in range(4_000)]  # too small to be given back one by one
    before = resident_bytes()
    last = block.pop()
    del block
    memory.trim()
    assert resident_bytes() < before - 100 * 2**20
    assert not any(last)


def test_where_a_stretch_cannot_be_told_the_peak_is_that_of_the_process(tmp_path: Path) -> None:
    elsewhere = tmp_path / "no such system"
    memory.reset_peak(elsewhere)
    assert memory.peak_bytes(elsewhere) > 2**20


def test_the_version_of_the_code_has_a_digest_of_its_sources() -> None:
    version, digest = code_version().split("+")
    assert version[0].isdigit()
    assert len(digest) == 12
    assert code_version() == code_version()
