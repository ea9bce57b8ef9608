"""Backtests and searches that were stored, and their comparison."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from jobs.evaluation.trials import compare, load_backtest

Run = Callable[..., Any]
DAYS = ("--from", "2026-02-24", "--to", "2026-02-25")


@pytest.mark.usefixtures("couriers")
def test_every_backtest_and_search_is_stored_and_two_can_be_compared(
    xuelu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xuelu("backtest", *DAYS, "--models", "popularity", "-o", tmp_path / "rows.json")
    monkeypatch.setenv("XUELU_MODELS__POPULARITY_HALF_LIFE_DAYS", "1.0")
    xuelu("backtest", *DAYS, "--models", "popularity,newest")
    xuelu("tune", "popularity", *DAYS, "--trials", 1, "--held-out", 1)

    listed = xuelu("trials", "list", "--json").json
    assert [(row["number"], row["kind"], row["subject"]) for row in listed] == [
        (3, "tune", "popularity"),
        (2, "backtest", "popularity,newest"),
        (1, "backtest", "popularity"),
    ]
    assert len({row["data_digest"] for row in listed[1:]}) == 1
    assert len({row["settings_digest"] for row in listed}) == 2
    first = xuelu("trials", "show", 1, "--json").json
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert first["results"] == [row for row in rows if row["slice"] in ("warm", "cold")]
    difference = xuelu("trials", "compare", 1, 2, "--json").json
    assert difference["inputs"] == []
    assert difference["settings"] == [
        {"setting": "models.popularity_half_life_days", "first": 7.0, "second": 1.0},
    ]
    assert {row["of"] for row in difference["metrics"]} == {"popularity, warm", "popularity, cold"}
    assert "models.popularity_half_life_days" in xuelu("trials", "compare", 1, 2).out
    assert "[models]" in xuelu("trials", "show", 3).out
    assert "no trial 9; `xuelu trials list` shows them" in xuelu("trials", "show", 9).complaint
    frame = load_backtest(tmp_path / "rows.json")
    assert len(frame) == len(rows)
    assert frame["ndcg_low"].tolist() == [row["ndcg_interval"][0] for row in rows]


def test_trials_of_other_data_are_named_as_such() -> None:
    trial = {
        "kind": "backtest",
        "data_digest": "a",
        "span": {"k": 10},
        "code_version": "1",
        "settings": {},
        "results": [],
    }
    other = {**trial, "data_digest": "b", "span": {"k": 5}}

    assert compare(trial, other) == {"inputs": ["data_digest", "span"], "settings": [], "metrics": []}


@pytest.mark.parametrize(("content", "message"), [("{", "cannot be read"), ("[1]", "holds no backtest")])
def test_a_file_that_holds_no_backtest_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(SettingsError, match=message):
        load_backtest(tmp_path / "rows.json")
