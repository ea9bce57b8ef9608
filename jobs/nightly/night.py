"""The night: from study logs to published push lists, one recorded step after the other."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.db.locks import night_lock
from infra.settings.settings import Settings
from jobs.nightly import gate, learned_ranking, lists, training_data
from jobs.nightly.artefacts import keep, kept_before, read_for
from jobs.nightly.progress import Tell, silent
from jobs.nightly.publishing import check, prune, publish, served
from jobs.nightly.steps import begin, go_on


def nightly(
    engine: Engine,
    settings: Settings,
    *,
    now: datetime,
    as_of: datetime | None = None,
    resume: bool = False,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Make everybody's push list from what is known and publish it, or hold it where a check fails; return the run.

    Parameters
    ----------
    as_of : datetime, optional
        The moment up to which events are known and items available; by default now.
    resume : bool
        Go on after the last step that the night before this one finished.
    tell : callable
        Told of each step as it begins and ends.

    Raises
    ------
    NightRunningError
        Another night of the organisation is at work.
    NothingToResumeError
        ``resume``, but no night stopped half way.
    XueluError
        The lists published before stay served.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        settings = organisations.local_settings(session, key, settings)
    with night_lock(engine, settings.organisation) as lock:
        start = go_on if resume else begin
        night = start(engine, settings, lock, now=now, as_of=as_of, tell=tell)
        kept = kept_before(night)
        read = night.step("snapshot", lambda: read_for(night, kept), rows=lambda read: len(read.events))
        known = night.step(
            "features", lambda: training_data.interactions(read, settings, kept), rows=lambda known: len(known.cells)
        )
        checks = gate.check_data(read.items, read.n_events, served(night), settings.nightly, as_of=read.as_of)
        if gate.verdict(checks) == "held":
            return publish(night, read, known, None, checks)
        pipeline = night.step(
            "fit", lambda: lists.fit(settings, read, known, kept), rows=lambda pipeline: len(pipeline.models)
        )
        pipeline = night.step(
            "rank",
            lambda: learned_ranking.learn(
                settings, read, pipeline, night.examples_folder, kept, run_id=night.run["run_id"]
            ),
            rows=lambda pipeline: pipeline.ranker.n_examples if pipeline.ranker else 0,
        )
        made = night.step(
            "lists", lambda: lists.make(settings, pipeline, read, known, kept), rows=lambda made: len(made.lists)
        )
        found = night.step("gate", lambda: check(night, read, known, made), rows=len)
        run = publish(night, read, known, made, [*checks, learned_ranking.check(pipeline), *found])
        keep(night, run, read, known, pipeline, made, kept)
        prune(night)
        return run
