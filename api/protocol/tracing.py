"""Traces by OpenTelemetry, where the extra `otel` is installed and the environment asks for them."""

import os
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from infra.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Either names the collector of traces; the first one, of traces alone, goes before the other."""
OFF: Final = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}
"""Values that end all traces in OpenTelemetry, whatever else is set."""
WITH_IDS: Final = ("http.target", "http.url", "url.full", "url.path", "url.query")
"""Attributes that would hold the ids of members; the template of the route tells enough."""
QUIET_URLS: Final = "/v1/health/.*,/metrics"


def install(app: FastAPI) -> None:
    """Send a trace of every request to the collector that the environment names; without one nothing happens.

    Raises
    ------
    SettingsError
        The extra is not installed.
    """
    variable = next((name for name in VARIABLES if os.environ.get(name)), None)
    if variable is None or any(os.environ.get(name, "").lower() == value for name, value in OFF.items()):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError(f"{variable} is set, but traces need the extra: pip install 'xuelu[otel]'") from error
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        os.environ.setdefault("OTEL_SERVICE_NAME", "xuelu")
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace(app, provider)


def trace(app: FastAPI, provider: "TracerProvider") -> None:
    """Trace every request but those that only watch; no attribute holds an id of a member."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - an extra

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        server_request_hook=_forget_ids,
        excluded_urls=QUIET_URLS,
        exclude_spans=["receive", "send"],
    )


def _forget_ids(span: "Span", _scope: dict[str, Any]) -> None:
    for name in WITH_IDS:
        if span.is_recording() and name in getattr(span, "attributes", ()):
            span.set_attribute(name, "withheld")
