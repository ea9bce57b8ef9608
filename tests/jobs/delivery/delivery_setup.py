"""An organisation with endpoints, a clock that tests set, and workers: what tests of the delivery share."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.access.secret_encryption import SecretCipher
from infra.catalog import organisations
from infra.db.delivery_tables import deliveries as ledger
from infra.db.delivery_tables import delivery_attempts
from infra.db.engine import transaction
from infra.delivery import endpoints, outbox
from infra.delivery.endpoints import Kind
from infra.delivery.metrics import DeliveryMetrics
from infra.runs import store as runs
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings
from jobs.delivery.worker import WorkerContext, deliver
from tests.limits import HANG_SECONDS

KEY = "a key of more than thirty-two characters"
LOCAL = DeliverySettings(secret_key=KEY, allow_private_addresses=True, timeout_seconds=HANG_SECONDS, max_per_week=7)


@dataclass
class DeliverySetup:
    """The delivery of the organisation "default"."""

    engine: Engine
    settings: Settings
    now: datetime

    def clock(self) -> datetime:
        """Return the present moment."""
        return self.now

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def do(self, work: Callable[[Session, int], Any]) -> Any:
        """Do something for the organisation in a transaction of its own."""
        with transaction(self.engine) as session:
            return work(session, organisations.key_of(session, "default"))

    def add(self, target: str, kind: Kind = "webhook") -> tuple[dict[str, Any], str]:
        """Register an endpoint; return it and its secret, empty where it has none."""

        def register(session: Session, key: int) -> tuple[dict[str, Any], str]:
            endpoint = endpoints.add_endpoint(session, key, kind, target, now=self.now)
            if kind != "webhook":
                return endpoint, ""
            return endpoint, endpoints.rotate_secret(
                session, endpoint, SecretCipher(KEY), overlap=timedelta(0), now=self.now
            )

        endpoint_and_secret: tuple[dict[str, Any], str] = self.do(register)
        return endpoint_and_secret

    def enqueue(self) -> dict[str, int]:
        """Plan the pushes of the published run."""

        def plan(session: Session, key: int) -> dict[str, int]:
            run_key = runs.latest(session, key)["run_key"]
            return outbox.enqueue(session, key, run_key, self.settings, now=self.now)

        planned: dict[str, int] = self.do(plan)
        return planned

    def work(self, step: Callable[[str], None] = lambda _name: None) -> WorkerContext:
        """Return what a worker works with."""
        rng = random.Random(7)  # noqa: S311 - it is the jitter that is to be the same again
        return WorkerContext(
            self.engine, self.settings, self.clock, DeliveryMetrics(CollectorRegistry()), rng=rng, step=step
        )

    def deliver(self, **options: Any) -> Counter[str]:
        """Deliver what is due now."""
        return asyncio.run(deliver(self.work(**options), watch=False))

    def rows(self) -> list[dict[str, Any]]:
        """Return the ledger."""
        with transaction(self.engine) as session:
            return [dict(row) for row in session.execute(select(ledger).order_by(ledger.c.delivery_key)).mappings()]

    def attempts(self) -> list[dict[str, Any]]:
        """Return all attempts."""
        query = select(delivery_attempts).order_by(delivery_attempts.c.delivery_key, delivery_attempts.c.number)
        with transaction(self.engine) as session:
            return [dict(row) for row in session.execute(query).mappings()]

    def statuses(self) -> Counter[str]:
        """Return how many deliveries have which status."""
        return Counter(row["status"] for row in self.rows())


def planned(engine: Engine, settings: Settings) -> DeliverySetup:
    """Return the delivery of an organisation with a webhook, whose pushes are planned for today."""
    setup = DeliverySetup(engine, settings, datetime.now(UTC))
    setup.add("https://app.example/pushes")
    setup.enqueue()
    return setup
