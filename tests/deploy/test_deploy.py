"""Files of deploy/: units, rules, dashboard and image agree with the code and pass the tools that check them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.delivery.metrics import DeliveryMetrics
from infra.runs import store as runs
from infra.settings.settings import Settings
from tests.conftest import ON_SQLITE
from tests.docs.pages import ROOT
from tests.docs.test_reference import COMMANDS
from tests.limits import HANG_SECONDS

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "xuelu.json"
COMPOSE = DEPLOY / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").iterdir())


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    """Return a client of the service."""
    with TestClient(create_app(settings)) as opened:
        yield opened


def checked_by(tool: str, *arguments: str | Path) -> None:
    """Run a tool that checks files; skip where the machine has none."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    answer = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def exposed(service: TestClient) -> set[str]:
    """Return the names of all series that the service and the worker expose."""
    registry = CollectorRegistry()
    DeliveryMetrics(registry)
    types = re.findall(r"^# TYPE (\w+) (\w+)$", service.get("/metrics").text, flags=re.MULTILINE)
    types += [
        (family.name + ("_total" if family.type == "counter" else ""), family.type) for family in registry.collect()
    ]
    endings = {"histogram": ("_bucket", "_count", "_sum")}
    return {name + ending for name, kind in types for ending in endings.get(kind, ("",))}


@pytest.mark.usefixtures("served")
@ON_SQLITE
@pytest.mark.parametrize("file", [RULES, DASHBOARD])
def test_every_metric_that_a_rule_or_panel_names_is_exposed(service: TestClient, file: Path) -> None:
    named = set(re.findall(r"\bxuelu_\w+", file.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= exposed(service)


@ON_SQLITE
def test_every_route_that_a_rule_names_exists(service: TestClient) -> None:
    routes = {getattr(route, "path", "") for route in service.app.state.routes}  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    assert set(re.findall(r'route="([^"]*)"', RULES.read_text(encoding="utf-8"))) <= routes


def test_promtool_accepts_the_rules() -> None:
    checked_by("promtool", "check", "rules", RULES)


def test_the_panels_of_the_dashboard_have_ids_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    home = tmp_path / "srv"
    for program in (".venv/bin/xuelu", "deploy/night.sh"):
        (home / program).parent.mkdir(parents=True, exist_ok=True)
        (home / program).write_text("#!/bin/sh\n", encoding="utf-8")
        (home / program).chmod(0o755)
    copies = [tmp_path / unit.name for unit in UNITS]
    for unit, copy in zip(UNITS, copies, strict=True):
        copy.write_text(unit.read_text(encoding="utf-8").replace("/srv/xuelu", str(home)), encoding="utf-8")
    checked_by("systemd-analyze", "verify", "--man=no", *copies)


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_a_refused_file_does_not_cost_the_night(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,duration_seconds\nlast,a minute\n", encoding="utf-8")
    (tmp_path / "members.csv").write_text("member_id\nlate\n", encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XUELU_DATABASE_URL": settings.database_url,
        "XUELU_ARTEFACTS_FOLDER": str(settings.artefacts_folder),
        "XUELU_REJECTS_FOLDER": str(settings.rejects_folder),
    }
    script = ["sh", DEPLOY / "night.sh", tmp_path]
    night = subprocess.run(script, check=False, env=environment, cwd=tmp_path, timeout=HANG_SECONDS)
    assert night.returncode == 1, "a file was refused"
    with transaction(engine) as session:
        run = runs.latest(session, organisations.key_of(session, "default"))
        assert runs.push_list(session, run, "late")


def test_every_command_of_units_scripts_and_containers_exists() -> None:
    scripts = [*UNITS, *DEPLOY.glob("*.sh")]
    called = {
        match for path in scripts for match in re.findall(r"xuelu (?!of\b)([a-z]+)", path.read_text(encoding="utf-8"))
    }
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"].values()
    called |= {service["command"][0] for service in services if "command" in service}
    assert called == {"serve", "deliver", "ingest", "doctor", "nightly", "init"}
    assert called <= set(COMMANDS)


def test_containers_write_only_to_their_volume_and_hold_no_secret() -> None:
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        if name != "database":
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert "data:/data" in service["volumes"]
    assert all("127.0.0.1:" in port for service in compose["services"].values() for port in service.get("ports", ()))
    assert not re.search(r"(PASSWORD|KEY): (?!\$\{)", COMPOSE.read_text(encoding="utf-8"))


def test_the_image_holds_every_package_and_its_libraries() -> None:
    needed = {"api", "content_catalog", "features", "infra", "jobs", "recommender", "simulator"}
    included = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    copied = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {pattern.removesuffix("*") for pattern in included["find"]["include"]} == needed
    assert {line.removeprefix("!") for line in copied} >= {*needed, "pyproject.toml", "README.md", "requirements.lock"}
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 1\d+:1\d+$", image, flags=re.MULTILINE)
    assert "libgomp1" in image
    assert "HEALTHCHECK" in image


def test_hadolint_accepts_the_image() -> None:
    checked_by("hadolint", DEPLOY / "Dockerfile")


def test_the_schema_of_compose_accepts_the_services() -> None:
    checked_by("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_what_the_image_installs_holds_every_module_and_data_file(tmp_path: Path) -> None:
    copied = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    source = tmp_path / "src"
    for name in (line.removeprefix("!") for line in copied if line.startswith("!") and "*" not in line):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    packages = [path for path in source.iterdir() if path.is_dir() and (path / "__init__.py").exists()]
    files = {str(path.relative_to(source)) for package in packages for path in package.rglob("*") if path.is_file()}
    assert {name for name in files - packed if "__pycache__" not in name} == set()
