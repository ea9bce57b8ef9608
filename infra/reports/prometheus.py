"""Prometheus gauges of runs, delivery queues and imports, over all organisations."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from infra.db.core_tables import imports, organisations, runs
from infra.db.engine import transaction
from infra.delivery import admin
from infra.delivery.metrics import GAUGES, DatabaseCollector
from infra.errors import DatabaseError
from infra.runs import store

log = structlog.get_logger("xuelu.metrics")
RESULTS = ("stored", "duplicates", "rejected")
RANKING_STATES = ("prior", "mixed", "learned")


class StateCollector(DatabaseCollector):
    """Collector of runs, queues and imports.

    While the database is away, ``xuelu_database_up`` is 0 and alone; where a query is at fault, it is 1 and alone.
    """

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering needs no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        is_up, metrics = True, []  # the metrics of the service itself are read all the same
        try:
            with transaction(self._engine) as session:
                metrics = list(_read(session, self._clock()))
        except DatabaseError:
            is_up = False
        except SQLAlchemyError:
            log.exception("the database's figures are missing from the metrics")
        yield GaugeMetricFamily("xuelu_database_up", "Whether the database answers: 1, or 0.", value=is_up)
        yield from metrics


def _read(session: Session, now: datetime) -> Iterator[Metric]:
    newest = select(func.max(runs.c.published_at).label("at")).where(runs.c.status == "published")
    oldest = session.scalar(select(func.min(newest.group_by(runs.c.organisation_key).subquery().c.at)))
    if oldest is not None:
        description = "Age of the published run, of the organisation whose is oldest."
        yield GaugeMetricFamily("xuelu_published_run_age_seconds", description, value=(now - oldest).total_seconds())
    yield _rankings(session)
    queues = admin.queue_state(session, now=now)
    for column, (name, description) in GAUGES.items():
        figures = [row[column] for row in queues]
        value = max(figures, default=0.0) if column == "oldest_due_seconds" else sum(figures)
        yield GaugeMetricFamily(name, description, value=value)
    lines = CounterMetricFamily("xuelu_import_lines", "Lines of imports, by result.", labels=("result",))
    sums = select(*(func.coalesce(func.sum(imports.c[result]), 0).label(result) for result in RESULTS))
    for result, number in session.execute(sums).mappings().one().items():
        lines.add_metric((result,), int(number))
    yield lines


def _rankings(session: Session) -> Metric:
    """Return the number of organisations by the state of their served run's ranking."""
    served = runs.c.run_key == store.latest_key(organisations.c.organisation_key).correlate(organisations)
    states = Counter(
        check["state"]
        for checks in session.scalars(select(runs.c.checks).join(organisations, served))
        for check in checks
        if "state" in check
    )
    name, description = "xuelu_rankings", "Organisations by the state of their served run's ranking."
    rankings = GaugeMetricFamily(name, description, labels=("state",))
    for state in RANKING_STATES:  # those of none too, so that alarms have a series to watch
        rankings.add_metric((state,), states[state])
    return rankings
