"""The demo, as ``make demo`` runs it."""

from pathlib import Path

import pytest

from jobs import demo


def test_the_demo_shows_three_members_with_a_reason_for_every_item(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["--folder", str(tmp_path / "demo")]) == 0
    told = capsys.readouterr().out
    active, fresh, other = told.split("\n$ xuelu show ")[1:]
    assert "· by history ·" in active
    assert "· by segment ·" in fresh
    assert "· by history ·" in other
    for shown in (active, fresh, other):
        rows = [line.split("│") for line in shown.splitlines() if line.startswith("│")]
        ranked = [cells for cells in rows if cells[1].strip()]
        assert [cells[1].strip() for cells in ranked] == list("123456")
        assert all(cells[5].strip() for cells in ranked)


def test_the_demo_stops_at_the_first_command_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "demo"
    taken.mkdir()
    (taken / "logs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUELU_MODELS__SEED", "-1")
        assert demo.main(["--folder", str(taken)]) == 2
    assert "models.seed" in capsys.readouterr().err
