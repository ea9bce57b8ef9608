"""A process in which nights die: each line on standard input is a night in a fork, killed where it says.

The parent only imports, so that a fork costs nothing and no thread is lost in it.
"""

import json
import os
import resource
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import event

from infra.db.engine import make_engine
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from jobs.progress import StepProgress


def die() -> None:
    """End at once, as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def night(asked: dict[str, Any]) -> NoReturn:
    """Run a night that dies at a step, at a statement, or where its files reach a size; exit 0 where it lives."""
    settings = Settings(**asked["settings"])
    engine = make_engine(settings.database_url)

    def tell(progress: StepProgress) -> None:
        if [progress.step, progress.state] == asked.get("step"):
            die()

    @event.listens_for(engine, "before_cursor_execute")
    def _watch(*arguments: Any) -> None:
        if "statement" in asked and asked["statement"] in arguments[2] and arguments[2].startswith("UPDATE"):
            die()

    if "largest_file" in asked:
        # As a full disk: writing fails, and the signal that would come with it is ignored by Python.
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"], asked["largest_file"]))
    nightly(
        engine,
        settings,
        now=datetime.fromisoformat(asked["now"]),
        resume=asked.get("resume", False),
        progress=tell,
    )
    os._exit(0)


def main() -> None:
    """Fork for each line, and print how the fork ended."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                night(json.loads(line))
            except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
                Path(json.loads(line)["complaint"]).write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - it is what the test reads


if __name__ == "__main__":
    main()
