"""Many clients at once: whatever they send, each event is stored once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, func, select

from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.listening import listening
from tests.limits import HANG_SECONDS

CLIENTS = 50
EVENTS = 10


@pytest.mark.usefixtures("couriers")
def test_fifty_clients_that_post_the_same_events_store_them_once(
    settings: Settings, engine: Engine, make_key: MakeKey
) -> None:
    batch = [
        {
            "event_id": f"e{number}",
            "member_id": f"d{number % 10}",
            "item_id": "v1",
            "verb": "viewed",
            "occurred_at": "2026-03-01T08:00:00Z",
        }
        for number in range(EVENTS)
    ]
    headers = {"Authorization": f"Bearer {make_key('events:write')}", "Content-Type": "application/json"}
    with transaction(engine) as session:
        before = session.scalar(select(func.count()).select_from(events)) or 0
    connected = threading.Barrier(CLIENTS, timeout=HANG_SECONDS)

    def post(number: int) -> tuple[int, Any]:
        with closing(HTTPConnection(address, timeout=HANG_SECONDS)) as connection:
            connection.connect()
            connected.wait()
            turned = batch[number:] + batch[:number]
            connection.request("POST", "/v1/events", orjson.dumps({"events": turned}), headers)
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read())

    with listening(settings) as origin, ThreadPoolExecutor(CLIENTS) as pool:
        address = origin.removeprefix("http://")
        answers = list(pool.map(post, range(CLIENTS)))
    assert [status for status, _ in answers] == [200] * CLIENTS, answers
    assert sum(body["stored"] for _, body in answers) == EVENTS
    assert sum(body["duplicates"] for _, body in answers) == EVENTS * (CLIENTS - 1)
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(events)) == before + EVENTS
