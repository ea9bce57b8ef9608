"""Figures on deliveries for Prometheus: what a worker did, and how the queue is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from infra.db.engine import transaction
from infra.delivery import admin

LABELS = ("organisation", "endpoint")
GAUGES = {
    "pending": ("xuelu_deliveries_pending", "Deliveries planned or to be tried again."),
    "due": ("xuelu_deliveries_due", "Pending deliveries whose time has come."),
    "oldest_due_seconds": (
        "xuelu_delivery_queue_age_seconds",
        "For how long the first of the due deliveries has waited.",
    ),
    "dead": ("xuelu_deliveries_dead", "Deliveries given up, until somebody retries or drops them."),
}


class DatabaseCollector(Collector):
    """Figures read from the database whenever metrics are asked for.

    Parameters
    ----------
    engine : Engine
    clock : callable
        Returns the present moment, aware.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine, self._clock = engine, clock


class QueueCollector(DatabaseCollector):
    """The queues of all endpoints."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the names without figures, so that registering asks no database."""
        return [GaugeMetricFamily(name, told, labels=LABELS) for name, told in GAUGES.values()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures.

        Raises
        ------
        DatabaseError
        """
        with transaction(self._engine) as session:
            rows = admin.queue(session, now=self._clock())
        for column, (name, told) in GAUGES.items():
            family = GaugeMetricFamily(name, told, labels=LABELS)
            for row in rows:
                family.add_metric((row["organisation"], row["endpoint_id"]), row[column])
            yield family


class Meters:
    """What one worker did since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "xuelu_delivery_attempts",
            "Attempts by what the delivery was afterwards: delivered, pending (to be tried again), dead or dropped.",
            ("status",),
            registry=registry,
        )
        self._seconds = Histogram(
            "xuelu_delivery_seconds", "Time that receivers took to answer a push.", registry=registry
        )

    def count(self, status: str, attempts: int) -> None:
        """Count attempts after which deliveries have a status."""
        self._attempts.labels(status).inc(attempts)

    def timed(self) -> AbstractContextManager[object]:
        """Return a context that measures how long a push takes."""
        return self._seconds.time()
