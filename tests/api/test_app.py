"""The service as a whole: health, documentation, and a real process on the loopback."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

import httpx2
import pytest
from fastapi.routing import APIRoute
from prometheus_client.mmap_dict import MmapedDict
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from api import routers
from api.app import app_from_environment, create_app
from api.protocol.metrics import Metrics
from api.xapi import router as xapi
from infra.errors import SettingsError
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE
from tests.limits import HANG_SECONDS

if TYPE_CHECKING:
    from fastapi import FastAPI

ROUTES = {
    "/v1/members/{member_id}/push-list",
    "/v1/items/{item_id}/similar",
    "/v1/health/live",
    "/v1/health/ready",
}


@ON_SQLITE
def test_a_service_is_alive_before_anything_is_known(client: TestClient) -> None:
    answer = client.get("/v1/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("served")
def test_a_service_with_a_published_run_is_ready(client: TestClient) -> None:
    answer = client.get("/v1/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_no_answer_waits_for_a_thread_while_its_transaction_holds_locks(settings: Settings) -> None:
    paths = create_app(settings).openapi()["paths"]
    operations = {
        name
        for path_item in paths.values()
        for operation in path_item.values()
        if (name := operation.get("operationId"))
    }
    modules = [import_module(f"api.routers.{module.name}") for module in iter_modules(routers.__path__)]
    api_routers = [xapi.router, *(module.router for module in modules if hasattr(module, "router"))]
    routes = [route for router in api_routers for route in router.routes if isinstance(route, APIRoute)]
    assert operations <= {route.unique_id for route in routes}
    # FastAPI checks in a thread what a plain function returned, and at once what a coroutine did.
    assert all(iscoroutinefunction(route.endpoint) for route in routes)


def test_making_a_service_opens_nothing(tmp_path: Path) -> None:
    create_app(Settings(database_url=f"sqlite:///{tmp_path / 'x.db'}"))
    assert list(tmp_path.iterdir()) == []


@ON_SQLITE
def test_the_description_has_every_route_with_its_parameters_and_problems(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["info"]["title"] == "xuelu"
    assert set(document["paths"]) >= ROUTES
    operation = document["paths"]["/v1/members/{member_id}/push-list"]["get"]
    assert {parameter["name"] for parameter in operation["parameters"]} >= {
        "member_id",
        "n",
        "exclude",
        "explain",
        "if-none-match",
    }
    assert all(parameter["description"] for parameter in operation["parameters"])
    assert {"200", "400", "401", "403", "404", "503"} <= set(operation["responses"])
    for status in ("400", "401", "403", "404", "503"):
        assert "application/problem+json" in operation["responses"][status]["content"]
    assert operation["security"] == [{"key": ["lists:read"]}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@ON_SQLITE
def test_the_description_names_the_prefix_of_a_proxy_and_is_rendered_once(client: TestClient) -> None:
    prefixed = TestClient(client.app, root_path="/xuelu")

    assert prefixed.get("/openapi.json").json()["servers"] == [{"url": "/xuelu"}]
    assert client.get("/openapi.json").json()["servers"][0]["url"] == "/"
    assert prefixed.get("/v1/nothing").json()["detail"] == "Not Found; the routes are listed at /xuelu/openapi.json"
    assert client.get("/v1/nothing").json()["detail"] == "Not Found; the routes are listed at /openapi.json"
    assert cast("FastAPI", client.app).state.descriptions.get("", bytes).startswith(b'{"openapi"')


@ON_SQLITE
def test_the_description_tells_only_of_answers_that_happen(client: TestClient) -> None:
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"], f"{path}: what is out of range answers 400"


def test_gauges_of_workers_that_were_killed_count_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    present = [f"gauge_livesum_{os.getpid()}.db", f"counter_{ended.pid}.db"]
    for name in (*present, f"gauge_livesum_{ended.pid}.db"):
        MmapedDict(str(tmp_path / name)).close()  # type: ignore[no-untyped-call]  # the library's own types are missing
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert Metrics().exposition() == b""
    assert {path.name for path in tmp_path.iterdir()} == {*present}


def test_the_service_of_the_environment_has_its_settings(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = working_folder / "own.toml"
    path.write_text('organisation = "couriers"\n', encoding="utf-8")
    monkeypatch.setenv("XUELU_CONFIG", str(path))
    assert app_from_environment().state.settings.organisation == "couriers"
    path.write_text("nonsense = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="nonsense"):
        app_from_environment()


class Service:
    """A service that runs, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.address = self.wait_for(r"http://127\.0\.0\.1:\d+")

    def wait_for(self, pattern: str) -> str:
        """Return what fits a pattern in what it says next."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(pattern, line):
                return match[0]
        pytest.fail(f"the service ended without {pattern!r}: {''.join(self.said)}")


@pytest.fixture
def serve(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return what serves by the command, on a free port of the loopback; the command is stopped at the end."""
    config = tmp_path / "own.toml"
    config.write_text(f'database_url = "{settings.database_url}"\n', encoding="utf-8")
    program = Path(sys.executable).with_name("xuelu")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XUELU_")}
    servers: list[subprocess.Popen[str]] = []
    limits: list[threading.Timer] = []

    def started(*options: str) -> Service:
        server = subprocess.Popen(
            [program, "serve", "--port", "0", "--config", config.name, *options],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        servers.append(server)
        # Its output ends when it and its workers do: whatever happens, this test does.
        limits.append(threading.Timer(HANG_SECONDS, os.killpg, (server.pid, signal.SIGKILL)))
        limits[-1].start()
        return Service(server)

    try:
        yield started
        for server in servers:
            server.terminate()
            server.communicate(timeout=HANG_SECONDS)
    finally:
        for limit in limits:
            limit.cancel()
        for server in servers:
            server.kill()
            server.communicate()


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    """Return a service of one process."""
    return serve()


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_workers_behind_a_prefix_count_together_and_are_replaced_while_they_serve(
    serve: Callable[..., Service], make_key: MakeKey
) -> None:
    service = serve("--workers", "2", "--root-path", "/xuelu")
    for _ in range(2):
        service.wait_for("Application startup complete")
    headers = {"Authorization": f"Bearer {make_key()}", "Connection": "close"}
    with httpx2.Client(base_url=service.address, timeout=HANG_SECONDS, trust_env=False, headers=headers) as client:
        page = client.get("/v1/items?limit=1")
        assert page.headers["link"].startswith("</xuelu/v1/items?limit=1&cursor=")
        for _ in range(19):
            assert client.get("/v1/items?limit=1").status_code == 200
        counted = re.findall(r'xuelu_http_requests_total{.*route="/v1/items".*} (.*)', client.get("/metrics").text)
        assert sum(map(float, counted)) == 20
        service.process.send_signal(signal.SIGHUP)
        for _ in range(2):
            service.wait_for("Application startup complete")
            assert client.get("/v1/items?limit=1").status_code == 200
        assert not any("aborting" in line for line in service.said)
    service.process.send_signal(signal.SIGHUP)
    service.wait_for("restarting processes")
    already = len(service.said)
    service.process.terminate()
    service.wait_for("Stopping parent process")
    ended = [line for line in service.said[already:] if "Terminated child process" in line]
    assert len(ended) == 2, "the two that serve: a stop waits for no more workers to be replaced"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("served")
def test_the_command_serves_lists_on_the_loopback_until_it_is_stopped_and_is_warm_before_it_answers(
    service: Service, make_key: MakeKey
) -> None:
    warm = r'"organisations": 1, "event": "warm"'
    assert re.search(warm, "".join(service.said))
    headers = {"Authorization": f"Bearer {make_key('lists:read')}"}
    with httpx2.Client(base_url=service.address, timeout=HANG_SECONDS, trust_env=False, headers=headers) as client:
        assert client.get("/v1/health/ready").json() == {"status": "ok"}
        body = client.get("/v1/members/c1/push-list?n=2").json()
        assert [item["rank"] for item in body["items"]] == [1, 2]
        assert body["made_at"] == "2026-03-02T01:30:00Z"
        similar = client.get("/v1/items/https%3A%2F%2Flms.example%2Fitems%2F6%3Fpart=1/similar?n=1")
        assert (similar.status_code, len(similar.json()["items"])) == (200, 1)
        unknown = client.get("/v1/members/nobody/push-list")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(warm)
        assert client.get("/v1/health/ready").status_code == 200


@pytest.mark.parametrize("state", ["empty"])
def test_a_service_starts_without_a_database_and_says_so(settings: Settings, state: str) -> None:
    assert state == "empty"
    with capture_logs() as logs, TestClient(create_app(settings)) as client:
        assert client.get("/v1/health/live").status_code == 200
        assert client.get("/v1/health/ready").status_code == 503
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["not warm", "database"]
