"""Dry runs in processes of their own: one at a time, with an outcome whatever becomes of the process."""

import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from infra.reports.runs.dry_runs import DryRun, DryRunRequest, DryRuns
from infra.settings.settings import Settings
from tests.limits import HANG_SECONDS

REQUEST = DryRunRequest(settings=Settings(), draft=Settings())
SLEEP = "import time; time.sleep(3600)"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder of artefacts that is not there yet, as before the first night."""
    yield tmp_path / "artefacts"
    assert not [thread for thread in threading.enumerate() if thread.name == "dry run"], "one is still at work"


def program(text: str) -> tuple[str, ...]:
    """Return the command that runs a program instead of the dry run."""
    return (sys.executable, "-c", text)


def outcome(folder: Path, command: tuple[str, ...], now: datetime) -> DryRun | None:
    """Return the outcome of a dry run, once it has ended."""
    dry_runs = DryRuns(folder, command)
    assert dry_runs.last(1) is None
    assert dry_runs.start(1, REQUEST, text="the draft", now=now)
    for thread in threading.enumerate():
        if thread.name == "dry run":
            thread.join(HANG_SECONDS)
    dry_runs.close()
    return dry_runs.last(1)


def test_figures_are_stored_with_the_draft_for_the_organisation_alone(folder: Path, now: datetime) -> None:
    echo = "import json, sys; r = json.load(sys.stdin); print(json.dumps({'sample': r['sample']}))"
    last = outcome(folder, program(echo), now)
    assert last == DryRun(state="finished", started_at=now, text="the draft", figures={"sample": 2_000})
    assert DryRuns(folder).last(2) is None
    assert Path(folder, "dry-runs", "1.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("""import sys; print('{"error": "no lists yet"}'); sys.exit(1)""", "no lists yet"),
        ("raise SystemExit(3)", "status 3"),
        ("import os; os.kill(os.getpid(), 9)", "status -9"),
    ],
)
def test_what_fails_says_why(folder: Path, now: datetime, text: str, error: str) -> None:
    last = outcome(folder, program(text), now)
    assert last is not None
    assert (last.state, error in last.error) == ("failed", True)


def test_one_is_at_work_at_a_time_in_all_processes_and_ends_with_the_service(folder: Path, now: datetime) -> None:
    service, another = DryRuns(folder, program(SLEEP)), DryRuns(folder)
    assert service.start(1, REQUEST, text="", now=now)
    running = another.last(1)
    assert running is not None
    assert running.state == "running"
    assert not another.start(2, REQUEST, text="", now=now)
    service.close()
    ended = another.last(1)
    assert ended is not None
    assert ended.state == "failed"


def test_one_whose_service_was_killed_does_not_run_for_ever(folder: Path, now: datetime) -> None:
    begun = outcome(folder, program("print('{}')"), now)
    assert begun is not None
    stale = begun.model_copy(update={"state": "running", "figures": None})
    Path(folder, "dry-runs", "1.json").write_text(stale.model_dump_json(), encoding="utf-8")
    last = DryRuns(folder).last(1)
    assert last is not None
    assert (last.state, "was stopped" in last.error) == ("failed", True)
