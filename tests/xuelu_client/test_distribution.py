"""The client as a distribution of its own: a wheel that works without the server."""

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tests.limits import HANG_SECONDS
from tests.test_house import ROOT
from xuelu_client import models

SERVER = ("content_catalog", "features", "recommender", "infra", "jobs", "api")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the contents of the client's wheel."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(ROOT / "client", folder / "source", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run(command, check=True, timeout=HANG_SECONDS, capture_output=True)
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_client_its_types_and_nothing_of_the_server(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {"xuelu_client/py.typed", "xuelu_client/client.py", "xuelu_client/models.py"} <= files
    assert {name.partition("/")[0].partition("-")[0] for name in files} == {"xuelu_client"}


def test_the_installed_client_imports_nothing_of_the_server(installed: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import xuelu_client; "
        f"print(xuelu_client.__file__); print([name for name in {SERVER} if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", code, str(installed)]
    ran = subprocess.run(command, check=True, timeout=HANG_SECONDS, capture_output=True, text=True)
    assert ran.stdout.splitlines() == [str(installed / "xuelu_client/__init__.py"), "[]"]


def test_the_client_needs_httpx2_only() -> None:
    project = tomllib.loads((ROOT / "client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["httpx2"]
    assert len((ROOT / "client/README.md").read_text(encoding="utf-8")) > 1_000


SCHEMAS: dict[str, Any] = json.loads((ROOT / "docs/reference/openapi.json").read_bytes())["components"]["schemas"]
TYPES = {
    "AnonymousList": models.AnonymousList,
    "Coverage": models.Coverage,
    "Erasure": models.Erasure,
    "FaultOut": models.EventFault,
    "FilteredItem": models.FilteredItem,
    "ItemChange": models.ItemChange,
    "ItemReport": models.ItemReport,
    "ListedAt": models.ListedAt,
    "ListedItem": models.ListedItem,
    "MemberExport": models.MemberExport,
    "ModelScore": models.ModelScore,
    "PostedEvent": models.EventResult,
    "PushList": models.PushList,
    "PushListChanges": models.PushListChanges,
    "ReasonOut": models.Reason,
    "Reject": models.RejectedLine,
    "Run": models.Run,
    "ScoreBreakdown": models.ScoreBreakdown,
    "SimilarItem": models.SimilarItem,
    "SimilarItems": models.SimilarItems,
    "BulkResult": models.BulkResult,
}


@pytest.mark.parametrize("schema", TYPES)
def test_a_type_has_the_fields_of_the_service(schema: str) -> None:
    assert set(get_type_hints(TYPES[schema])) == set(SCHEMAS[schema]["properties"])
