"""Metrics of the service, for Prometheus. None of them names an organisation or a member."""

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from api.dependencies import known_parameters_only
from api.protocol.route_class import Route

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Folder that the workers of one service share; the variable is that of prometheus-client."""
# Series of start times, as many as there are counters, and no dashboard reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own types are missing

router = APIRouter(route_class=Route, include_in_schema=False, dependencies=[Depends(known_parameters_only)])


@cache
def program_version() -> str:
    """Return the version of xuelu, from the metadata of its distribution, which take milliseconds to read."""
    return version("xuelu")


class Metrics:
    """The counters of one process of the service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("xuelu_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "xuelu_http_request_seconds",
            "Time to answer a request, in seconds.",
            ("method", "route"),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._lists = Counter(
            "xuelu_lists",
            "Push lists served, by strategy and by what generated them: the batch run, or the service online.",
            ("strategy", "generated_by"),
            registry=self.registry,
        )
        self._by_kind: dict[tuple[str, str], Counter] = {}
        self._loads = Counter(
            "xuelu_online_model_loads",
            "Tries to load the online model of a published run, by result.",
            ("result",),
            registry=self.registry,
        )
        self.events = Counter("xuelu_events", "Events that were sent, by result.", ("result",), registry=self.registry)
        self._by_answer: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.buffered_reads = Gauge(
            "xuelu_audit_reads_buffered",
            "Reads recorded and not yet in the audit log.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        build = Gauge(
            "xuelu_build_info",
            "Version of the service; always 1.",
            ("version",),
            registry=self.registry,
            multiprocess_mode="max",
        )
        build.labels(program_version()).set(1)
        self.state: Collector | None = None

    def listed(self, strategy: str, generated_by: str) -> None:
        """Count a list that was served."""
        counter = self._by_kind.get((strategy, generated_by))
        if counter is None:
            counter = self._by_kind[strategy, generated_by] = self._lists.labels(strategy, generated_by)
        counter.inc()

    def loaded(self, result: str) -> None:
        """Count a try to load the models of a served run."""
        self._loads.labels(result).inc()

    def exposition(self) -> bytes:
        """Return the metrics of all workers, and those of the database, in the text format of Prometheus."""
        registry = self.registry
        if MULTIPROCESS in os.environ:
            _forget_gauges_of_ended_workers(Path(os.environ[MULTIPROCESS]))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own types are missing
        text: bytes = generate_latest(registry)
        if self.state is not None:
            database = CollectorRegistry()
            database.register(self.state)
            text += generate_latest(database)
        return text

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        # Looking labels up costs more than counting; there are as many as routes and statuses.
        metrics = self._by_answer.get((method, route, status))
        if metrics is None:
            metrics = self.requests.labels(method, route, status), self.seconds.labels(method, route)
            self._by_answer[method, route, status] = metrics
        metrics[0].inc()
        metrics[1].observe(seconds)


def _forget_gauges_of_ended_workers(folder: Path) -> None:
    """Remove the gauges of workers that are gone: a killed one left its last value. Counters stay, and count on."""
    for path in folder.glob("gauge_live*_*.db"):
        try:
            os.kill(int(path.stem.rpartition("_")[2]), 0)
        except OSError:  # gone, or the process of another account now
            path.unlink(missing_ok=True)


@router.get("/metrics")
def read_metrics(request: Request) -> Response:
    """Return the metrics in the text format of Prometheus."""
    metrics: Metrics = request.app.state.metrics
    metrics.buffered_reads.set(request.app.state.audit_buffer.pending)
    return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})
