"""Start-up: our packages have generic names, and another distribution may have overwritten one of them."""

import hashlib
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from jobs.entry_point import PACKAGES, foreign_package
from tests.limits import HANG_SECONDS
from tests.test_house import ROOT

START = "import sys; sys.argv = ['xuelu', *sys.argv[1:]]; from jobs.entry_point import run; run()"


def start(*folders: Path, arguments: tuple[str, ...] = ("--help",)) -> subprocess.CompletedProcess[str]:
    """Start the command line with some folders before ours."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT)))}
    command = [sys.executable, "-P", "-c", START, *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, check=False, text=True, timeout=HANG_SECONDS
    )


def test_our_packages_are_ours() -> None:
    assert foreign_package() == ""
    assert "From study logs" in start().stdout


@pytest.mark.parametrize("package", ["features", "api", "infra"])
def test_a_package_that_another_distribution_hides_is_named_in_one_line(tmp_path: Path, package: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise RuntimeError\n", encoding="utf-8")
    ran = start(tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    [line] = ran.stderr.splitlines()
    assert line.startswith(f"error: the package `{package}` at {tmp_path / package} is not xuelu's")
    assert "a virtual environment of its own" in line


def test_a_package_that_was_overwritten_in_place_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = []
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        content = f'"""Our {package}."""\n'.encode()
        (tmp_path / package / "__init__.py").write_bytes(content)
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        records.append(f"{package}/__init__.py,sha256={digest},{len(content)}")
    information = tmp_path / "asmuch-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: asmuch\nVersion: 1.0\n", encoding="utf-8")
    (information / "RECORD").write_text("\n".join(records) + "\n", encoding="utf-8")
    for package in PACKAGES:
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert foreign_package(tmp_path, "asmuch") == ""
    (tmp_path / "features" / "__init__.py").write_text('"""Formal concepts."""\n', encoding="utf-8")
    assert "`features`" in foreign_package(tmp_path, "asmuch")
