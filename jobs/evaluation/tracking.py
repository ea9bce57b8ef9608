"""Trials as runs of MLflow: their settings as parameters, figures as metrics, the report as an artefact."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from infra.exports.mlflow import TrackedRun
from jobs.evaluation.reports.report import backtest_page, tuning_page
from jobs.evaluation.trials import METRICS, flattened
from jobs.evaluation.tune import TuningResult

DIGESTS: Final = ("settings_digest", "data_digest", "code_version")
NOT_IN_NAMES: Final = re.compile(r"[^\w./ -]")
"""Characters that MLflow takes in no name of a metric or parameter."""
PAGE: Final = "report.html"


def as_tracked_run(trial: Mapping[str, Any], *, organisation: str, pages: bool = True) -> TrackedRun:
    """Return a stored trial as a run of MLflow.

    Metrics of a backtest are named ``MODEL/SLICE/METRIC``. Of a search ``ndcg`` has a step for each trial, the best
    last; figures of the days held out are ``held_out/LABEL/METRIC``.
    """
    identity = [organisation, trial["number"], trial["created_at"].isoformat(), *(trial[name] for name in DIGESTS)]
    title = f"{trial['kind']} {trial['number']}: {trial['subject']}"
    results = trial["results"]
    of_kind = _of_search if trial["kind"] == "tune" else _of_backtest
    params = {"kind": trial["kind"], "subject": trial["subject"], "organisation": organisation}
    params |= {f"span.{name}": value for name, value in trial["span"].items()} | flattened(trial["settings"])
    if trial["kind"] == "tune":
        params |= {f"tuned.{name}": value for name, value in results["trials"][0].items() if name != "ndcg"}
    return TrackedRun(
        identity=hashlib.sha256(" ".join(map(str, identity)).encode()).hexdigest(),
        name=title,
        at=trial["created_at"],
        params={
            _name(name): value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in params.items()
        },
        tags={f"xuelu.{name}": str(trial[name]) for name in DIGESTS},
        metrics=[(_name(name), float(value), step) for name, value, step in of_kind(results) if value is not None],
        files={PAGE: _page(trial, title)} if pages else {},
    )


def _of_backtest(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, float | None, int]]:
    for row in rows:
        place = f"{row['model']}/{row['slice']}"
        for metric in METRICS:
            yield f"{place}/{metric}", row.get(metric), 0
        for metric in ("recall", "ndcg"):
            low, high = row[f"{metric}_interval"]
            yield f"{place}/{metric}_low", low, 0
            yield f"{place}/{metric}_high", high, 0
        for outcome, value in row.get("objectives", {}).items():
            yield f"{place}/ndcg_{outcome}", value, 0


def _of_search(results: Mapping[str, Any]) -> Iterable[tuple[str, float | None, int]]:
    for step, trial in enumerate(reversed(results["trials"])):
        yield "ndcg", trial["ndcg"], step
    for label, recall, ndcg in results["held_out"]:
        yield f"held_out/{label}/recall", recall, 0
        yield f"held_out/{label}/ndcg", ndcg, 0
    for name, share in results["importances"].items():
        yield f"importance/{name}", share, 0


def _page(trial: Mapping[str, Any], title: str) -> str:
    if trial["kind"] == "tune":
        return tuning_page(TuningResult(**trial["results"]), trial["subject"])
    return backtest_page(trial["results"], title)


def _name(name: str) -> str:
    """Return a name as MLflow takes it.

    >>> _name("default, passed 25%/warm/ndcg")
    'default_ passed 25_/warm/ndcg'
    """
    return NOT_IN_NAMES.sub("_", name)
