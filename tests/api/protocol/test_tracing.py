"""Traces and metrics: what operators see, and that no member is seen in it."""

import builtins
import os
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from api.app import app_from_environment, create_app
from api.protocol import tracing
from infra.errors import SettingsError
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE, Take

LIST = "/v1/members/d1/push-list?n=3"


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_a_trace_names_the_route_and_no_member(settings: Settings, make_key: MakeKey) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app = create_app(settings)
    tracing.trace(app, provider)
    with TestClient(app, headers={"Authorization": f"Bearer {make_key()}"}) as client:
        assert client.get(LIST).status_code == 200
        assert client.get("/v1/members/d1").status_code == 200
        assert client.get("/v1/health/live").status_code == 200
    finished_spans = spans.get_finished_spans()
    assert [span.name for span in finished_spans] == [
        "GET /v1/members/{member_id:path}/push-list",
        "GET /v1/members/{member_id:path}",
    ]
    assert not re.search(r"\bd1\b", "".join(span.to_json() for span in finished_spans))


@pytest.mark.parametrize(
    ("variable", "attributes", "name"),
    [(tracing.VARIABLES[0], "", "xuelu"), (tracing.VARIABLES[1], "service.name=ours", None)],
)
def test_traces_are_sent_where_the_environment_says_so_and_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, working_folder: Any, variable: str, attributes: str, name: str | None
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "")
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    assert not hasattr(app_from_environment(), "_is_instrumented_by_opentelemetry")
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with monkeypatch.context() as off:
        off.setenv("OTEL_TRACES_EXPORTER", "none")
        assert not hasattr(app_from_environment(), "_is_instrumented_by_opentelemetry")
    assert app_from_environment()._is_instrumented_by_opentelemetry  # type: ignore[attr-defined]  # set by the extra
    assert os.environ.get("OTEL_SERVICE_NAME") == name
    real = builtins.__import__

    def without_extra(name: str, *more: Any) -> Any:
        if name.startswith("opentelemetry.exporter"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without_extra)
    with pytest.raises(SettingsError, match=rf"{variable}.*xuelu\[otel\]"):
        app_from_environment()
    assert not list(working_folder.iterdir())


def figures(client: TestClient) -> dict[str, float]:
    """Return the metrics of now by name and labels."""
    lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


@pytest.mark.usefixtures("served")
def test_metrics_tell_of_nights_imports_and_events(client: TestClient, take: Take, engine: Engine) -> None:
    before = figures(client)
    assert before["xuelu_database_up"] == 1
    served = 'xuelu_lists_total{generated_by="batch",strategy="history"}'
    assert client.get(LIST).status_code == client.get(LIST + "&exclude=v1").status_code == 200
    assert figures(client)[served] == before.get(served, 0) + 2
    age = (datetime.now(UTC) - datetime(2026, 3, 2, 1, 30, tzinfo=UTC)).total_seconds()
    assert before["xuelu_published_run_age_seconds"] == pytest.approx(age, abs=600)
    assert [before[f'xuelu_rankings{{state="{state}"}}'] for state in ("prior", "mixed", "learned")] == [1, 0, 0]
    assert before["xuelu_deliveries_pending"] == before["xuelu_delivery_queue_age_seconds"] == 0
    take("members", "member_id,role\nx1,83\nx2,nonsense\n", max_reject_share=1.0)
    event = {
        "event_id": "x",
        "member_id": "d1",
        "item_id": "v1",
        "verb": "viewed",
        "occurred_at": "2026-03-01T08:00:00Z",
    }
    body = {"events": [event, {**event, "event_id": "y", "verb": "nonsense"}]}
    assert client.post("/v1/events?partial=true", json=body).status_code == 200
    after = figures(client)
    stored = 'xuelu_import_lines_total{result="stored"}'
    rejected = 'xuelu_import_lines_total{result="rejected"}'
    assert after[rejected] == before[rejected] + 1
    assert after[stored] > 0
    assert after['xuelu_events_total{result="stored"}'] == after['xuelu_events_total{result="rejected"}'] == 1
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE imports RENAME TO gone"))
    without = figures(client)
    assert without["xuelu_database_up"] == 1, "the database answers: the query is at fault"
    assert "xuelu_published_run_age_seconds" not in without
