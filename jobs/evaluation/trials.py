"""Comparison of stored trials, and results of backtests as frames."""

from pathlib import Path
from typing import Any, Final

import orjson
import pandas as pd

from content_catalog.errors import why_unreadable
from infra.errors import SettingsError

METRICS: Final = (
    "recall",
    "ndcg",
    "hit_rate",
    "mrr",
    "coverage",
    "novelty",
    "diversity",
    "miscalibration",
    "objective",
)
INPUTS: Final = ("kind", "data_digest", "span", "code_version")
"""Inputs in which two trials should agree where their settings are compared."""


def load_backtest(path: Path | str) -> pd.DataFrame:
    """Return the results that ``xuelu backtest -o FILE`` wrote: a row per model and slice.

    Each interval is two columns, such as ``ndcg_low`` and ``ndcg_high``. Raises as :func:`read_backtest`.
    """
    return as_frame(read_backtest(path))


def read_backtest(path: Path | str) -> list[dict[str, Any]]:
    """Return the rows that ``xuelu backtest -o FILE`` wrote.

    Raises
    ------
    SettingsError
        The file cannot be read, or holds something else.
    """
    try:
        rows = orjson.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, orjson.JSONDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {why_unreadable(error)}; `xuelu backtest -o FILE` writes one"
        ) from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"model", "slice"} <= row.keys() for row in rows
    ):
        raise SettingsError(f"{path} holds no backtest; `xuelu backtest -o FILE` writes one")
    return rows


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of a backtest as a frame, each interval as two columns.

    >>> as_frame([{"model": "ease", "slice": "warm", "ndcg_interval": [0.1, 0.3]}]).to_dict("records")
    [{'model': 'ease', 'slice': 'warm', 'ndcg_low': 0.1, 'ndcg_high': 0.3}]
    """
    return pd.DataFrame([_flat(row) for row in rows])


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in row.items():
        stem = name.removesuffix("_interval")
        cells |= {name: value} if stem == name else {f"{stem}_low": value[0], f"{stem}_high": value[1]}
    return cells


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return how two trials differ.

    Returns
    -------
    dict
        ``inputs``, those of :data:`INPUTS` in which they differ; ``settings``: ``setting, first, second`` of each that
        differs; ``metrics``: ``of, metric, first, second, difference``, of what both measured.
    """
    settings = [{**flattened(trial["settings"])} for trial in (first, second)]
    names = list(dict.fromkeys([*settings[0], *settings[1]]))
    figures = [_figures(trial) for trial in (first, second)]
    return {
        "inputs": [name for name in INPUTS if first[name] != second[name]],
        "settings": [
            {"setting": name, "first": settings[0].get(name), "second": settings[1].get(name)}
            for name in names
            if settings[0].get(name) != settings[1].get(name)
        ],
        "metrics": [
            {"of": of, "metric": metric, "first": value, "second": other, "difference": other - value}
            for (of, metric), value in figures[0].items()
            for other in [figures[1].get((of, metric))]
            if other is not None
        ],
    }


def flattened(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by their names with their sections."""
    return {f"{section}.{name}": value for section, values in settings.items() for name, value in values.items()}


def _figures(trial: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Return the figures of a trial by what they are of and the metric."""
    results = trial["results"]
    if trial["kind"] == "tune":
        held_out = {label: {"recall": recall, "ndcg": ndcg} for label, recall, ndcg in results["held_out"]}
        return {(label, name): value for label, row in held_out.items() for name, value in row.items()}
    return {
        (f"{row['model']}, {row['slice']}", name): row[name]
        for row in results
        for name in METRICS
        if row.get(name) is not None
    }
