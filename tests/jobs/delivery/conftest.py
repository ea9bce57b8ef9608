"""A delivery whose lists are there."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.settings.settings import Settings
from tests.jobs.delivery.delivery_setup import LOCAL, DeliverySetup


@pytest.fixture
def setup(engine: Engine, settings: Settings, now: datetime, served: dict[str, Any]) -> DeliverySetup:
    """Return the delivery of an organisation whose lists were published last night."""
    del served
    return DeliverySetup(engine, settings.model_copy(update={"delivery": LOCAL}), now)
