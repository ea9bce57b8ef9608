"""The command line as scripts and people use it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.settings.settings import Settings
from jobs.cli.main import main


@dataclass(frozen=True)
class Answer:
    """The answer of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON that it printed."""
        assert self.out.count("\n") == 1
        return orjson.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line it complained in, having printed nothing else."""
        assert (self.out, self.err.count("\n"), self.err[:7]) == ("", 1, "error: ")
        return self.err


@pytest.fixture
def bare(working_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return what runs ``xuelu`` in an empty folder, with no settings at all."""
    del working_folder

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture
def xuelu(bare: Callable[..., Answer], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Return what runs ``xuelu`` on a database, once of each kind."""
    monkeypatch.setenv("XUELU_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("XUELU_REJECTS_FOLDER", str(settings.rejects_folder))
    monkeypatch.setenv("XUELU_ARTEFACTS_FOLDER", str(settings.artefacts_folder))
    for name in ("als_factors", "als_iterations", "threads"):
        monkeypatch.setenv(f"XUELU_MODELS__{name.upper()}", str(getattr(settings.models, name)))
    monkeypatch.setenv("XUELU_RANKER__WINDOW_DAYS", str(settings.ranker.window_days))
    return bare
