"""Screens of the console on a large organisation: seconds of the first answer and the median of those after it.

``python -m benchmarks.console --json FILE`` fills a SQLite database with members, items, ten events each and a run with
a list of each member's own, as :mod:`benchmarks.serving` does, gives members roles and units and the run one before it,
and asks for each screen ``--times`` times in one process.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from sqlalchemy import Engine, insert, literal, select
from starlette.testclient import TestClient

from api.app import create_app
from benchmarks.serving import ITEMS, MEMBERS, fill
from infra.access import api_keys
from infra.catalog import organisations, records
from infra.catalog import store as catalog
from infra.db.core_tables import lists
from infra.db.engine import make_engine, transaction
from infra.runs import store as runs
from infra.settings.settings import Settings

ROLES = ("83", "41", "25", "52")
UNITS = 20
TOPICS = 50
DAYS = 90
"""Days that the events are of: the months that figures compare."""


def complete(engine: Engine, *, members: int, now: datetime) -> tuple[str, str, str]:
    """Give members units and items topics, require an item, copy the run; return both ids, and a key for everything."""
    numbers = np.arange(members)
    people = pd.DataFrame({"member_id": [f"m{number:06d}" for number in numbers], "language": "en"})
    people["role"] = np.take(ROLES, numbers % len(ROLES))
    people["units"] = [f"Region {number % 4}/Depot {number % UNITS}" for number in numbers]
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        catalog.store(session, key, "members", people, now=now)
        topics = [f"topic {number % TOPICS}" for number in range(ITEMS)]
        item_ids = [f"i{number:05d}" for number in range(ITEMS)]
        catalog.store(session, key, "items", pd.DataFrame({"item_id": item_ids, "topics": topics}), now=now)
        due = f"{now + timedelta(days=30):%Y-%m-%d}"
        required = {"requirement_id": "safety", "items": ["i00001"], "due_on": due}
        records.write(session, key, "requirements", required, now=now)
        served = runs.latest(session, key)
        record = {name: served[name] for name in ("settings_digest", "code_version", "seeds")}
        before = now - timedelta(days=1)
        copy = runs.start(session, key, as_of=before, now=before, record=record)
        columns = [column for column in lists.c if column.name != "run_key"]
        of_run = select(*columns, literal(copy)).where(lists.c.run_key == served["run_key"])
        session.execute(insert(lists).from_select([*(column.name for column in columns), "run_key"], of_run))
        token = api_keys.create(session, key, name="console", scopes=[api_keys.ADMIN], now=now)[1]
        return served["run_id"], runs.get(session, copy)["run_id"], token


def measure(engine: Engine, settings: Settings, *, members: int, times: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of each screen: ``first`` and ``median``."""
    now = datetime.now(UTC)
    fill(engine, members=members, now=now, days=DAYS)
    served, before, token = complete(engine, members=members, now=now)
    screens = {
        "overview": "/console",
        "runs": "/console/runs",
        "run": f"/console/runs/{served}",
        "difference": f"/console/runs/{served}/difference?{urlencode({'before': before})}",
        "catalogue": "/console/items?q=99",
        "gaps": "/console/gaps",
        "curations": "/console/curations",
        "item": "/console/item?item_id=i00001",
        "requirements": "/console/requirements",
        "member": "/console/member?member_id=m000001",
        "preview": "/console/preview?role=83",
        "deliveries": "/console/deliveries",
        "data": "/console/data",
        "keys": "/console/keys",
        "audit": "/console/audit",
        "settings": "/console/settings",
        "draft": "/console/settings/draft",
    }
    milliseconds: dict[str, dict[str, float]] = {}
    with TestClient(create_app(settings)) as client:
        client.post("/console/login", data={"key": token}, follow_redirects=False)
        for name, path in screens.items():
            taken = []
            for _ in range(times):
                start = time.perf_counter()
                answer = client.get(path)
                taken.append(1_000 * (time.perf_counter() - start))
                answer.raise_for_status()
            milliseconds[name] = {"first": taken[0], "median": statistics.median(taken)}
    return milliseconds


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/console.db"
        Path(folder, "console.db").touch()
        settings = Settings(database_url=url, artefacts_folder=Path(folder, "artefacts"))
        engine = make_engine(url)
        figures = measure(engine, settings, members=options.members, times=options.times)
        engine.dispose()
    for name, row in figures.items():
        print(f"{name:14} first {row['first']:9,.0f} ms   median {row['median']:9,.0f} ms")
    if options.json:
        options.json.write_text(json.dumps({"members": options.members, "milliseconds": figures}, indent=1))


if __name__ == "__main__":
    main()
