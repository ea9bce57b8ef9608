"""Steps of a run in progress: each is timed, recorded and saved, so that an interrupted run can be resumed."""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from threadpoolctl import get_cached_controller

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.db.locks import NightLock
from infra.errors import RunStateError
from infra.events import month_files
from infra.privacy import folders
from infra.runs import artefacts, experiments, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.runs.experiments import Experiment
from infra.runs.memory import peak_bytes, reset_peak, trim
from infra.settings.settings import Settings
from infra.training import examples
from jobs.progress import Progress, StepProgress
from recommender.registry import own_sources

Outcome = TypeVar("Outcome")
ROWS: Final[dict[str, Callable[[Any], int]]] = {
    "snapshot": lambda data: len(data.events),
    "rank": lambda ranker: ranker.n_examples if ranker else 0,
    "features": lambda interactions: len(interactions.cells),
    "fit": lambda pipeline: len(pipeline.models),
    "variants": len,
    "lists": lambda computed: len(computed.lists),
    "gate": len,
}
"""Number of rows in the outcome of each step."""


class RunInProgress:
    """A run, step by step."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        lock: NightLock,
        run: dict[str, Any],
        *,
        now: datetime,
        progress: Progress,
        experiment: Experiment | None = None,
    ) -> None:
        self.engine, self.settings, self.run, self.now = engine, settings, run, now
        self.experiment = experiment
        self.organisation_key: int = run["organisation_key"]
        self.as_of: datetime = run["as_of"]
        self._lock, self._progress = lock, progress
        self._folder = self.folder_of(run)
        with transaction(engine) as session:
            self._finished = steps.of_run(session, run)

    def step(self, name: str, make: Callable[[], Outcome], *, save: bool = True) -> Outcome:
        """Return the outcome of a step, computed or loaded from the run that is resumed.

        Parameters
        ----------
        name : str
            One of :data:`ROWS`.
        make : callable
            Computes the outcome.
        save : bool
            Save the outcome; else the run that is resumed computes it again.

        Raises
        ------
        RunDiscardedError
            A member was erased since the run began.
        """
        if name in self._finished:
            outcome = artefacts.load(self._folder, name, self._finished[name]["artefact_digest"])
            if outcome is not None:
                self._progress(StepProgress(name, "resumed", rows=self._finished[name]["rows"]))
                resumed: Outcome = outcome
                return resumed
            self._discard_from(name)
        outcome, figures = self._timed(name, make, ROWS[name], save=save)
        digest = figures.pop("digest", None)
        with transaction(self.engine) as session:
            steps.record(session, self.run, name, now=datetime.now(UTC), figures=figures, digest=digest)
        return outcome

    def step_within(self, session: Session, name: str, make: Callable[[], int]) -> None:
        """Run a step in a transaction that records it as well, so that both are committed or neither.

        Raises
        ------
        DatabaseError
            The lock was lost, so that another run may have started.
        RunDiscardedError
            A member was erased since the run began.
        """
        steps.check_present(session, self.run)
        _, figures = self._timed(name, make, int, save=False)
        self._lock.check()
        steps.record(session, self.run, name, now=datetime.now(UTC), figures=figures, digest=None)

    @property
    def id(self) -> str:
        """The id of the run."""
        return str(self.run["run_id"])

    @property
    def examples_folder(self) -> Path:
        """The folder of training examples of past nights."""
        return examples.folder_of(self.settings.artefacts_folder, self.organisation_key)

    @property
    def event_copy_folder(self) -> Path:
        """The folder of the copy of the events."""
        return month_files.folder_of(self.settings.artefacts_folder, self.organisation_key)

    def folder_of(self, run: dict[str, Any]) -> Path:
        """Return the folder of a run's artefacts."""
        return self.settings.artefacts_folder / run["run_id"]

    def finish(self) -> dict[str, Any]:
        """Return the finished run, after removing the artefacts that only resuming needs."""
        artefacts.remove(self._folder)
        with transaction(self.engine) as session:
            return runs.get(session, self.run["run_key"])

    def discard(self) -> None:
        """Remove the files of a discarded run, and the shared files that it may have added to."""
        artefacts.remove(self._folder)
        artefacts.remove(self.event_copy_folder)
        artefacts.remove(self.examples_folder)

    def _timed(
        self, name: str, make: Callable[[], Outcome], rows: Callable[[Outcome], int], *, save: bool
    ) -> tuple[Outcome, dict[str, Any]]:
        self._progress(StepProgress(name, "started"))
        trim()
        reset_peak()
        start = time.perf_counter()
        # BLAS and OpenMP threads wait for each other by spinning: beside busy cores they cost many times their work.
        with get_cached_controller().limit(limits=1):
            outcome = make()
        figures: dict[str, Any] = {"rows": rows(outcome)}
        if save:
            with transaction(self.engine) as session:
                steps.check_present(session, self.run)  # nothing is written of a run that an erasure has discarded
            figures["digest"] = artefacts.save(self._folder, name, outcome)
        figures |= {"seconds": round(time.perf_counter() - start, 3), "peak_bytes": peak_bytes()}
        shown = {column: figures[column] for column in ("seconds", "rows", "peak_bytes")}
        self._progress(StepProgress(name, "finished", **shown))
        return outcome, figures

    def _discard_from(self, name: str) -> None:
        """Discard the records of a step whose artefact is missing, and of those after it."""
        later = list(self._finished)[list(self._finished).index(name) :]
        with transaction(self.engine) as session:
            steps.forget(session, self.run, later)
        for step in later:
            del self._finished[step]


def settings_of_organisation(engine: Engine, settings: Settings) -> Settings:
    """Return the settings with those that the organisation has of its own."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        return organisations.local_settings(session, key, settings)


def start_run(
    engine: Engine, settings: Settings, lock: NightLock, *, now: datetime, as_of: datetime | None, progress: Progress
) -> RunInProgress:
    """Start a run, after removing an earlier one that did not finish."""
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        experiment = experiments.running(session, organisation_key)
        record = {
            "settings_digest": digest_of(settings, experiment),
            "code_version": code_version(),
            "seeds": {"models": settings.models.seed},
        }
        unfinished = runs.discard_unfinished(session, organisation_key)
        folders.record(session, organisation_key, folders.ARTEFACTS, settings.artefacts_folder)
        run_key = runs.start(session, organisation_key, as_of=as_of or now, now=now, record=record)
        run = runs.get(session, run_key)
    for run_id in unfinished:
        artefacts.remove(settings.artefacts_folder / run_id)
    return RunInProgress(engine, settings, lock, run, now=now, progress=progress, experiment=experiment)


def digest_of(settings: Settings, experiment: Experiment | None) -> str:
    """Return the digest of the settings that the lists of a run depend on, with those of the running experiment.

    Where own models take part, it changes with their sources, too.
    """
    digest = settings.digest() if experiment is None else experiment.digest(settings)
    variants = [] if experiment is None else experiment.settings_of(settings).values()
    models = [variant.models for variant in (settings, *variants)]
    sources = [source for each in models for source in own_sources(each.extra, each.in_pipeline)]
    return hashlib.sha256("\n".join([digest, *sources]).encode()).hexdigest() if sources else digest


def resume_run(
    engine: Engine, settings: Settings, lock: NightLock, *, now: datetime, as_of: datetime | None, progress: Progress
) -> RunInProgress:
    """Resume the run that did not finish.

    Raises
    ------
    RunStateError
        There is none, or it was started under other settings, with other code, or as of another moment.
    """
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        run = runs.unfinished(session, organisation_key)
        experiment = experiments.running(session, organisation_key)
    if run is None:
        raise RunStateError("no night was interrupted; run `xuelu nightly` without --resume")
    digest = digest_of(settings, experiment)
    current = {"settings_digest": digest, "code_version": code_version(), "as_of": as_of or run["as_of"]}
    changed = [name for name, value in current.items() if run[name] != value]
    if changed:
        raise RunStateError(
            f"the interrupted night was started with another {' and '.join(changed)}; run `xuelu nightly` without"
            " --resume"
        )
    return RunInProgress(engine, settings, lock, run, now=now, progress=progress, experiment=experiment)
