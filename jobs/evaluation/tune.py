"""Tuning: search settings by backtests of past days; the last days are held out of the search."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Final

import optuna
import pandas as pd
from optuna.importance import get_param_importances
from optuna.samplers import TPESampler
from sqlalchemy import Engine

from infra.errors import SettingsError
from infra.settings.settings import Settings
from jobs.evaluation.backtest import (
    BacktestData,
    Span,
    check_order,
    make_backtest,
    nothing_studied,
    read_backtest_data,
    record_trial,
)
from jobs.nightly.lists import make_ranker
from recommender.evaluation.backtest import Prepared
from recommender.evaluation.cut_offs import DEFAULT
from recommender.evaluation.search_spaces import SPACES, Range
from recommender.evaluation.summary import of_all_lists
from recommender.own_models import make_own
from recommender.registry import own_models, own_sources

OWN: Final = "extra_parameters"
"""Setting of the section ``models`` that holds the parameters of own models."""
INPUTS: Final = "inputs"
"""Attribute of a stored search: the digest of what its trials are of."""
FINISHED: Final = (optuna.trial.TrialState.COMPLETE,)
MAX_LISTS: Final = 500
"""Lists of one cut-off in a search of the ranker, whose candidates are all held in memory."""

Score = Callable[[Settings], tuple[float, float, int]]
"""Recall, objective and number of lists by some settings."""


@dataclass(frozen=True)
class SearchPlan:
    """Length and data of a search.

    Attributes
    ----------
    trials : int
        Trials altogether, those of an earlier search included.
    held_out_days : int
        Last days that evaluate the winner and are not searched on.
    timeout_seconds : float, optional
        No trial begins after so long.
    storage : Path, optional
        SQLite file of the trials; a later search with the same file continues.
    """

    trials: int
    held_out_days: int
    timeout_seconds: float | None = None
    storage: Path | None = None


@dataclass(frozen=True)
class TuningResult:
    """Result of a search.

    Attributes
    ----------
    trials : list of dict
        ``ndcg`` and the settings of every trial, best first.
    importances : dict
        Share of the differences that each setting explains (fANOVA, Hutter et al. 2014).
    held_out : list
        ``[settings, recall, ndcg]`` on the days held out, before and after.
    toml : str
        The winner as a fragment of ``xuelu.toml``.
    held_out_lists : int, optional
        Lists of the days held out; none of searches that were stored before they were counted.
    """

    trials: list[dict[str, float]]
    importances: dict[str, float]
    held_out: list[list[Any]]
    toml: str
    held_out_lists: int | None = None


def tune(
    engine: Engine,
    settings: Settings,
    target: str,
    span: Span,
    plan: SearchPlan,
    *,
    progress: Callable[[float], None] = lambda _share: None,
    now: datetime | None = None,
) -> TuningResult:
    """Return the best settings of a model or of the ranker, by the objective over all lists of the searched days.

    The objective is NDCG by what members began, unless the settings weigh other outcomes.

    The search is a tree-structured Parzen estimator (Bergstra et al. 2011); the same seed gives the same result.
    It is stored as a trial at the moment ``now``, where one is given.

    Raises
    ------
    SettingsError
        There is no search space of that name, the span ends before it begins, no day is left to search on, or the
        stored search is of something else.
    """
    ranges, settings = search_space(settings, target)
    check_order(span)
    split = span.last - pd.Timedelta(days=plan.held_out_days)
    if split < span.first:
        raise SettingsError(f"{plan.held_out_days} days held out leave no day to search on; choose more days")
    data = read_backtest_data(engine, settings, span, keep_cuts=True)
    searched, held_out = (
        _scorer(data, settings, target, within)
        for within in (replace(span, last=split), replace(span, first=split + pd.Timedelta(days=1)))
    )

    def objective(trial: optuna.Trial) -> float:
        return searched(changed(settings, {space: _suggested(trial, space) for space in ranges}))[1]

    search = _open_search(plan, target, settings, _inputs_of(data, settings, span, plan, target))
    if not search.get_trials(states=FINISHED):
        present = {space.name: min(max(_present(settings, space), space.low), space.high) for space in ranges}
        search.enqueue_trial(present)
    left = max(0, plan.trials - len(search.get_trials(states=FINISHED)))
    if left:
        search.optimize(
            objective,
            n_trials=left,
            timeout=plan.timeout_seconds,
            callbacks=[lambda study, _trial: progress(len(study.trials) / plan.trials)],
        )
    trials = sorted(search.get_trials(states=FINISHED), key=lambda trial: -float(trial.value or 0.0))
    best = {space: search.best_params[space.name] for space in ranges}
    rows = [{"ndcg": float(trial.value or 0.0), **trial.params} for trial in trials]
    *before, n_lists = held_out(settings)
    *after, _ = held_out(changed(settings, best))
    figures = [["as they were", *before], ["tuned", *after]]
    result = TuningResult(rows, _importances(search), figures, as_toml(best), int(n_lists))
    if now is not None:
        record_trial(engine, settings, data, span, kind="tune", subject=target, results=asdict(result), now=now)
    return result


def _open_search(plan: SearchPlan, target: str, settings: Settings, inputs: str) -> optuna.Study:
    """Return the search, a stored one with its trials.

    Raises
    ------
    SettingsError
        The stored one is of other inputs, so that its trials cannot be compared with new ones.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a failed trial ends the search with its error
    storage = f"sqlite:///{plan.storage}" if plan.storage else None
    search = optuna.create_study(direction="maximize", study_name=target, storage=storage, load_if_exists=True)
    if search.user_attrs.get(INPUTS, inputs) != inputs:
        raise SettingsError(
            f"{plan.storage} holds a search of {target} of other days, data or settings; name another file"
        )
    search.set_user_attr(INPUTS, inputs)
    # A resumed search with the first one's seed would draw its trials once more (optuna/optuna issue 3255).
    search.sampler = TPESampler(seed=settings.models.seed + len(search.trials))
    return search


def _inputs_of(data: BacktestData, settings: Settings, span: Span, plan: SearchPlan, target: str) -> str:
    """Return the digest of what the value of a trial depends on beside the settings that are searched."""
    models = settings.models
    own = [*models.in_pipeline, *([target] if target in own_models(models.extra) else [])]
    inputs = [span, plan.held_out_days, settings.objective, settings.digest(), data.log.rules, data.log.digest()]
    return hashlib.sha256(" ".join(map(str, [*inputs, *own_sources(models.extra, own)])).encode()).hexdigest()


def search_space(settings: Settings, target: str) -> tuple[tuple[Range, ...], Settings]:
    """Return the search space of a model or of the ranker, and the settings with a value for each of its settings.

    An own model's is its attribute ``search_space``: bounds by parameter; between whole numbers a parameter is whole.

    Raises
    ------
    SettingsError
        There is none.
    """
    own = own_models(settings.models.extra)
    if target in SPACES:
        return SPACES[target], settings
    if target not in own:
        raise SettingsError(f"nothing to tune is called {target!r}; known: {', '.join([*SPACES, *own])}")
    present = settings.models.extra_parameters
    model = make_own(own[target], present.get(target, {}))
    if not model.search_space:
        raise SettingsError(f"model {target} has nothing to tune; give its class an attribute search_space")
    values = {name: value for name, value in model.get_params(deep=False).items() if name in model.search_space}
    if unknown := sorted(set(model.search_space) - set(values)):
        raise SettingsError(f"search_space of {target} names {unknown[0]!r}, which is no parameter of it; correct it")
    ranges = tuple(
        Range("models", f"{OWN}.{target}.{name}", low, high, whole=isinstance(low, int) and isinstance(high, int))
        for name, (low, high) in model.search_space.items()
    )
    parameters = {**present, target: {**values, **present.get(target, {})}}
    return ranges, changed_section(settings, "models", **{OWN: parameters})


def _scorer(data: BacktestData, settings: Settings, target: str, span: Span) -> Score:
    """Return a function from settings to recall, NDCG and number over all lists of a span.

    Cut-offs are rebuilt from the log once for all trials; for the ranker also models, candidates and examples.
    """
    if target != "ranker":
        return lambda trial: _score(data, trial, span, [target], None)
    small = changed_section(settings, "ranker", max_lists=min(settings.ranker.max_lists, MAX_LISTS))
    prepared = list(make_backtest(data, small, span, [DEFAULT]).prepared())
    return lambda trial: _score(data, trial, span, [DEFAULT], prepared)


def _score(
    data: BacktestData,
    settings: Settings,
    span: Span,
    models: Sequence[str],
    prepared: list[Prepared] | None,
) -> tuple[float, float, int]:
    backtest = make_backtest(data, settings, span, models)
    evaluated = list(backtest.run(make_ranker(settings), prepared))
    if not evaluated:
        raise nothing_studied(span)
    recall, objective = of_all_lists(models[0], evaluated, settings.objective.model_dump())
    if objective is None:
        raise SettingsError(
            "no list of these days has an outcome that [objective] gives a weight; choose earlier days or other weights"
        )
    return recall, objective, sum(len(night.members) for night in evaluated)


def changed(settings: Settings, values: dict[Range, float]) -> Settings:
    """Return settings with some values replaced."""
    for space, value in values.items():
        section = getattr(settings, space.section).model_dump()
        *path, name = space.name.split(".")
        reduce(getitem, path, section)[name] = value
        settings = changed_section(settings, space.section, **section)
    return settings


def _present(settings: Settings, space: Range) -> Any:
    """Return the value of a setting."""
    return reduce(getitem, space.name.split("."), getattr(settings, space.section).model_dump())


def changed_section(settings: Settings, section: str, **values: Any) -> Settings:
    """Return settings with some values of one section replaced."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def as_toml(values: dict[Range, float]) -> str:
    """Return values as a fragment of the settings file.

    >>> print(as_toml({Range("models", "als_factors", 4, 64, whole=True): 16}), end="")
    [models]
    als_factors = 16
    """
    lines = []
    for section in dict.fromkeys(space.section for space in values):
        lines.append(f"[{section}]")
        lines.extend(f"{space.name} = {value!r}" for space, value in values.items() if space.section == section)
    return "\n".join(lines) + "\n"


def _suggested(trial: optuna.Trial, space: Range) -> float:
    if space.whole:
        return trial.suggest_int(space.name, int(space.low), int(space.high), log=True)
    return trial.suggest_float(space.name, space.low, space.high, log=True)


def _importances(search: optuna.Study) -> dict[str, float]:
    """Return the importances; equal ones where too few trials differ."""
    values = {trial.value for trial in search.trials}
    names = list(search.best_params)
    if len(values) < 2 or len(names) < 2:
        return dict.fromkeys(names, 1.0 / len(names))
    return dict(get_param_importances(search))
