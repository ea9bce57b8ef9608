"""Backtests and searches that were stored, and their comparison."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.runs import trials
from jobs.evaluation.tracking import as_tracked_run
from jobs.evaluation.trials import compare, load_backtest
from tests.infra.exports.tracking_store import TrackingStore

Run = Callable[..., Any]
DAYS = ("--from", "2026-02-24", "--to", "2026-02-25")


@pytest.mark.usefixtures("couriers")
def test_every_backtest_and_search_is_stored_and_two_can_be_compared(
    xuelu: Run, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert "2026-02-24 to 2026-02-25" in xuelu("trials", "list").out
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
    searched = xuelu("trials", "show", 3).out
    assert "[models]" in searched
    assert re.search(r"days held out of the search, lists: \d+\n", searched)
    other = xuelu("trials", "compare", 1, 3).out
    assert other.endswith(
        "figures of both: none\nthey differ in kind too: not all of the difference is of the settings\n"
    )
    assert "no trial 9; `xuelu trials list` shows them" in xuelu("trials", "show", 9).complaint
    with TrackingStore() as store:
        assert_trials_are_exported(xuelu, store)
    with transaction(engine) as session:
        early = trials.find(session, 1, 3)
    del early["results"]["held_out_lists"]
    assert "</html>" in as_tracked_run(early, organisation="default").files["report.html"], (
        "lists were not counted then"
    )
    xuelu("backtest", "--from", "2026-02-24", "--to", "2026-02-24", "--models", "newest")
    assert xuelu("trials", "compare", 2, 4).out.endswith("they differ in span: no difference is of the settings\n")
    frame = load_backtest(tmp_path / "rows.json")
    assert len(frame) == len(rows)
    assert frame["ndcg_low"].tolist() == [row["ndcg_interval"][0] for row in rows]


def assert_trials_are_exported(xuelu: Run, store: TrackingStore) -> None:
    """Assert that MLflow has each trial once, also where an export stopped half way."""
    store.fails_at = "/artifacts/"
    failed = xuelu("trials", "export", store.url, 1)
    assert (failed.status, "answers 500" in failed.complaint) == (2, True)
    store.fails_at = "nowhere"
    assert "xuelu: 3 trials written, 0 there already" in xuelu("trials", "export", store.url).out
    assert xuelu("trials", "export", store.url, "--json").json == {"experiment": "xuelu", "written": 0, "present": 3}

    first, second, search = store.runs.values()
    assert {run["info"]["status"] for run in store.runs.values()} == {"FINISHED"}
    assert first["info"]["run_name"] == "backtest 1: popularity"
    assert second["params"]["models.popularity_half_life_days"] == "1.0"
    assert second["params"]["span.first"] == "2026-02-24"
    stored = xuelu("trials", "show", 1, "--json").json
    assert first["tags"]["xuelu.data_digest"] == stored["data_digest"]
    assert first["metrics"]["popularity/warm/ndcg", 0] == stored["results"][0]["ndcg"]
    assert first["metrics"]["popularity/warm/ndcg_low", 0] == stored["results"][0]["ndcg_interval"][0]
    assert search["params"]["tuned.popularity_half_life_days"] == "1.0"
    assert {name for name, _ in search["metrics"]} >= {"ndcg", "held_out/tuned/ndcg"}
    assert set(store.artefacts) == {f"1/{run_id}/artifacts/report.html" for run_id in store.runs}
    assert all(b"</html>" in content for content in store.artefacts.values())


@pytest.mark.usefixtures("couriers")
def test_an_address_that_names_a_user_or_a_store_without_artefacts_is_refused(
    xuelu: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = xuelu("trials", "export", "http://me:secret@mlflow")
    assert "'mlflow' is no address of an MLflow server" in refused.complaint
    assert "secret" not in refused.complaint
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0")
    xuelu("tune", "popularity", *DAYS, "--trials", 1, "--held-out", 1)
    with TrackingStore() as store:
        store.root = "s3://bucket"
        answer = xuelu("trials", "export", store.url, "--experiment", "other")
        assert "stores artefacts at 's3://bucket/1/r1/artifacts'" in answer.complaint
        assert "1 trials written" in xuelu("trials", "export", store.url, "--experiment", "other", "--no-pages").out
        store.stage = "deleted"
        assert (
            "experiment 'other' is deleted" in xuelu("trials", "export", store.url, "--experiment", "other").complaint
        )
        store.fails_at, store.failure = "experiments", (403, "Invalid Host header")
        assert "'\"Invalid Host header\"'; set MLFLOW" in xuelu("trials", "export", store.url).complaint
        assert {headers["Authorization"] for headers in store.headers} == {"Bearer t0"}
    assert "does not answer" in xuelu("trials", "export", store.url).complaint


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
    search = {**trial, "kind": "tune", "results": {"held_out": [["tuned", 0.5, 0.25]]}}
    assert compare(trial, search) == {"inputs": ["kind"], "settings": [], "metrics": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "cannot be read"), (b"[1]", "holds no backtest"), (b"SQLite\x00\xff", "it is not UTF-8")],
)
def test_a_file_that_holds_no_backtest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.json").write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        load_backtest(tmp_path / "rows.json")
