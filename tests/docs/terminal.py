"""A terminal for the tests of the pages, in which ``xuelu`` starts at once.

A new Python for each of some hundred commands would take minutes. So ``xuelu`` in its shells is a script that asks one
process, which has imported the program, for a fork of itself: with the script's arguments, folder, environment and
files. Linux shows these below ``/proc``.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from tests.limits import HANG_SECONDS

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "infra.exports.matrices",
    "infra.serving.push_lists",
    "jobs.cli.main",
    "jobs.delivery.worker",
    "jobs.ingest.doctor",
    "jobs.evaluation.backtest",
    "jobs.evaluation.tune",
    "jobs.ingest.ingest",
    "jobs.nightly.night",
    "simulator.simulate",
)

SCRIPT = """#!/bin/sh
mkfifo "{folder}/$$"
echo $$ > "{folder}/asked"
read status < "{folder}/$$"
exit $status
"""


class Terminal:
    """A terminal; use it from one thread at a time."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        os.mkfifo(self._folder / "asked")
        script = self._folder / "xuelu"
        script.write_text(SCRIPT.format(folder=self._folder), encoding="utf-8")
        script.chmod(0o700)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        command = [sys.executable, __file__, str(self._folder / "asked")]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def close(self) -> None:
        """End the process behind it."""
        (self._folder / "asked").write_text("end\n", encoding="utf-8")
        self._process.wait(HANG_SECONDS)
        shutil.rmtree(self._folder)

    def run(self, command: str, *, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        """Return exit status and output, standard error included, of a command."""
        path = os.pathsep.join([str(self._folder), environment["PATH"]])
        return shell(command, folder=folder, environment=environment | {"PATH": path})


def shell(command: str, *, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Return exit status and output of a command that a shell runs, ``xuelu`` being the installed one."""
    ran = subprocess.run(  # noqa: S602 - the pages' own commands, as a reader types them
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
        timeout=HANG_SECONDS,
    )
    return ran.returncode, ran.stdout


def answer(asked: Path) -> None:
    """Run what scripts ask for, each in a fork, until the end is asked for."""
    for name in IMPORTED:
        importlib.import_module(name)
    # Open for writing too: no end of the file while no script asks.
    with os.fdopen(os.open(asked, os.O_RDWR), "r", encoding="utf-8") as requests:
        while (line := requests.readline().strip()) != "end":
            if os.fork():
                continue
            child = os.fork()
            if not child:
                become(Path("/proc", line))
            _, ended = os.waitpid(child, 0)
            asked.with_name(line).write_text(f"{os.waitstatus_to_exitcode(ended)}\n", encoding="utf-8")
            os._exit(0)


def become(script: Path) -> None:
    """Run a command in this process in place of a script, and end with its exit status."""
    status = 1
    try:
        os.chdir(script / "cwd")
        variables = (script / "environ").read_bytes().split(b"\0")[:-1]
        os.environ.clear()
        os.environb.update(dict(variable.split(b"=", 1) for variable in variables))
        for number in range(3):
            os.dup2(os.open(script / "fd" / str(number), os.O_WRONLY if number else os.O_RDONLY), number)
        # After the shell and the path of the script.
        arguments = (script / "cmdline").read_bytes().decode().split("\0")[2:-1]
        status = importlib.import_module("jobs.cli.main").main(arguments)
    except BaseException:  # noqa: BLE001 - as Python itself would, and nothing of the parent may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    answer(Path(sys.argv[1]))
