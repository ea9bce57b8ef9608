"""The night: from study logs to published push lists, one recorded step after the other."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from features.interactions import Interactions
from infra.db.locks import night_lock
from infra.errors import RunDiscardedError
from infra.serving.online_model import OnlineModel
from infra.settings.settings import Settings
from jobs.nightly import gate, learned_ranking, lists, training_data
from jobs.nightly.artefacts import load_state, save
from jobs.nightly.incremental import IncrementalState
from jobs.nightly.publishing import check, prune, publish, served_run
from jobs.nightly.steps import RunInProgress, resume_run, settings_of_organisation, start_run
from jobs.nightly.training_data import TrainingData
from jobs.progress import Progress, no_progress
from recommender.pipeline import Pipeline
from recommender.ranking.ranker import Ranker

RESTARTS: Final = 5
"""Times that a night begins again because a member was erased meanwhile."""


def nightly(
    engine: Engine,
    settings: Settings,
    *,
    now: datetime,
    as_of: datetime | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compute everybody's push list and publish them, or hold them where a check fails; return the run.

    Parameters
    ----------
    as_of : datetime, optional
        The moment up to which events count and at which items must be available; by default now.
    resume : bool
        Resume the interrupted run after its last finished step.
    progress : callable
        Called as each step starts and finishes.

    Raises
    ------
    NightRunningError
        Another night of the organisation is running.
    RunStateError
        ``resume``, but no run was interrupted.
    XueluError
        The lists published before stay served.
    """
    settings = settings_of_organisation(engine, settings)
    begin = resume_run if resume else start_run
    with night_lock(engine, settings.organisation) as lock:
        for _ in range(RESTARTS):
            run = begin(engine, settings, lock, now=now, as_of=as_of, progress=progress)
            with suppress(RunDiscardedError):  # what it read holds an erased member: it begins again without
                return _steps(run, settings)
            run.discard()
            begin = start_run
        return _steps(begin(engine, settings, lock, now=now, as_of=as_of, progress=progress), settings)


def _steps(run: RunInProgress, settings: Settings) -> dict[str, Any]:
    """Take a run through all steps, those that it has finished excepted, and return it."""
    state = load_state(run)
    data = run.step("snapshot", lambda: training_data.read_for(run, state))
    reused = state if data.changed is not None else None
    checks = gate.check_data(data, served_run(run), settings.nightly)
    # Before tonight's models are fitted: it fits those of past nights, and both do not fit into memory at once.
    ranker = run.step("rank", lambda: _ranker(run, data, reused)) if data.n_offered else None
    interactions = run.step("features", lambda: training_data.interactions(data, settings, reused))
    if not data.n_offered:
        return publish(run, data, interactions, None, gate.GateResult(checks))
    pipeline = run.step("fit", lambda: lists.fit(settings, data, interactions, ranker, reused))
    interactions.forget()
    model = _with_variants(run, data, interactions, lists.model_of(settings, data, interactions, pipeline, reused))
    data = data.without_events()
    computed = run.step("lists", lambda: lists.make_lists(run.engine, model, data, interactions, reused))
    checks.append(learned_ranking.check(ranker, data.n_events))
    # A run that is resumed is checked again: by the limits and beside the run that hold then.
    gated = run.step("gate", lambda: check(run, data, interactions, computed, checks), save=False)
    finished = publish(run, data, interactions, computed, gated, reused)
    save(run, finished, data, interactions, model)
    prune(run)
    return finished


def _ranker(run: RunInProgress, data: TrainingData, reused: IncrementalState | None) -> Ranker | None:
    """Return the ranker learned from past nights, or the one of the served run where it is reused."""
    if reused is not None:
        return reused.model.pipeline.ranker
    return learned_ranking.learn(run.settings, data, run.examples_folder, run.id)


def _with_variants(
    run: RunInProgress, data: TrainingData, interactions: Interactions, model: OnlineModel
) -> OnlineModel:
    """Return the model with those of the variants of the experiment that runs, if one does.

    Models that are reused bring those of their variants. Variants without changes, as in an A/A test, have none of
    their own: their members' lists are those of the control.
    """
    if run.experiment is None or data.changed is not None:
        return model

    def fit(settings: Settings) -> Pipeline:
        ranker = learned_ranking.learn(settings, data, run.examples_folder)
        return lists.fit(settings, data, interactions, ranker)

    changed = {
        name: settings
        for name, settings in run.experiment.settings_of(run.settings).items()
        if settings.digest() != run.settings.digest()
    }
    fitted = run.step("variants", lambda: {name: fit(settings) for name, settings in changed.items()})
    models = {name: lists.model_of(changed[name], data, interactions, pipeline) for name, pipeline in fitted.items()}
    return replace(model, split=run.experiment.split, variants=models)
