"""Backtest over the stored log: lists of past cut-offs, evaluated by what members studied after them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Engine
from threadpoolctl import get_cached_controller

from content_catalog.io.validation import EARLIEST, LATEST
from content_catalog.taxonomy import Taxonomy
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.runs import trials
from infra.runs.memory import trim
from infra.settings.settings import Settings
from infra.training.data import read_training_frames, weighting_rules
from jobs.evaluation.trade_off import rankers_between
from jobs.nightly.lists import make_example_rules, make_pipeline, make_ranker, pipeline_models
from recommender.content.mastery import topics_of_items
from recommender.evaluation.backtest import Backtest, Prepared
from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut
from recommender.evaluation.log import OUTCOME_DAYS, Log
from recommender.evaluation.summary import summarise
from recommender.pipeline import Pipeline
from recommender.ranking.examples import OUTCOMES
from recommender.registry import FACTORIES, own_models

STORED_SLICES: Final = ("warm", "cold")
"""Slices that a trial stores: others can be of few members."""
TENURES: Final = (
    ("under a week", 0, 7),
    ("under a month", 7, 30),
    ("under half a year", 30, 180),
    ("longer", 180, 1e9),
)


@dataclass(frozen=True)
class Span:
    """Cut-offs of a backtest.

    Attributes
    ----------
    first, last : Timestamp
        First and last cut-off, midnight UTC.
    step_days, horizon_days : int
        Days between cut-offs, and days after each within which an item counts as studied next.
    k : int
        Length of the lists.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    step_days: int = 1
    horizon_days: int = 1
    k: int = 10

    @property
    def cuts(self) -> list[pd.Timestamp]:
        """Times at which lists are made."""
        return list(pd.date_range(self.first, self.last, freq=f"{self.step_days}D"))


def moment(text: str, *, horizon_days: int = 1) -> pd.Timestamp:
    """Return the midnight, UTC, at which a day begins.

    Raises
    ------
    SettingsError
        The text is no day, or one beyond all calendars.
    """
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no day; write it as 2021-03-01") from error
    if not EARLIEST <= day < LATEST - timedelta(days=horizon_days):
        raise SettingsError(f"{text} and {horizon_days} days after it leave the years 1970 to 2199; choose others")
    return pd.Timestamp(day)


@dataclass(frozen=True)
class BacktestData:
    """Everything that a backtest of any settings reads, so that trials share it.

    Attributes
    ----------
    taxonomies : dict
        Roles and industries of the organisation.
    """

    log: Log
    taxonomies: dict[str, Taxonomy]
    n_members: int


def check_order(span: Span) -> None:
    """Check that a span has a day.

    Raises
    ------
    SettingsError
        It ends before it begins.
    """
    if span.last < span.first:
        raise SettingsError(
            f"the last day, {span.last:%Y-%m-%d}, is before the first, {span.first:%Y-%m-%d}; swap them"
        )


def read_backtest_data(engine: Engine, settings: Settings, span: Span, *, keep_cuts: bool = False) -> BacktestData:
    """Return the log up to the outcomes of a span; with ``keep_cuts`` for several backtests.

    Raises
    ------
    SettingsError
        The span ends before it begins.
    """
    check_order(span)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        settings = organisations.local_settings(session, key, settings)
        taxonomies = organisations.taxonomies(session, key)
        days = max(span.horizon_days, *(last_day for _, last_day in OUTCOME_DAYS.values()))
        end = (span.last + pd.Timedelta(days=days)).to_pydatetime()
        events, members, items = read_training_frames(session, key, as_of=end)
    log = Log(events, members, items, weighting_rules(settings), keep_cuts=keep_cuts)
    return BacktestData(log, taxonomies, len(members))


def make_backtest(data: BacktestData, settings: Settings, span: Span, models: Sequence[str] = ()) -> Backtest:
    """Return the backtest of models, ``default`` for the pipeline; by default of all in it and of all own models.

    Raises
    ------
    SettingsError
        A model is unknown.
    """
    own = own_models(settings.models.extra)
    unknown = sorted(set(models) - {*FACTORIES, *own, DEFAULT})
    if unknown:
        raise SettingsError(f"unknown model {unknown[0]!r}; known: {', '.join([*FACTORIES, *own, DEFAULT])}")
    in_pipeline = pipeline_models(settings)
    models = models or ([*in_pipeline, *own, DEFAULT] if own else [])
    rules = replace(make_example_rules(settings, span.horizon_days), outcomes=OUTCOMES[1:])
    warm_up = rules.window_days // span.step_days * span.step_days
    cuts = pd.date_range(span.first - pd.Timedelta(days=warm_up), span.last, freq=f"{span.step_days}D")

    single = [name for name in dict.fromkeys(models) if name != DEFAULT]
    outside_pipeline = [name for name in single if name not in in_pipeline] if DEFAULT in models else []

    def make() -> Pipeline:
        return make_pipeline(settings, data.taxonomies, single if single and DEFAULT not in models else in_pipeline)

    return Backtest(
        data.log,
        [cut for cut in cuts if cut > data.log.first_at],
        make=make,
        make_outside=(lambda: make_pipeline(settings, data.taxonomies, outside_pipeline)) if outside_pipeline else None,
        rules=rules,
        k=span.k,
        evaluate_from=span.first,
        models=models,
    )


def run_backtest(
    engine: Engine,
    settings: Settings,
    span: Span,
    *,
    models: Sequence[str] = (),
    trade_off: Sequence[str] = (),
    watch: Callable[[Iterable[EvaluatedCut], int], Iterable[EvaluatedCut]] = lambda evaluated, _total: evaluated,
    now: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return a row per model and slice, as :func:`recommender.evaluation.summary.summarise` makes them.

    Parameters
    ----------
    models : sequence of str
        Names of the models to evaluate, ``default`` for the pipeline; by default all.
    trade_off : sequence of str
        Two outcomes: rankers that learn by weights from all on the first to all on the second are evaluated too. Their
        rows are named ``default, …`` and have the weights as ``learned_by``.
    watch : callable
        Takes the evaluated cut-offs and their number, and yields them on: for a progress bar.
    now : datetime, optional
        Moment at which it is stored as a trial; by default it is not.

    Raises
    ------
    SettingsError
        A model or an outcome is unknown, the span ends before it begins, or no member studied anything new in it.
    """
    others = rankers_between(settings, trade_off, models)
    data = read_backtest_data(engine, settings, span)
    backtest = make_backtest(data, settings, span, models)
    with get_cached_controller().limit(limits=1):  # as in a run
        prepared = _trimming(backtest.prepared())
        evaluated = list(watch(backtest.run(make_ranker(settings), prepared, others=others), len(span.cuts)))
    rows = summarised(evaluated, data, span, settings)
    for row in rows:
        if row["model"] in others:
            row["learned_by"] = dict(others[row["model"]].objective)
    if now is not None:
        figures = [row for row in rows if row["slice"] in STORED_SLICES]
        subject = ",".join(models) or "all"
        record_trial(engine, settings, data, span, kind="backtest", subject=subject, results=figures, now=now)
    return rows


def _trimming(prepared: Iterable[Prepared]) -> Iterator[Prepared]:
    """Yield cut-offs; the memory of those before goes back to the system."""
    for cut in prepared:
        trim()
        yield cut


def record_trial(
    engine: Engine,
    settings: Settings,
    data: BacktestData,
    span: Span,
    *,
    kind: Literal["backtest", "tune"],
    subject: str,
    results: Any,
    now: datetime,
) -> None:
    """Store a backtest or a search as a trial."""
    days = {"first": f"{span.first:%Y-%m-%d}", "last": f"{span.last:%Y-%m-%d}"}
    cuts = {**days, "step_days": span.step_days, "horizon_days": span.horizon_days, "k": span.k}
    trial = {"kind": kind, "subject": subject, "span": cuts, "data_digest": data.log.digest(), "results": results}
    with transaction(engine) as session:
        trials.record(session, organisations.key_of(session, settings.organisation), settings, trial, now=now)


def summarised(
    evaluated: Sequence[EvaluatedCut], data: BacktestData, span: Span, settings: Settings
) -> list[dict[str, Any]]:
    """Return the summary of evaluated cut-offs.

    Raises
    ------
    SettingsError
        There are none.
    """
    if not evaluated:
        raise nothing_studied(span)
    by_slice = slices(evaluated, data.log)
    return summarise(
        evaluated,
        by_slice,
        vectors=topics_of_items(data.log.items)[1],
        n_members=data.n_members,
        objective=settings.objective.model_dump(),
    )


def nothing_studied(span: Span) -> SettingsError:
    """Return the error of a span in which no list can be evaluated."""
    return SettingsError(
        f"no member studied anything new from {span.first:%Y-%m-%d} to {span.last:%Y-%m-%d}; choose other days"
    )


def slices(evaluated: Sequence[EvaluatedCut], log: Log) -> dict[str, list[NDArray[np.bool_]]]:
    """Return the lists, or the items studied next, of each slice, by cut-off."""
    masks: dict[str, list[NDArray[np.bool_]]] = {
        "warm": [cut.warm for cut in evaluated],
        "cold": [~cut.warm for cut in evaluated],
    }
    for name in ("role", "industry"):
        codes = log.members[name].to_numpy(dtype=object)
        for code in sorted({code for cut in evaluated for code in codes[cut.members] if isinstance(code, str)}):
            masks[f"{name}={code}"] = [codes[cut.members] == code for cut in evaluated]
    for label, low, high in TENURES:
        masks[f"tenure={label}"] = [(cut.tenure_days >= low) & (cut.tenure_days < high) for cut in evaluated]
    for name in ("format", "language"):
        values = log.items[name].to_numpy(dtype=object)
        for value in sorted({value for value in values if isinstance(value, str)}):
            masks[f"{name}={value}"] = [cut.true & (values == value)[None, :] for cut in evaluated]
    return {name: parts for name, parts in masks.items() if any(part.any() for part in parts)}
