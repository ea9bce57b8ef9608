"""An organisation with published lists and a webhook, for measuring and maltreating the delivery."""

from datetime import UTC, datetime, timedelta

import orjson
import pandas as pd
from sqlalchemy import Engine

from infra.access.secret_encryption import SecretCipher
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.db.migrate import migrate
from infra.delivery import endpoints, outbox
from infra.runs import store as runs
from infra.runs.list_contents import hash_of_entries
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings

NIGHT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""Moment at which all pushes are due and none is late."""

ITEMS, LISTED = 500, 10
RECORD = {"settings_digest": "0", "code_version": "0", "seeds": {}}


def publish_lists(engine: Engine, members: int, *, now: datetime = NIGHT) -> int:
    """Make members and items, and publish a run with a list of its own for every member; return the run's key."""
    migrate(engine)
    items = [f"i{number:05d}" for number in range(ITEMS)]
    titles = [f"Safety on the road, lesson {number}" for number in range(ITEMS)]
    people = [f"m{number:06d}" for number in range(members)]
    entries = []
    for number in range(members):
        chosen = [items[(number * 7 + step * 13) % ITEMS] for step in range(LISTED)]
        reasons = [{"code": "because_finished", "arguments": {"item_id": items[number % ITEMS]}}] * LISTED
        listed = [{"item_id": item, "reason": reason} for item, reason in zip(chosen, reasons, strict=True)]
        entries.append(orjson.dumps(listed).decode())
    contents = [hash_of_entries(text) for text in entries]
    catalogue = pd.DataFrame({"item_id": items, "title": titles, "format": "video", "duration_seconds": 300.0})
    with transaction(engine) as session:
        key = organisations.ensure(session, "default", now=now)
        catalog.store(session, key, "items", catalogue, now=now)
        catalog.store(session, key, "members", pd.DataFrame({"member_id": people}), now=now)
        run_key = runs.start(session, key, as_of=now, now=now, record=RECORD)
        lists = pd.DataFrame({"member_id": people, "strategy": "history", "language": "en", "entries_hash": contents})
        contents_once = pd.DataFrame({"entries_hash": contents, "entries": entries}).drop_duplicates("entries_hash")
        runs.store_lists(session, key, run_key, lists, contents_once)
        runs.finish(
            session, run_key, status="published", now=now, checks=[], counts={"lists": members}, data_digest="0"
        )
    return run_key


def plan_pushes(engine: Engine, run_key: int, url: str, settings: DeliverySettings, *, now: datetime = NIGHT) -> int:
    """Register a webhook and plan the pushes of a run to it; return how many."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        endpoint = endpoints.add_endpoint(session, key, "webhook", url, now=now)
        endpoints.rotate_secret(session, endpoint, SecretCipher(settings.secret_key), overlap=timedelta(0), now=now)
        return outbox.enqueue(session, key, run_key, Settings(delivery=settings), now=now)["planned"]
