"""The service, asked by HTTP without a network."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from infra.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Return a client of the service, once for each kind of database; faults are answered, not raised."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened
