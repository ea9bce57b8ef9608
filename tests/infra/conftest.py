"""An organisation without data."""

from datetime import datetime

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction


@pytest.fixture
def key(engine: Engine, now: datetime) -> int:
    """Return the key of an organisation."""
    with transaction(engine) as session:
        return organisations.ensure(session, "default", now=now)
