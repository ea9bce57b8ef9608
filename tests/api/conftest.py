"""The service, asked by HTTP without a network, and what its resources and screens begin with."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.conftest import Take
from tests.jobs.delivery.delivery_setup import LOCAL, DeliverySetup, planned

MakeKey = Callable[..., str]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with a key that encrypts the secrets of endpoints."""
    delivery = LOCAL.model_copy(update={"allow_private_addresses": False})
    return settings.model_copy(update={"delivery": delivery})


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


@pytest.fixture
def setup(engine: Engine, settings: Settings, served: dict[str, Any]) -> DeliverySetup:
    """Return the delivery of an organisation with a webhook, whose pushes are planned for today."""
    del served
    return planned(engine, settings)


@pytest.fixture
def bad_file(take: Take, tmp_path: Path) -> Path:
    """Return an imported file with two bad lines."""
    path = tmp_path / "目录.csv"
    path.write_text("item_id,title,format\na,A,video\nb,B,=1+1\nc,C,<b>\n", encoding="utf-8")
    take("items", path, max_reject_share=1.0)
    return path
