"""Client of the record store."""

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def lrs(client: TestClient) -> TestClient:
    """Return a client that speaks xAPI 1.0.3."""
    client.headers["X-Experience-API-Version"] = "1.0.3"
    return client
