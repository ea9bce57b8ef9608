"""A night as a row of steps: each is timed, recorded, and kept, so that a night that stopped can go on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.db.locks import NightLock
from infra.errors import NothingToResumeError
from infra.privacy import folders
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.runs.memory import peak_bytes, reset_peak
from infra.settings.settings import Settings
from infra.training import examples
from jobs.nightly.progress import StepProgress, Tell

Outcome = TypeVar("Outcome")


class Night:
    """One run in the making."""

    def __init__(
        self, engine: Engine, settings: Settings, lock: NightLock, run: dict[str, Any], *, now: datetime, tell: Tell
    ) -> None:
        self.engine, self.settings, self.run, self.now = engine, settings, run, now
        self.organisation_key: int = run["organisation_key"]
        self.as_of: datetime = run["as_of"]
        self._lock, self._tell = lock, tell
        self._folder = self.folder_of(run)
        with transaction(engine) as session:
            self._ended = steps.of_run(session, run)

    def step(self, name: str, make: Callable[[], Outcome], *, rows: Callable[[Outcome], int]) -> Outcome:
        """Return what a step makes, or made in the night that goes on here.

        Parameters
        ----------
        name : str
            One of :data:`STEPS`.
        make : callable
            Makes the outcome.
        rows : callable
            Counts what it holds.
        """
        if name in self._ended:
            outcome = artefacts.load(self._folder, name, self._ended[name]["artefact_digest"])
            if outcome is not None:
                self._tell(StepProgress(name, "resumed", rows=self._ended[name]["rows"]))
                return outcome
            self._again_from(name)
        outcome, figures = self._timed(name, make, rows, keep=True)
        digest = figures.pop("digest")
        with transaction(self.engine) as session:
            steps.record(session, self.run, name, now=datetime.now(UTC), figures=figures, digest=digest)
        return outcome

    def step_within(self, session: Session, name: str, make: Callable[[], int]) -> None:
        """Do a step in a transaction, which records it as well: it is done where the transaction is.

        Raises
        ------
        DatabaseError
            The lock was lost on the way, so that another night may have begun.
        """
        _, figures = self._timed(name, make, int, keep=False)
        self._lock.check()
        steps.record(session, self.run, name, now=datetime.now(UTC), figures=figures, digest=None)

    @property
    def examples_folder(self) -> Path:
        """Folder of the training examples of past nights."""
        return examples.folder_of(self.settings.artefacts_folder, self.organisation_key)

    def folder_of(self, run: dict[str, Any]) -> Path:
        """Return the folder of a run's artefacts."""
        return self.settings.artefacts_folder / run["run_id"]

    def end(self) -> dict[str, Any]:
        """Return the finished run, after removing what only an unfinished one needs."""
        artefacts.remove(self._folder)
        with transaction(self.engine) as session:
            return runs.get(session, self.run["run_key"])

    def _timed(
        self, name: str, make: Callable[[], Outcome], rows: Callable[[Outcome], int], *, keep: bool
    ) -> tuple[Outcome, dict[str, Any]]:
        self._tell(StepProgress(name, "begun"))
        reset_peak()
        start = time.perf_counter()
        outcome = make()
        figures: dict[str, Any] = {"rows": rows(outcome)}
        if keep:
            figures["digest"] = artefacts.save(self._folder, name, outcome)
        figures |= {"seconds": round(time.perf_counter() - start, 3), "peak_bytes": peak_bytes()}
        self._tell(StepProgress(name, "done", **{one: figures[one] for one in ("seconds", "rows", "peak_bytes")}))
        return outcome, figures

    def _again_from(self, name: str) -> None:
        """Forget that a step and those after it had ended: what it made is not there any more."""
        later = list(self._ended)[list(self._ended).index(name) :]
        with transaction(self.engine) as session:
            steps.forget(session, self.run, later)
        for one in later:
            del self._ended[one]


def begin(
    engine: Engine, settings: Settings, lock: NightLock, *, now: datetime, as_of: datetime | None, tell: Tell
) -> Night:
    """Begin a night, after removing what an earlier one left that did not finish."""
    record = {
        "settings_digest": settings.digest(),
        "code_version": code_version(),
        "seeds": {"models": settings.models.seed},
    }
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        left = runs.discard_unfinished(session, organisation_key)
        folders.record(session, organisation_key, folders.ARTEFACTS, settings.artefacts_folder)
        run_key = runs.start(session, organisation_key, as_of=as_of or now, now=now, record=record)
        run = runs.get(session, run_key)
    for run_id in left:
        artefacts.remove(settings.artefacts_folder / run_id)
    return Night(engine, settings, lock, run, now=now, tell=tell)


def go_on(
    engine: Engine, settings: Settings, lock: NightLock, *, now: datetime, as_of: datetime | None, tell: Tell
) -> Night:
    """Go on with the night that did not finish.

    Raises
    ------
    NothingToResumeError
        There is none, or it began under other settings, with other code, or as of another moment.
    """
    with transaction(engine) as session:
        run = runs.unfinished(session, organisations.key_of(session, settings.organisation))
    if run is None:
        raise NothingToResumeError("no night stopped half way; run `xuelu nightly` without --resume")
    now_is = {"settings_digest": settings.digest(), "code_version": code_version(), "as_of": as_of or run["as_of"]}
    other = [name for name, value in now_is.items() if run[name] != value]
    if other:
        raise NothingToResumeError(
            f"the night that stopped began with another {' and '.join(other)}; run `xuelu nightly` without --resume"
        )
    return Night(engine, settings, lock, run, now=now, tell=tell)
