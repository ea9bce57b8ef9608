"""Lists computed online: how long the list of a member takes that just studied something, in a large catalogue.

``python -m benchmarks.online_lists --items 50000 --json FILE`` simulates an organisation, takes in its logs, and runs a
night. Then members study an item each, one after the other, and ask for their list: timed is all of it but HTTP, that
is the question of the database, the fold-in by all models and the ranker, the reasons, and the list in words. Beside
seconds on the clock stand those of the processor, which others at work on the machine do not lengthen as much. At the
end the lists are compared with those of one batch call of the same models for all these members.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import Engine

from benchmarks.simulated import UNTIL, Size, fill
from features.interactions import build_interactions
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import make_engine, transaction
from infra.events import store as events
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.serving.list_json import ListRequest
from infra.serving.online_lists import OnlineLists
from infra.serving.online_model import ONLINE_MODEL, OnlineModel
from infra.serving.push_list_service import PushListService
from infra.settings.sections import NightlySettings, RankerSettings
from infra.settings.settings import Settings
from infra.training.data import read_training_frames
from jobs.nightly.night import nightly

LATER: Final = UNTIL + timedelta(hours=1)
NIGHTS: Final = 2
"""Nights that the ranker learns from: enough for it to be one like others."""
WARM_UP: Final = 20
MAX_LISTED: Final = 20


def settings_in(folder: Path) -> Settings:
    """Return the settings of the organisation in a folder; ``XUELU_DATABASE_URL`` puts it elsewhere."""
    return Settings(
        database_url=os.environ.get("XUELU_DATABASE_URL", f"sqlite:///{folder / 'xuelu.db'}"),
        rejects_folder=folder / "rejects",
        artefacts_folder=folder / "artefacts",
        nightly=NightlySettings(min_coverage=0.0),
        ranker=RankerSettings(window_days=NIGHTS),
    )


def prepare(folder: Path, *, members: int, items: int, days: int) -> None:
    """Simulate an organisation, take in its logs, and run a night."""
    settings = settings_in(folder)
    engine = make_engine(settings.database_url)
    fill(engine, settings, folder, Size(members, items, days, seed=7))
    run = nightly(engine, settings, now=UNTIL, progress=lambda step: print(step, flush=True))
    assert run["status"] == "published", run["checks"]
    engine.dispose()


def load(engine: Engine, settings: Settings) -> tuple[int, OnlineModel, list[str]]:
    """Return the organisation, what the night kept, and the members with a history who want lists of their own."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        run = runs.latest(session, key)
        digest = steps.of_run(session, run)[ONLINE_MODEL]["artefact_digest"]
        wanted = catalog.read(session, key, "members")["personalised"].fillna(value=True)
    online_model = artefacts.load(settings.artefacts_folder / run["run_id"], ONLINE_MODEL, digest)
    assert online_model is not None
    personalised = wanted.index[wanted.to_numpy(dtype=bool)]
    return key, online_model, [name for name in personalised if name in online_model.event_digests]


def studied(member_ids: Sequence[str], item_ids: Sequence[str]) -> pd.DataFrame:
    """Return an event of each member: it finished an item."""
    at = pd.Timestamp(UNTIL + timedelta(minutes=10)).as_unit("us")
    # Ids of their own: a folder may be measured again.
    frame = pd.DataFrame({"event_id": [str(uuid4()) for _ in member_ids], "member_id": member_ids})
    return frame.assign(item_id=item_ids, verb="completed", occurred_at=at)


async def timed(engine: Engine, settings: Settings, key: int, news: pd.DataFrame) -> tuple[list[Any], list[bytes]]:
    """Return seconds on the clock and of the processor for each member's list, and the lists."""
    lists = PushListService(engine, online=OnlineLists(engine, settings.artefacts_folder))
    request = ListRequest(n=MAX_LISTED, now=LATER)
    await lists.warm(request)
    took, bodies = [], []
    for number in range(len(news)):
        with transaction(engine) as session:
            events.store(session, key, news.iloc[[number]])
        start, processor = time.perf_counter(), time.process_time()
        bodies.append(await lists.push_list(key, news["member_id"].iloc[number], request))
        took.append((time.perf_counter() - start, time.process_time() - processor))
    await lists.close()
    return took[WARM_UP:], bodies


def batch(engine: Engine, key: int, online_model: OnlineModel, member_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the items of the lists that one call of the models makes for members."""
    with transaction(engine) as session:
        events_of_all, members, items = read_training_frames(session, key, as_of=LATER)
    assert items.index.equals(online_model.items.index)
    everything = build_interactions(
        events_of_all, members=members, items=online_model.items, as_of=online_model.as_of, rules=online_model.rules
    )
    listed = online_model.pipeline.recommend(everything, pd.Index(member_ids), k=online_model.length)
    return {str(member_id): list(rows["item_id"]) for member_id, rows in listed.groupby("member_id")}


def measure(folder: Path, n_lists: int) -> dict[str, Any]:
    """Return the figures."""
    settings = settings_in(folder)
    engine = make_engine(settings.database_url)
    key, online_model, active = load(engine, settings)
    rng = np.random.default_rng(7)
    member_ids = rng.permutation(active)[: n_lists + WARM_UP].tolist()
    news = studied(member_ids, list(rng.choice(online_model.items.index.to_numpy(dtype=object), len(member_ids))))
    took, answers = asyncio.run(timed(engine, settings, key, news))
    bodies = [orjson.loads(answer) for answer in answers]
    assert {body["generated_by"] for body in bodies} == {"online"}
    same = batch(engine, key, online_model, member_ids)
    engine.dispose()
    equal = sum([item["item_id"] for item in body["items"]] == same[body["member_id"]] for body in bodies)
    figures: dict[str, Any] = {
        "members": len(online_model.join_positions) - 1,
        "items": len(online_model.items),
        "lists": len(took),
    }
    figures["ranked"] = online_model.pipeline.ranker is not None
    for column, name in enumerate(("milliseconds", "processor_milliseconds")):
        percentiles = np.percentile([1_000 * times[column] for times in took], [50, 95, 99])
        figures[name] = dict(zip(("p50", "p95", "p99"), percentiles.round(2).tolist(), strict=True))
    return {**figures, "equal_to_batch": equal / len(bodies)}


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--lists", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="keep the organisation here, or take the one that is here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "events.csv.gz").exists():
            folder.mkdir(exist_ok=True)
            prepare(folder, members=options.members, items=options.items, days=options.days)
        figures = measure(folder, options.lists)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
