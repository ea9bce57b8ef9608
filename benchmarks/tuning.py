"""Overhead of a search of settings over the fits and scorings that it cannot do without.

``python -m benchmarks.tuning --json FILE`` reads MARS-FR from the folder that ``XUELU_DATA`` names, runs ``tune`` of
one model, or of the ranker (``--model ranker``), with 30 trials over 30 nights, two of them held out, then fits and
scores the same models of the same settings on the same nights by themselves, in one process, and prints

``tune_seconds``, ``bare_seconds``
    processor time of both;
``ratio``
    of the first to the second.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.prior import sources
from infra.db.engine import make_engine
from infra.db.migrate import migrate
from infra.settings.settings import Settings
from jobs.evaluation.backtest import BacktestData, Span, make_backtest, moment, read_backtest_data
from jobs.evaluation.tune import MAX_LISTS, SearchPlan, changed, changed_section, search_space, tune
from jobs.ingest.ingest import FileOptions, ingest
from jobs.nightly.lists import make_example_rules, make_pipeline, make_ranker
from recommender.evaluation.cut_offs import DEFAULT, prepare_cut

LAST = "2021-03-10"
HELD_OUT = 2


def measured(settings: Settings, target: str, *, trials: int, nights: int, every: int = 1) -> dict[str, Any]:
    """Return the processor time of a search and of its bare fits and scorings."""
    last = moment(LAST)
    span = Span(last - pd.Timedelta(days=nights - 1), last)
    engine = make_engine(settings.database_url)
    started = time.process_time()
    report = partial(print_seconds, started)
    result = tune(engine, settings, target, span, SearchPlan(trials, HELD_OUT), progress=report)
    tune_seconds = time.process_time() - started

    data = read_backtest_data(engine, settings, span, keep_cuts=True)
    engine.dispose()
    ranges, settings = search_space(settings, target)
    by_trial = [changed(settings, {space: trial[space.name] for space in ranges}) for trial in result.trials]
    rules = make_example_rules(settings)
    for cut in span.cuts:  # the states of the log are made once, in either
        prepare_cut(data.log, cut, make_pipeline(settings, data.taxonomies, []), rules=rules, with_features=False)
    bare_seconds, every = 0.0, 1 if target == "ranker" else every
    parts = [(span.cuts[:-HELD_OUT], by_trial, every), (span.cuts[-HELD_OUT:], [settings, by_trial[0]], 1)]
    for cuts, variants, step in parts:
        started = time.process_time()
        if target == "ranker":
            _fit_and_score_rankers(data, settings, replace(span, first=cuts[0], last=cuts[-1]), variants)
        for number, variant in enumerate(variants if target != "ranker" else ()):
            _fit_and_score_models(data, target, cuts[number % step :: step], variant)
        bare_seconds += (time.process_time() - started) * step
    return {
        "model": target,
        "trials": len(result.trials),
        "nights": nights,
        "tune_seconds": round(tune_seconds, 2),
        "bare_seconds": round(bare_seconds, 2),
        "ratio": round(tune_seconds / bare_seconds, 3),
    }


def print_seconds(started: float, share: float) -> None:
    """Print on stderr the share of the trials that are done, and the processor time so far."""
    print(f"{share:.0%} of the trials: {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)


def _fit_and_score_models(data: BacktestData, target: str, cuts: Sequence[pd.Timestamp], variant: Settings) -> None:
    for cut in cuts:
        truth = data.log.studied_next(cut, 1)
        members = truth["member"].drop_duplicates().sort_values().to_numpy()
        if len(members):
            interactions = data.log.interactions_at(cut, members)
            pipeline = make_pipeline(variant, data.taxonomies, [target])
            pipeline.fit_models(interactions)
            list(pipeline.proposals(interactions, data.log.members.index[members]))


def _fit_and_score_rankers(data: BacktestData, settings: Settings, span: Span, variants: Sequence[Settings]) -> None:
    """Fit and score rankers on cut-offs whose models are fitted and candidates found once."""
    small = changed_section(settings, "ranker", max_lists=min(settings.ranker.max_lists, MAX_LISTS))
    backtest = make_backtest(data, small, span, [DEFAULT])
    prepared = list(backtest.prepared())
    for variant in variants:
        past: list[tuple[pd.Timestamp, Any]] = []
        ranker, fitted_at = make_ranker(variant), span.first - pd.Timedelta(days=10_000)
        for cut, state, examples in prepared:
            if state is not None:
                if cut - fitted_at >= pd.Timedelta(days=backtest.rules.refit_days):
                    ranker, fitted_at = ranker.fit([part for at, part in past if at < cut]), cut
                for _, _, features in state.blocks:
                    ranker.score(features)
            if examples is not None:
                past.append((cut, examples))


def main() -> None:
    """Measure, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--model", default="als")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--every", type=int, default=1, help="measure the bare fits of every so many nights")
    parser.add_argument("--window-days", type=int, default=180, help="nights that a ranker learns from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(limits=1):
        scratch = Path(folder)
        source = next(sources(Path(os.environ.get("XUELU_DATA", "../shared/data")), scratch))
        url = f"sqlite:///{scratch / 'mars.db'}"
        settings = Settings(database_url=url, rejects_folder=scratch / "rejects", auto_create=True)
        settings = changed_section(settings, "models", threads=1)
        settings = changed_section(settings, "ranker", window_days=options.window_days)
        engine = make_engine(url)
        migrate(engine)
        now = moment(LAST).to_pydatetime()
        for name, kind, mapping in source.files:
            ingest(engine, settings, source.folder / name, kind, now=now, options=FileOptions(mapping))
        engine.dispose()
        size = {"trials": options.trials, "nights": options.nights, "every": options.every}
        figures = measured(settings, options.model, **size)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
