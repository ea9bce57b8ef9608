"""The demo: from an invented organisation to three members' lists."""

import re
from pathlib import Path

import pytest

from jobs import demo


def test_the_demo_prints_three_lists_with_a_reason_for_every_item(
    working_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ALS_FACTORS", "4"), ("ALS_ITERATIONS", "3"), ("THREADS", "1")):
        monkeypatch.setenv(f"XUELU_MODELS__{name}", value)
    real = working_folder / "real.db"
    real.touch()
    monkeypatch.setenv("XUELU_DATABASE_URL", f"sqlite:///{real}")
    assert demo.main(["--folder", str(working_folder / "demo")]) == 0
    assert real.stat().st_size == 0, "the demo has a database of its own"
    output, complaints = capsys.readouterr()
    assert all(line.startswith('{"step":') for line in complaints.splitlines()), "the night tells its steps, no more"
    shown = [line.split()[3] for line in output.splitlines() if line.startswith("$ xuelu show ")]
    assert len(set(shown)) == 3
    for who in (
        "An active member (",
        "A new member, of whom no more is known (",
        "A member of another industry (",
    ):
        [heading] = [line for line in output.splitlines() if line.startswith(who)]
        assert re.fullmatch(r"[^(]+\([a-zIT, -]+, [a-zIT, -]+\):", heading)
    titles = [line for line in output.splitlines() if " · by " in line]
    assert [title.split(" · by ")[0] for title in titles] == shown
    assert titles[0].split(" · by ")[1].startswith("history")
    assert titles[1].split(" · by ")[1].startswith("segment")
    # Required by the organisation, on a list whose reasons are in Chinese.
    assert "必学" in output
    assert [line.split()[4:6] for line in output.splitlines() if "--minutes" in line] == [["--minutes", "12"]]


def test_the_demo_stops_at_the_first_command_that_fails(
    working_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUELU_TIMEZONE", "Nowhere")
    assert demo.main(["--folder", str(working_folder / "demo")]) == 2
    output, complaints = capsys.readouterr()
    assert "$ xuelu init" in output
    assert "$ xuelu ingest" not in output
    assert "Nowhere" in complaints
