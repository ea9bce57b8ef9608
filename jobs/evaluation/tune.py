"""Tuning: a search over settings, judged by replay of past days; the last days are kept out of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.importance import get_param_importances
from optuna.samplers import TPESampler
from sqlalchemy import Engine

from infra.errors import SettingsError
from infra.settings.settings import Settings
from jobs.evaluation.backtest import Span, replayed
from recommender.evaluation.backtest import DEFAULT
from recommender.evaluation.search_spaces import SPACES, Range


@dataclass(frozen=True)
class Search:
    """How long is searched, and on what.

    Attributes
    ----------
    trials : int
        Trials altogether, those of an earlier search included.
    held_out_days : int
        Last days that judge the winner and are not searched on.
    timeout_seconds : float, optional
        After so long no new trial begins.
    storage : Path, optional
        SQLite file that keeps the trials; the same one goes on with them.
    """

    trials: int
    held_out_days: int
    timeout_seconds: float | None = None
    storage: Path | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    trials : list of dict
        ``ndcg`` and the settings of every trial, best first.
    importances : dict
        Share of the differences that each setting explains (fANOVA, Hutter et al. 2014).
    held_out : list
        ``[settings, recall, ndcg]`` on the days kept out, before and after.
    toml : str
        The winner as a fragment of ``xuelu.toml``.
    """

    trials: list[dict[str, float]]
    importances: dict[str, float]
    held_out: list[list[Any]]
    toml: str


def tuned(
    engine: Engine,
    settings: Settings,
    what: str,
    span: Span,
    how: Search,
    *,
    tell: Callable[[float], None] = lambda _share: None,
) -> Tuned:
    """Return the best settings of a model or the blend, by NDCG over all lists of the searched days.

    The search is a tree-structured Parzen estimator (Bergstra et al. 2011); the same seed gives the same result.

    Raises
    ------
    SettingsError
        There is nothing to search of that name, or no day is left to search on.
    """
    if what not in SPACES:
        raise SettingsError(f"nothing to tune is called {what!r}; known: {', '.join(SPACES)}")
    split = span.last - pd.Timedelta(days=how.held_out_days)
    if split < span.first:
        raise SettingsError(f"{how.held_out_days} days kept out leave none of the days to search; choose more days")
    searched, kept_out = replace(span, last=split), replace(span, first=split + pd.Timedelta(days=1))
    judged = DEFAULT if what == "blend" else what

    def score(of: Settings, within: Span) -> tuple[float, float]:
        rows = replayed(engine, of, within, models=[judged])
        lists = sum(row["lists"] for row in rows if row["slice"] in ("warm", "cold"))
        recall, ndcg = (
            sum(row[name] * row["lists"] for row in rows if row["slice"] in ("warm", "cold")) / lists
            for name in ("recall", "ndcg")
        )
        return recall, ndcg

    def objective(trial: optuna.Trial) -> float:
        return score(changed(settings, {one: _suggested(trial, one) for one in SPACES[what]}), searched)[1]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(
        direction="maximize",
        sampler=TPESampler(seed=settings.models.seed),
        study_name=what,
        storage=f"sqlite:///{how.storage}" if how.storage else None,
        load_if_exists=True,
    )
    if not search.trials:
        search.enqueue_trial({one.name: getattr(getattr(settings, one.section), one.name) for one in SPACES[what]})
    left = max(0, how.trials - sum(trial.state.is_finished() for trial in search.trials))
    if left:
        search.optimize(
            objective,
            n_trials=left,
            timeout=how.timeout_seconds,
            callbacks=[lambda study, _trial: tell(len(study.trials) / how.trials)],
        )
    best = {one: search.best_params[one.name] for one in SPACES[what]}
    rows = [
        {"ndcg": float(trial.value), **trial.params}
        for trial in sorted(search.trials, key=lambda trial: -(trial.value or 0.0))
        if trial.value is not None
    ]
    before, after = score(settings, kept_out), score(changed(settings, best), kept_out)
    return Tuned(rows, _importances(search), [["as they were", *before], ["tuned", *after]], as_toml(best))


def changed(settings: Settings, values: dict[Range, float]) -> Settings:
    """Return settings with some values put in."""
    sections = {
        name: getattr(settings, name).model_copy(
            update={one.name: value for one, value in values.items() if one.section == name}
        )
        for name in {one.section for one in values}
    }
    return settings.model_copy(update=sections)


def as_toml(values: dict[Range, float]) -> str:
    """Return values as a fragment of the settings file.

    >>> print(as_toml({Range("models", "als_factors", 4, 64, whole=True): 16}), end="")
    [models]
    als_factors = 16
    """
    sections = dict.fromkeys(one.section for one in values)
    lines = []
    for section in sections:
        lines.append(f"[{section}]")
        lines.extend(f"{one.name} = {value!r}" for one, value in values.items() if one.section == section)
    return "\n".join(lines) + "\n"


def _suggested(trial: optuna.Trial, one: Range) -> float:
    if one.whole:
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=True)
    return trial.suggest_float(one.name, one.low, one.high, log=True)


def _importances(search: optuna.Study) -> dict[str, float]:
    """Return the importances; equal ones where too few trials differ to tell."""
    values = {trial.value for trial in search.trials}
    names = list(search.best_params)
    if len(values) < 2 or len(names) < 2:
        return dict.fromkeys(names, 1.0 / len(names))
    return dict(get_param_importances(search))
