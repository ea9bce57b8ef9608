"""Prometheus metrics of the delivery: attempts of a worker, and the state of the queues."""

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
    "due": ("xuelu_deliveries_due", "Pending deliveries that are due."),
    "oldest_due_seconds": (
        "xuelu_delivery_queue_age_seconds",
        "For how long the oldest due delivery has waited.",
    ),
    "dead": ("xuelu_deliveries_dead", "Dead-lettered deliveries, until they are retried or dropped."),
}


class DatabaseCollector(Collector):
    """Collector that reads from the database at every scrape.

    Parameters
    ----------
    clock : callable
        Returns the present moment, aware.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine, self._clock = engine, clock


class QueueCollector(DatabaseCollector):
    """Gauges of the queues of all endpoints."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the families without samples, so that registering reads no database."""
        return [GaugeMetricFamily(name, text, labels=LABELS) for name, text in GAUGES.values()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges.

        Raises
        ------
        DatabaseError
        """
        with transaction(self._engine) as session:
            rows = admin.queue_state(session, now=self._clock())
        for column, (name, text) in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=LABELS)
            for row in rows:
                family.add_metric((row["organisation"], row["endpoint_id"]), row[column])
            yield family


class DeliveryMetrics:
    """Counters of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "xuelu_delivery_attempts",
            "Attempts by status of the delivery afterwards: delivered, pending (to be tried again), dead or dropped.",
            ("status",),
            registry=registry,
        )
        self._seconds = Histogram(
            "xuelu_delivery_seconds", "Time that receivers took to answer a push.", registry=registry
        )

    def count(self, status: str, attempts: int) -> None:
        """Count attempts by the status of their deliveries afterwards."""
        self._attempts.labels(status).inc(attempts)

    def timed(self) -> AbstractContextManager[object]:
        """Return a context that measures how long a push takes."""
        return self._seconds.time()
