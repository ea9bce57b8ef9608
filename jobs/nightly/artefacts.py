"""What nights keep for later ones, in the folder of artefacts under the digest that the run records."""

import time
from datetime import UTC, datetime
from typing import Any

from content_catalog.audience import available
from features.interactions import Interactions
from infra.db.engine import transaction
from infra.errors import NoPublishedRunError
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.runs.memory import peak_bytes
from infra.serving.online_model import ONLINE_MODEL, online_model_of
from jobs.nightly.incremental import Kept
from jobs.nightly.lists import Made
from jobs.nightly.steps import Night
from jobs.nightly.training_data import Study, read
from recommender.pipeline import Pipeline

STATE = "incremental_state"


def kept_before(night: Night) -> Kept | None:
    """Return what the run that is served kept, None where it is of no use to this night."""
    refit_days = night.settings.nightly.refit_days
    if not refit_days:
        return None
    with transaction(night.engine) as session:
        try:
            run = runs.latest(session, night.organisation_key)
        except NoPublishedRunError:
            return None
        recorded = steps.of_run(session, run).get(STATE)
    if recorded is None or (run["settings_digest"], run["code_version"]) != (night.settings.digest(), code_version()):
        return None
    kept = artefacts.load(night.folder_of(run), STATE, recorded["artefact_digest"])
    return kept if kept and kept.is_of_use(as_of=night.as_of, refit_days=refit_days) else None


def read_for(night: Night, kept: Kept | None) -> Study:
    """Return what a night learns from."""
    rules = night.settings.nightly
    return read(
        night.engine,
        night.organisation_key,
        as_of=night.as_of,
        traced=rules.refit_days > 0,
        marked=rules.online_lists,
        kept=kept,
    )


def keep(
    night: Night,
    run: dict[str, Any],
    study: Study,
    known: Interactions,
    pipeline: Pipeline,
    made: Made,
    before: Kept | None,
) -> None:
    """Keep what later nights and the service need, where they may, and remove what nights before this one kept."""
    if run["status"] != "published":
        return
    learned = known if before is None or study.changed is None else before.learned
    outcomes: dict[str, Any] = {}
    if study.traces is not None:
        outcomes[STATE] = Kept(
            learned=learned,
            known=known,
            items=study.items,
            offered=available(study.items, study.as_of),
            taxonomies=study.taxonomies,
            traces=study.traces,
            pipeline=pipeline,
            shared=made.shared,
            lists=made.lists,
            listed=made.listed,
            similar=made.similar,
        )
    if study.marks is not None:
        length = night.settings.models.list_length
        outcomes[ONLINE_MODEL] = online_model_of(
            pipeline, learned=learned, known=known, traces=study.marks, length=length
        )
    for name, outcome in outcomes.items():
        _keep(night, run, name, outcome, rows=len(made.lists))
    with transaction(night.engine) as session:
        others = [one["run_id"] for one in runs.listed(session, night.organisation_key, n=100)]
    for run_id in others:
        if run_id != run["run_id"]:
            artefacts.remove(night.settings.artefacts_folder / run_id)


def _keep(night: Night, run: dict[str, Any], name: str, outcome: Any, *, rows: int) -> None:
    start = time.perf_counter()
    digest = artefacts.save(night.folder_of(run), name, outcome)
    figures = {"seconds": round(time.perf_counter() - start, 3), "rows": rows, "peak_bytes": peak_bytes()}
    with transaction(night.engine) as session:
        steps.record(session, run, name, now=datetime.now(UTC), figures=figures, digest=digest)
