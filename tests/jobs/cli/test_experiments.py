"""Experiments on the command line, from the start to the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_an_experiment_starts_is_listed_reported_and_stops(
    xuelu: Callable[..., Any], served: dict[str, Any], working_folder: Path
) -> None:
    del served
    (working_folder / "ease.toml").write_text("[models]\nease_regularization = 50.0\n", encoding="utf-8")

    started = xuelu("experiment", "start", "spring", "--variant", "tuned=ease.toml", "--variant", "same", "--json").json
    assert started["variants"] == {
        "tuned": {"share": 1 / 3, "settings": {"models": {"ease_regularization": 50.0}}},
        "same": {"share": 1 / 3, "settings": {}},
    }
    assert "spring" in xuelu("experiment", "list").out
    assert xuelu("experiment", "list", "--json").json == [started]
    report = xuelu("experiment", "report", "spring")
    assert (report.status, "control" in report.out) == (0, True)
    assert xuelu("experiment", "report", "spring", "--json").json["split_holds"]
    assert "is running; stop it first" in xuelu("experiment", "start", "next", "--variant", "b").complaint
    assert "ends with the next night" in xuelu("experiment", "stop", "spring").out
    assert "was stopped at" in xuelu("experiment", "stop", "spring").complaint
    assert "give this one another name" in xuelu("experiment", "start", "spring", "--variant", "b").complaint
    assert (
        "begins with the next night: control 90%, b 10%"
        in xuelu("experiment", "start", "next", "--variant", "b", "--share", "0.1").out
    )


def test_a_bad_experiment_is_refused_in_one_line(
    xuelu: Callable[..., Any], served: dict[str, Any], working_folder: Path
) -> None:
    del served
    assert "Experiments: none; `xuelu experiment start" in xuelu("experiment", "list").out
    (working_folder / "bad.toml").write_text("[weights]\nhalf_life_days = 3\n", encoding="utf-8")
    (working_folder / "no.toml").write_text("[", encoding="utf-8")

    assert "cannot change weights" in xuelu("experiment", "start", "a", "--variant", "b=bad.toml").complaint
    assert "cannot be read" in xuelu("experiment", "start", "a", "--variant", "b=no.toml").complaint
    assert "read: No such file" in xuelu("experiment", "start", "a", "--variant", "b=none.toml").complaint
    assert "given twice" in xuelu("experiment", "start", "a", "--variant", "b", "--variant", "b").complaint
    assert "write NAME=ease.toml" in xuelu("experiment", "start", "a", "--variant", "ease.toml").complaint
    (working_folder / "mixed.toml").write_text("[policy]\nmax_per_format = 1\n", encoding="utf-8")
    assert (
        "no outcome 'liked'; choose opened"
        in xuelu("experiment", "estimate", "mixed.toml", "--outcome", "liked").complaint
    )
    assert "set `policy.exploration_share`" in xuelu("experiment", "estimate", "mixed.toml").complaint
    assert "no experiment 'a'; there is none yet" in xuelu("experiment", "report", "a").complaint
