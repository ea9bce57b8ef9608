"""Erasure of a member in a transaction of its own."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.privacy import erasure
from infra.settings.settings import Settings


def erase(engine: Engine, settings: Settings, now: datetime, member_id: str) -> dict[str, Any]:
    """Erase a member and return the report."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        return erasure.erase(session, settings, key, member_id, actor="test", now=now)
