"""Mixed traffic from many connections, while the database is stopped and started: no error, no acknowledged event lost.

``python -m benchmarks.load --minutes 10 --connections 64 --database postgresql --outages 3 --json FILE`` serves
:data:`MEMBERS` members by ``xuelu serve`` with one worker. Every connection reads lists, sends events and statements,
changes members and items, and reads figures, one thing after the other, in the shares of :data:`ACTIONS`. An answer
that is no success is an error, but for a 503 that says when to ask again: then the connection asks the same thing
again, as apps do. At the end the events that were acknowledged are counted in the database.
"""

import argparse
import asyncio
import json
import random
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import numpy as np
from sqlalchemy import select

from benchmarks.servers import PostgresqlServer, postgresql, served
from benchmarks.serving import ITEMS, fill
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import opened, transaction

MEMBERS, CONNECTIONS, MINUTES = 2_000, 64, 10.0
BATCH = 20
OUTAGE_SECONDS = 3.0
REPEAT_SECONDS = 0.5
"""Pause before a refused request is repeated; shorter than the service asks for, to shorten the run."""
MAX_ERRORS = 20
XAPI = {"X-Experience-API-Version": "1.0.3"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Tally:
    """Counts and times of answers."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    last_refused: float = 0.0


class App:
    """A study app on a connection of its own."""

    def __init__(self, client: httpx2.AsyncClient, tally: Tally, rng: random.Random, members: int) -> None:
        self._client, self._tally, self._rng, self._members = client, tally, rng, members

    async def work(self, end: float) -> None:
        """Do everything once, in an order of its own, and one thing after the other until a moment of the clock."""
        names, shares = list(ACTIONS), [share for share, _ in ACTIONS.values()]
        for name in self._rng.sample(names, len(names)):
            await ACTIONS[name][1](self)
        while time.monotonic() < end:
            [name] = self._rng.choices(names, shares)
            await ACTIONS[name][1](self)

    async def _ask(self, name: str, verb: str, path: str, **more: Any) -> httpx2.Response | None:
        """Ask until the answer is no request to come later; note what it is."""
        while True:
            begin = time.monotonic()
            try:
                answer = await self._client.request(verb, path, **more)
            except httpx2.HTTPError as error:
                self._note_error(f"{name}: {error!r}")
                return None
            if answer.status_code == 503 and "retry-after" in answer.headers:
                self._tally.refused[answer.json()["detail"][:200]] += 1
                self._tally.last_refused = time.monotonic()
                await asyncio.sleep(REPEAT_SECONDS)
                continue
            self._tally.answers[f"{name} {answer.status_code}"] += 1
            self._tally.seconds.setdefault(name, []).append(time.monotonic() - begin)
            if not (answer.is_success or answer.status_code == 304):
                self._note_error(f"{name}: {answer.status_code} {answer.text[:200]}")
                return None
            return answer

    def _note_error(self, line: str) -> None:
        self._tally.errors.append(line)

    def _member(self) -> str:
        return f"m{self._rng.randrange(self._members):06d}"

    def _item(self) -> str:
        return f"i{self._rng.randrange(ITEMS):05d}"

    def _id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    async def read_list(self) -> None:
        """Read a list; half the apps have it already."""
        path = f"/v1/members/{self._member()}/push-list"
        answer = await self._ask("push list", "GET", path)
        if answer is not None and self._rng.random() < 0.5:
            await self._ask("push list", "GET", path, headers={"If-None-Match": answer.headers["etag"]})

    async def read_similar(self) -> None:
        """Read what is like an item."""
        await self._ask("similar items", "GET", f"/v1/items/{self._item()}/similar")

    async def post_events(self) -> None:
        """Send a batch; half a second later apps that are not sure send it again."""
        batch = [
            {
                "event_id": self._id(),
                "member_id": self._member(),
                "item_id": self._item(),
                "verb": self._rng.choice(("viewed", "progressed", "completed", "dismissed")),
                "occurred_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
            for _ in range(BATCH)
        ]
        for _ in range(1 + (self._rng.random() < 0.2)):
            if await self._ask("events", "POST", "/v1/events", json={"events": batch}) is not None:
                self._tally.acknowledged |= {event["event_id"] for event in batch}

    async def post_statement(self) -> None:
        """Send a statement, and read it back now and then."""
        statement_id = self._id()
        statement = {
            "id": statement_id,
            "actor": {"account": {"homePage": "https://hr.example.org", "name": self._member()}},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
            "object": {"id": f"https://lms.example.org/items/{self._item()}"},
            "timestamp": datetime.now(UTC).isoformat(),
        }
        posted = await self._ask("statements", "POST", "/xAPI/statements", json=statement, headers=XAPI)
        if posted is not None and self._rng.random() < 0.3:
            asked = {"statementId": statement_id}
            await self._ask("statement", "GET", "/xAPI/statements", params=asked, headers=XAPI)

    async def change_member(self) -> None:
        """Switch personalisation, and read the member."""
        path = f"/v1/members/{self._member()}"
        body = json.dumps({"personalised": self._rng.random() < 0.9})
        await self._ask("change member", "PATCH", path, content=body, headers=MERGE)
        await self._ask("read member", "GET", path)

    async def change_item(self) -> None:
        """Hide an item, or show it again."""
        body = json.dumps({"hidden": self._rng.random() < 0.3})
        await self._ask("change item", "PATCH", f"/v1/items/{self._item()}", content=body, headers=MERGE)

    async def read_figures(self) -> None:
        """Read pages and figures."""
        path = self._rng.choice(("/v1/runs", "/v1/items?limit=50", "/v1/members?limit=50", "/v1/analytics/activity"))
        await self._ask(path.partition("?")[0], "GET", path)

    async def export_member(self) -> None:
        """Read everything about a member."""
        await self._ask("export", "GET", f"/v1/members/{self._member()}/export")


ACTIONS: dict[str, tuple[float, Callable[[App], Awaitable[None]]]] = {
    "read list": (0.60, App.read_list),
    "read similar": (0.06, App.read_similar),
    "post events": (0.14, App.post_events),
    "post statement": (0.07, App.post_statement),
    "change member": (0.06, App.change_member),
    "change item": (0.03, App.change_item),
    "read figures": (0.02, App.read_figures),
    "export member": (0.02, App.export_member),
}
"""Share of each thing that apps do."""


async def traffic(
    address: str,
    key: str,
    *,
    members: int,
    connections: int,
    seconds: float,
    server: PostgresqlServer | None,
    outages: int,
) -> tuple[Tally, list[float]]:
    """Return what was answered, and how long after each start of the database the last refusal came, in seconds."""
    tally, headers = Tally(), {"Authorization": f"Bearer {key}"}
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the certificates that each client would read
    end, recoveries = time.monotonic() + seconds, []

    async def app(number: int) -> None:
        async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=600, verify=no_tls) as client:
            await App(client, tally, random.Random(number), members).work(end)  # noqa: S311 - no secret is drawn

    working = [asyncio.create_task(app(number)) for number in range(connections)]
    for _ in range(outages if server else 0):
        assert server is not None
        await asyncio.sleep(max(0.0, seconds - outages * OUTAGE_SECONDS) / (outages + 1))
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(OUTAGE_SECONDS)
        await asyncio.to_thread(server.start)
        started = time.monotonic()
        await asyncio.sleep(min(2.0, seconds / 5))
        recoveries.append(max(0.0, tally.last_refused - started))
    await asyncio.gather(*working)
    return tally, recoveries


def stored(database_url: str) -> Counter[str]:
    """Return how often each event that was sent is stored."""
    with opened(database_url) as engine, transaction(engine) as session:
        return Counter(session.scalars(select(events.c.event_id).where(events.c.event_id.like("%-%"))))


def measure(
    url: str,
    *,
    members: int,
    connections: int,
    seconds: float,
    server: PostgresqlServer | None = None,
    outages: int = 0,
) -> dict[str, Any]:
    """Return the figures of one database."""
    now = datetime.now(UTC)
    with opened(url) as engine:
        fill(engine, members=members, now=now)
        with transaction(engine) as session:
            own = organisations.key_of(session, "default")
            _, key = api_keys.create(session, own, name="load", scopes=[api_keys.ADMIN], now=now)
    sizes: dict[str, Any] = {"members": members, "connections": connections, "seconds": seconds, "outages": outages}
    with served(url) as ours:
        tally, recoveries = asyncio.run(traffic(ours.address, key, server=server, **sizes))
    counts = stored(url)
    times = {name: np.quantile(taken, (0.5, 0.99)) for name, taken in sorted(tally.seconds.items())}
    return {
        "requests": sum(tally.answers.values()),
        "errors": len(tally.errors),
        "errors_first": tally.errors[:MAX_ERRORS],
        "outages": len(recoveries),
        "refused_503": tally.refused.total(),
        "refused_first": dict(tally.refused.most_common(5)),
        "recovery_seconds": [round(taken, 2) for taken in recoveries],
        "events_acknowledged": len(tally.acknowledged),
        "events_lost": len(tally.acknowledged - counts.keys()),
        "events_doubled": sum(count > 1 for count in counts.values()),
        "answers": dict(sorted(tally.answers.items())),
        "milliseconds_p50_p99": {name: [round(1_000 * part, 1) for part in both] for name, both in times.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--outages", type=int, default=0, help="times that the database is stopped; PostgreSQL only")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    sizes: dict[str, Any] = {"connections": options.connections, "seconds": 60 * options.minutes}
    sizes["members"] = options.members
    with ExitStack() as stack:
        if options.database == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            figures = measure(f"sqlite:///{folder}/xuelu.db", **sizes)
        else:
            server = stack.enter_context(postgresql())
            figures = measure(server.url("postgres"), server=server, outages=options.outages, **sizes)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
