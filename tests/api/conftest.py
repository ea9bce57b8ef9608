"""The service, asked by HTTP without a network."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.settings.settings import Settings

MakeKey = Callable[..., str]


@pytest.fixture
def anonymous(settings: Settings) -> Iterator[TestClient]:
    """Return a client of the service that sends no key, once for each kind of database; faults are answered."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def make_key(engine: Engine) -> MakeKey:
    """Return what makes a key: of which organisation, for which scopes, made when, good for how long."""

    def create_key(
        *scopes: str, organisation: str = "default", at: datetime | None = None, lasts: timedelta = timedelta(days=1)
    ) -> str:
        moment = at or datetime.now(UTC)
        with transaction(engine) as session:
            owner = organisations.ensure(session, organisation, now=moment)
            wanted = scopes or (api_keys.ADMIN,)
            return api_keys.create(session, owner, name="test", scopes=wanted, now=moment, expires_at=moment + lasts)[1]

    return create_key


@pytest.fixture
def client(anonymous: TestClient, make_key: MakeKey) -> TestClient:
    """Return a client with a key of the organisation `default` that may do everything."""
    anonymous.headers["Authorization"] = f"Bearer {make_key()}"
    return anonymous
