"""Dry runs of drafts of the settings: one at a time, each in a process of its own, the last of each organisation kept.

They fit models, as a night does, which the process that answers requests must not do itself.
"""

import fcntl
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Literal

import orjson
import structlog
from pydantic import BaseModel

from infra.file_modes import FOLDER_MODE, whole_file
from infra.settings.settings import Settings

FOLDER: Final = "dry-runs"
"""Folder below that of artefacts."""
# By name: the service and the jobs do not know each other.
COMMAND: Final = (sys.executable, "-m", "jobs.evaluation.dry_run")
MAX_SECONDS: Final = 3_600.0
"""A dry run that takes longer is ended."""
SAMPLE_MEMBERS: Final = 2_000

log = structlog.get_logger("xuelu.dry_run")


class DryRunRequest(BaseModel):
    """Input of the process: the settings that hold, the draft, and the most members whose lists are compared."""

    settings: Settings
    draft: Settings
    sample: int = SAMPLE_MEMBERS


class DryRun(BaseModel):
    """The last dry run of an organisation.

    Attributes
    ----------
    text : str
        The draft, as a settings file.
    figures : dict, optional
        Its outcome, once it has one.
    error : str
        Why it has none; empty while it runs.
    """

    state: Literal["running", "finished", "failed"]
    started_at: datetime
    text: str
    figures: dict[str, Any] | None = None
    error: str = ""


class DryRuns:
    """Starts dry runs and reads their outcomes, which are files that all processes of the service share."""

    def __init__(self, artefacts_folder: Path, command: Sequence[str] = COMMAND) -> None:
        self._folder, self._command = artefacts_folder / FOLDER, command
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self, organisation_key: int, request: DryRunRequest, *, text: str, now: datetime) -> bool:
        """Start a dry run; return False where another one is at work, of any organisation."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        lock = self._locked()
        if lock is None:
            return False
        begun = DryRun(state="running", started_at=now, text=text)
        try:
            self._store(organisation_key, begun)
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module
        except BaseException:
            lock.close()
            raise
        arguments = (lock, self._process, request.model_dump_json().encode(), organisation_key, begun)
        self._thread = threading.Thread(target=self._finish, args=arguments, name="dry run", daemon=True)
        self._thread.start()
        return True

    def last(self, organisation_key: int) -> DryRun | None:
        """Return the last dry run of an organisation, if it had any."""
        try:
            stored = DryRun.model_validate_json(self._path(organisation_key).read_bytes())
        except (OSError, ValueError):
            return None
        if stored.state == "running" and (lock := self._locked()):
            lock.close()
            return stored.model_copy(update={"state": "failed", "error": "the service was stopped meanwhile"})
        return stored

    def close(self) -> None:
        """End the dry run that is at work, if any."""
        if self._process is not None:
            self._process.kill()
        if self._thread is not None:
            self._thread.join()

    def _finish(
        self,
        lock: IO[bytes],
        process: subprocess.Popen[bytes],
        request: bytes,
        organisation_key: int,
        begun: DryRun,
    ) -> None:
        """Wait for the end of a dry run, and store its outcome."""
        with lock:
            try:
                answer, _ = process.communicate(request, timeout=MAX_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                answer, _ = process.communicate()
            self._store(organisation_key, begun.model_copy(update=_outcome(process.returncode, answer)))

    def _store(self, organisation_key: int, dry_run: DryRun) -> None:
        with whole_file(self._path(organisation_key)) as file:
            file.write(dry_run.model_dump_json().encode())

    def _path(self, organisation_key: int) -> Path:
        return self._folder / f"{organisation_key}.json"

    def _locked(self) -> IO[bytes] | None:
        """Return the file that is locked while a dry run is at work; None where it is locked already.

        The lock goes with the process of the service that holds it.
        """
        try:
            file = (self._folder / "lock").open("ab")
        except FileNotFoundError:
            return None
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        file.close()
        return None


def _outcome(status: int, answer: bytes) -> dict[str, Any]:
    """Return the state of a dry run by the exit status and the output of its process."""
    with suppress(ValueError):
        figures = orjson.loads(answer)
        if status == 0:
            return {"state": "finished", "figures": figures}
        return {"state": "failed", "error": figures["error"]}
    log.warning("a dry run has no outcome", status=status)
    return {"state": "failed", "error": f"its process ended with status {status}; the log of the service says why"}
