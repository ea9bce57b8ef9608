"""An organisation without data, and what is done for one that has some."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction


@pytest.fixture
def key(engine: Engine, now: datetime) -> int:
    """Return the key of an organisation."""
    with transaction(engine) as session:
        return organisations.ensure(session, "default", now=now)


def for_organisation(engine: Engine, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Do something for the organisation in a transaction of its own."""
    with transaction(engine) as session:
        return work(session, organisations.key_of(session, "default"), *arguments, **options)
