"""Events by HTTP beside a raw COPY (PostgreSQL) or executemany (SQLite) of the same rows.

``python -m benchmarks.serving_events --database-url URL --json FILE`` starts the service with one worker on a migrated,
empty database, posts batches of 500 events over several connections, keys checked, every event validated and stored
once, and writes the same rows past the service into a table like theirs: same columns, same indexes.
"""

import argparse
import json
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import numpy as np
import orjson
import psycopg
from sqlalchemy.engine import make_url

from benchmarks.servers import served
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.engine import SQLITE_PRAGMAS, make_engine, transaction
from infra.db.migrate import migrate

BATCH_ROWS = 500
CONNECTIONS = 4
COLUMNS = ("event_id", "member_id", "item_id", "verb", "occurred_at", "duration_seconds", "progress", "device")
MICROSECONDS = 1_000_000


def events(rows: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return events as an app sends them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        {
            "event_id": str(uuid4()),
            "member_id": f"m{rng.integers(100_000):06d}",
            "item_id": f"i{rng.integers(50_000):05d}",
            "verb": ("viewed", "started", "progressed", "completed")[rng.integers(4)],
            "occurred_at": (start + timedelta(seconds=int(rng.integers(86_400 * 60)))).isoformat(),
            "duration_seconds": float(rng.integers(1, 2_000)),
            "progress": round(float(rng.random()), 2),
            "device": ("ios", "android", "web")[rng.integers(3)],
        }
        for _ in range(rows)
    ]


def raw_rows(batch: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return events as rows of the table."""
    return [
        (
            1,
            *(event[name] for name in COLUMNS[:4]),
            _microseconds(event["occurred_at"]),
            *(event[name] for name in COLUMNS[5:]),
        )
        for event in batch
    ]


def _microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * MICROSECONDS


def prepare(database_url: str) -> str:
    """Migrate a database, make an organisation and a table like that of events; return a key."""
    engine = make_engine(database_url)
    migrate(engine)
    now = datetime.now(UTC)
    with transaction(engine) as session:
        organisation_key = organisations.ensure(session, "default", now=now)
        _, key = api_keys.create(
            session, organisation_key, name="benchmark", scopes=("events:write",), now=now, expires_at=None
        )
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP TABLE IF EXISTS raw_events")
            connection.exec_driver_sql("CREATE TABLE raw_events (LIKE events INCLUDING ALL)")
        else:
            statements = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE tbl_name = 'events' AND sql IS NOT NULL ORDER BY type DESC"
            ).scalars()
            for statement in [re.sub(r"\bevents\b", "raw_events", text) for text in statements]:
                connection.exec_driver_sql(re.sub(r"INDEX (\w+)", r"INDEX raw_\1", statement))
    engine.dispose()
    return key


def posted(address: str, key: str, batches: list[list[dict[str, Any]]]) -> float:
    """Return the seconds the service takes for batches over several connections."""
    bodies = [orjson.dumps({"events": batch}) for batch in batches]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with (
        httpx2.Client(base_url=address, headers=headers, timeout=600, trust_env=False) as client,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        client.get("/v1/health/live")
        start = time.perf_counter()
        answers = list(pool.map(lambda body: client.post("/v1/events", content=body), bodies))
        seconds = time.perf_counter() - start
    stored = sum(answer.json()["stored"] for answer in answers)
    assert stored == sum(map(len, batches)), answers[0].text[:500]
    return seconds


def raw(database_url: str, parts: list[list[tuple[Any, ...]]]) -> float:
    """Return the seconds of COPY or executemany, each part committed."""
    names = f"organisation_key, {', '.join(COLUMNS)}"
    if database_url.startswith("sqlite"):
        return _executemany(database_url, names, parts)
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        start = time.perf_counter()
        for part in parts:
            with cursor.copy(f"COPY raw_events ({names}) FROM STDIN") as copy:
                for row in part:
                    copy.write_row(row)
            connection.commit()
        return time.perf_counter() - start


def _executemany(database_url: str, names: str, parts: list[list[tuple[Any, ...]]]) -> float:
    import sqlite3

    with closing(sqlite3.connect(make_url(database_url).database or "")) as connection:
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        start = time.perf_counter()
        for part in parts:
            connection.executemany(f"INSERT INTO raw_events ({names}) VALUES ({marks})", part)  # noqa: S608 - our own names
            connection.commit()
        return time.perf_counter() - start


def measure(database_url: str, address: str, key: str, *, batches: int = 40, rounds: int = 5) -> dict[str, Any]:
    """Return rows per second by HTTP over those of one COPY (``events_vs_copy``), and over those of one per batch."""
    rng = np.random.default_rng(0)
    ratios: dict[str, list[float]] = {"events_vs_copy": [], "events_vs_copy_batches": [], "events_rows_per_second": []}
    posted(address, key, [events(BATCH_ROWS, rng) for _ in range(CONNECTIONS)])
    for _ in range(rounds):
        posts = [events(BATCH_ROWS, rng) for _ in range(batches)]
        seconds = posted(address, key, posts)
        rows = [raw_rows(batch) for batch in posts]
        whole = raw(database_url, [[row for part in rows for row in part]])
        again = [raw_rows(events(BATCH_ROWS, rng)) for _ in range(batches)]
        ratios["events_vs_copy"].append(whole / seconds)
        ratios["events_vs_copy_batches"].append(raw(database_url, again) / seconds)
        ratios["events_rows_per_second"].append(batches * BATCH_ROWS / seconds)
    return {name: round(statistics.median(values), 3) for name, values in ratios.items()}


def main() -> None:
    """Measure on one database, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    key = prepare(options.database_url)
    with served(options.database_url) as server:
        figures = measure(options.database_url, server.address, key, batches=options.batches)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
