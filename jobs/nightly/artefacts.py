"""Save and load the artefacts of a run, under the digests that the database records."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from content_catalog.audience import available
from features.interactions import Interactions
from infra.db.engine import transaction
from infra.errors import NoPublishedRunError
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.runs.memory import peak_bytes
from infra.serving.online_model import ONLINE_MODEL, OnlineModel
from jobs.nightly.incremental import IncrementalState, hashed
from jobs.nightly.steps import RunInProgress, digest_of
from jobs.nightly.training_data import TrainingData

STATE: Final = "incremental_state"

log = structlog.get_logger("xuelu.nightly")


def load_state(run: RunInProgress) -> IncrementalState | None:
    """Return the state of the served run with its models, None where they cannot be reused."""
    refit_days = run.settings.nightly.refit_days
    if not refit_days:
        return None
    with transaction(run.engine) as session:
        try:
            served = runs.latest(session, run.organisation_key)
        except NoPublishedRunError:
            return None
        recorded = steps.of_run(session, served)
    if (served["settings_digest"], served["code_version"]) != (digest_of(run.settings, run.experiment), code_version()):
        return None
    folder = run.folder_of(served)
    state, model = (artefacts.load(folder, name, _digest_of(recorded, name)) for name in (STATE, ONLINE_MODEL))
    if state is None or model is None:
        return None
    state = replace(state, model=model, run=served)
    return state if state.is_usable(as_of=run.as_of, refit_days=refit_days) else None


def _digest_of(recorded: dict[str, dict[str, Any]], name: str) -> str | None:
    return recorded[name]["artefact_digest"] if name in recorded else None


def save(
    run: RunInProgress, finished: dict[str, Any], data: TrainingData, interactions: Interactions, model: OnlineModel
) -> None:
    """Save what later nights, the service and explanations need of a published run, and remove older artefacts.

    The lists are served already: where a file cannot be written, the run's counts tell it and none is left.
    """
    if finished["status"] != "published":
        return
    rules = run.settings.nightly
    try:
        _save_models(run, finished, data, interactions, model)
    except OSError as error:
        log.warning("artefacts are not saved", run=run.id, error=f"{type(error).__name__}: {error}")
        artefacts.remove(run.folder_of(finished))
        finished["counts"]["failed_artefacts"] = 1
        with transaction(run.engine) as session:
            runs.set_counts(session, finished["run_key"], finished["counts"])
    since = run.now - timedelta(days=rules.keep_models_days)
    with transaction(run.engine) as session:
        other_runs = [row for row in runs.all_of(session, run.organisation_key) if row["run_id"] != finished["run_id"]]
    for other in other_runs:
        folder = run.folder_of(other)
        if rules.keep_models_days and other["status"] == "published" and other["made_at"] >= since:
            artefacts.remove_all_but(folder, ONLINE_MODEL)
        else:
            artefacts.remove(folder)


def _save_models(
    run: RunInProgress, finished: dict[str, Any], data: TrainingData, interactions: Interactions, model: OnlineModel
) -> None:
    rules = run.settings.nightly
    if rules.refit_days and data.event_digests is not None:
        offered = available(data.items, data.as_of)
        texts = hashed(data.texts)
        state = IncrementalState(data.members, data.items, texts, offered, data.taxonomies, data.event_digests, model)
        _save(run, finished, STATE, state, rows=len(data.members))
    if rules.stores_models:
        small = model if data.changed is not None else model.without_members(interactions)
        _save(run, finished, ONLINE_MODEL, small, rows=len(data.members))


def _save(run: RunInProgress, finished: dict[str, Any], name: str, outcome: Any, *, rows: int) -> None:
    start = time.perf_counter()
    digest = artefacts.save(run.folder_of(finished), name, outcome)
    figures = {"seconds": round(time.perf_counter() - start, 3), "rows": rows, "peak_bytes": peak_bytes()}
    with transaction(run.engine) as session:
        steps.record(session, finished, name, now=datetime.now(UTC), figures=figures, digest=digest)
