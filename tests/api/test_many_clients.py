"""Many processes at once: whatever they send, each event is stored once."""

import subprocess
import sys

import orjson
import pytest
from sqlalchemy import Engine, func, select

from benchmarks.servers import served
from infra.db.core_tables import events
from infra.db.engine import transaction
from tests.api.conftest import MakeKey
from tests.limits import HANG_SECONDS

PROCESSES = 50
EVENTS = 100
CLIENT = """
import http.client, sys
host, key = sys.argv[1:]
connection = http.client.HTTPConnection(host, timeout=3600)
headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
connection.request("POST", "/v1/events", sys.stdin.buffer.read(), headers)
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""
"""Of the standard library only, so that fifty of them start in seconds."""


@pytest.mark.usefixtures("couriers")
def test_fifty_processes_that_post_the_same_events_store_them_once(
    database_url: str, engine: Engine, make_key: MakeKey
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
    key = make_key("events:write")
    with transaction(engine) as session:
        before = session.scalar(select(func.count()).select_from(events)) or 0
    with served(database_url) as ours:
        command = [sys.executable, "-c", CLIENT, ours.address.removeprefix("http://"), key]
        clients = []
        for number in range(PROCESSES):
            client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert client.stdin is not None
            turned = batch[number:] + batch[:number]
            client.stdin.write(orjson.dumps({"events": turned}))
            client.stdin.close()
            clients.append(client)
        told = []
        for client in clients:
            assert client.stdout is not None
            with client.stdout as output:
                told.append(output.read())
            client.wait(HANG_SECONDS)
    answers = [orjson.loads(one.partition(b" ")[2]) for one in told if one.startswith(b"200 ")]
    assert len(answers) == PROCESSES, told
    assert sum(answer["stored"] for answer in answers) == EVENTS
    assert sum(answer["duplicates"] for answer in answers) == EVENTS * (PROCESSES - 1)
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(events)) == before + EVENTS
