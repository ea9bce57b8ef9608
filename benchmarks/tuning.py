"""Overhead of a search of settings over the fits and scorings that it cannot do without.

``python -m benchmarks.tuning --json FILE`` reads MARS-FR from the folder that ``XUELU_DATA`` names, runs ``tune`` of
one model with 30 trials over 30 nights, two of them held out, then fits and scores the same models of the same settings
on the same nights by themselves, in one process, and prints

``tune_seconds``, ``bare_seconds``
    processor time of both;
``ratio``
    of the first to the second.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.prior import sources
from infra.db.engine import make_engine
from infra.db.migrate import migrate
from infra.settings.settings import Settings
from jobs.evaluation.backtest import Span, moment, read_backtest_data
from jobs.evaluation.tune import SearchPlan, changed, search_space, tune
from jobs.ingest.ingest import FileOptions, ingest
from jobs.nightly.lists import make_example_rules, make_pipeline
from recommender.evaluation.cut_offs import prepare_cut

LAST = "2021-03-10"
HELD_OUT = 2


def measured(settings: Settings, target: str, *, trials: int, nights: int) -> dict[str, Any]:
    """Return the processor time of a search and of its bare fits and scorings."""
    last = moment(LAST)
    span = Span(last - pd.Timedelta(days=nights - 1), last)
    engine = make_engine(settings.database_url)
    started = time.process_time()
    result = tune(engine, settings, target, span, SearchPlan(trials, HELD_OUT))
    tune_seconds = time.process_time() - started

    data = read_backtest_data(engine, settings, span, keep_cuts=True)
    engine.dispose()
    ranges, settings = search_space(settings, target)
    rules = make_example_rules(settings)
    searched, held_out = span.cuts[:-HELD_OUT], span.cuts[-HELD_OUT:]
    by_trial = [changed(settings, {space: trial[space.name] for space in ranges}) for trial in result.trials]
    for cut in span.cuts:  # the states of the log are made once, in either
        prepare_cut(data.log, cut, make_pipeline(settings, data.taxonomies, []), rules=rules, with_features=False)
    started = time.process_time()
    for variant, cuts in [*((each, searched) for each in by_trial), (settings, held_out), (by_trial[0], held_out)]:
        for cut in cuts:
            truth = data.log.studied_next(cut, span.horizon_days)
            members = truth["member"].drop_duplicates().sort_values().to_numpy()
            if len(members):
                interactions = data.log.interactions_at(cut, members)
                pipeline = make_pipeline(variant, data.taxonomies, [target])
                pipeline.fit_models(interactions)
                list(pipeline.proposals(interactions, data.log.members.index[members]))
    bare_seconds = time.process_time() - started
    return {
        "model": target,
        "trials": len(result.trials),
        "nights": nights,
        "tune_seconds": round(tune_seconds, 2),
        "bare_seconds": round(bare_seconds, 2),
        "ratio": round(tune_seconds / bare_seconds, 3),
    }


def main() -> None:
    """Measure, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--model", default="als")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--nights", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(limits=1):
        scratch = Path(folder)
        source = next(sources(Path(os.environ.get("XUELU_DATA", "../shared/data")), scratch))
        url = f"sqlite:///{scratch / 'mars.db'}"
        settings = Settings(database_url=url, rejects_folder=scratch / "rejects", auto_create=True)
        settings = settings.model_copy(update={"models": settings.models.model_copy(update={"threads": 1})})
        engine = make_engine(url)
        migrate(engine)
        now = moment(LAST).to_pydatetime()
        for name, kind, mapping in source.files:
            ingest(engine, settings, source.folder / name, kind, now=now, options=FileOptions(mapping))
        engine.dispose()
        figures = measured(settings, options.model, trials=options.trials, nights=options.nights)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
