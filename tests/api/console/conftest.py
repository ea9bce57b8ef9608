"""A browser that is logged in to the console, and what its pages and the audit log hold."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from infra.db.access_tables import audit_entries
from infra.db.engine import transaction
from tests.api.conftest import MakeKey

Browser = Callable[..., TestClient]


@pytest.fixture
def browser(anonymous: TestClient, make_key: MakeKey) -> Browser:
    """Return what logs in: with a key for which scopes of which organisation."""

    def logged_in(*scopes: str, organisation: str = "default") -> TestClient:
        anonymous.follow_redirects = False
        key = make_key(*scopes, organisation=organisation)
        assert anonymous.post("/console/login", data={"key": key}).status_code == 303
        return anonymous

    return logged_in


def csrf_token(page: str) -> str:
    """Return the token of the first form of a page."""
    match = re.search(r'name="csrf_token" value="(\w{64})"', page)
    assert match is not None
    return match[1]


def actions(engine: Engine) -> list[str]:
    """Return the actions in the audit log, in order, without reads, which a thread writes."""
    with transaction(engine) as session:
        stored = session.scalars(select(audit_entries.c.action).order_by(audit_entries.c.sequence))
        return [action for action in stored if not action.endswith(".read")]
