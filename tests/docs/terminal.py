"""A terminal for the tests of the pages, in which ``xuelu`` starts at once.

A new Python for each of some sixty commands would take minutes. So plain commands (``xuelu …``, perhaps after settings)
run in forks of one process that has imported the program; anything with a shell in it runs in a shell.
"""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tests.limits import HANG_SECONDS

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "infra.serving.push_lists",
    "jobs.cli.main",
    "jobs.delivery.worker",
    "jobs.ingest.doctor",
    "jobs.evaluation.backtest",
    "jobs.evaluation.tune",
    "jobs.ingest.ingest",
    "jobs.ingest.export",
    "jobs.nightly.night",
    "simulator.simulate",
)

SHELL = re.compile(r"[|&;<>`*?()]|\$[^A-Z]")
PLAIN = re.compile(r"(?P<settings>(?:[A-Z_]+=\S* )*)xuelu (?P<arguments>.*)")
VARIABLE = re.compile(r"\$([A-Z_]+)")


class Terminal:
    """A terminal; use it from one thread at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def close(self) -> None:
        """End the process behind it."""
        self._process.communicate(timeout=HANG_SECONDS)

    def run(self, command: str, *, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        """Return exit status and output, standard error included, of a command."""
        plain = PLAIN.fullmatch(command)
        if not plain or SHELL.search(command):
            return shell(command, folder=folder, environment=environment)
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
            asked = {
                "arguments": shlex.split(VARIABLE.sub(lambda name: environment[name[1]], plain["arguments"])),
                "folder": str(folder),
                "environment": environment | dict(one.split("=", 1) for one in plain["settings"].split()),
                "output": output.name,
            }
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            return status, Path(output.name).read_text(encoding="utf-8")


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


def answer() -> None:
    """Run what comes in on standard input, each in a fork, and tell the exit statuses on standard output."""
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)  # noqa: T201 - it is what the test reads


def become(asked: dict[str, Any]) -> None:
    """Run a command in this process, and end with its exit status."""
    status = 1
    try:
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        with Path(asked["output"]).open("w", encoding="utf-8") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        status = importlib.import_module("jobs.cli.main").main(asked["arguments"])
    except BaseException:  # noqa: BLE001 - as Python itself would, and nothing of the parent may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    answer()
