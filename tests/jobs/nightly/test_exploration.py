"""Nights whose lists explore: propensities are stored with the lists, and every way to a list draws the same."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.policy.entry_texts import listed_items
from infra.reports.experiment_effects import explored_lists
from infra.runs.list_contents import lists_of
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.serving.online_model import models_of
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.evaluation.estimate import estimate
from jobs.nightly.night import nightly
from recommender.errors import EstimateError
from tests.conftest import ON_SQLITE, WEEKLY, Take
from tests.jobs.nightly.test_incremental import in_full

ALWAYS = PolicySettings(exploration_share=1.0, exploration_places=5)


def entries_of(engine: Engine, run: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the stored entries of every member's list."""
    with transaction(engine) as session:
        run_lists = lists_of(session, run)
    return {name: orjson.loads(run_lists.entries[text_hash]) for name, text_hash in run_lists.hashes.items()}


@ON_SQLITE
def test_a_night_an_incremental_one_and_the_service_explore_alike(
    engine: Engine, settings: Settings, now: datetime, take: Take, couriers: None
) -> None:
    del couriers
    settings = settings.model_copy(update={"nightly": WEEKLY, "policy": ALWAYS})

    run = nightly(engine, settings, now=now)

    entries = entries_of(engine, run)
    tried = {name for name, row in entries.items() if "to_try" in {entry["reason"]["code"] for entry in row}}
    assert len(tried) > len(entries) / 2
    assert run["counts"]["policies"]["to_try"] == len(tried)
    exploring = {name for name, row in entries.items() if any("propensity" in entry for entry in row)}
    assert exploring == set(entries) - {"", "private"}
    for name in exploring:
        assert all(0 < entry.get("propensity", 1.0) <= 1 for entry in entries[name])

    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        member_id = min(tried)
        model = models_of(session, settings.artefacts_folder, run)
        online = model.recommend(model.interactions(session, key, member_id, now=now))
        shown = push_lists.shown(session, key, member_id, ListRequest(n=20, now=now, language="en"))
    assert orjson.loads(online.entries) == entries[member_id]
    assert {"Something different to try"} <= {item["reason"]["text"] for item in shown["items"]}
    assert not any("propensity" in item for item in shown["items"])

    take("events", "member_id,item_id,verb,occurred_at\nd1,o1,completed,2026-03-01T10:00:00Z\n")
    second = nightly(engine, settings, now=now + timedelta(minutes=1), as_of=now + timedelta(seconds=30))
    assert second["counts"]["remade"] == 1
    with transaction(engine) as session:
        hashes = dict(lists_of(session, second).hashes)
    assert hashes == in_full(engine, settings, second)
    assert any("propensity" in entry for entry in entries_of(engine, second)["d1"])


def test_a_variant_is_estimated_from_lists_that_explored(
    engine: Engine, settings: Settings, now: datetime, take: Take, couriers: None
) -> None:
    del couriers
    policy = PolicySettings(exploration_share=0.5, exploration_places=3)
    privacy = settings.privacy.model_copy(update={"smallest_group": 5})
    settings = settings.model_copy(update={"policy": policy, "privacy": privacy})
    with pytest.raises(EstimateError, match=r"of the newest 0 runs lists of 0 members explored"):
        estimate(engine, settings, settings, n_runs=3, places=3, outcome="opened")
    run = nightly(engine, settings, now=now)
    assert set(estimate(engine, settings, settings, n_runs=3, places=3, outcome="opened")) & {"dr", "logged"} == {
        "logged"
    }
    with transaction(engine) as session:
        [own] = explored_lists(session, run).query("member_id == 'd1'").itertuples()
        others = set(explored_lists(session, run)["member_id"])
    first, *_ = listed_items(own.entries)
    lines = ["member_id,item_id,verb,occurred_at,push_list_id"]
    lines += [f"d1,{first},{verb},2026-03-02T09:00:00Z,{own.list_id}" for verb in ("viewed", "completed")]
    lines += [f"d2,{first},completed,2026-03-02T09:00:00Z,{own.list_id}"]
    take("events", "\n".join(lines))

    figures = estimate(engine, settings, settings, n_runs=3, places=3, outcome="opened")

    counts = {name: figures[name] for name in ("runs", "lists", "members", "basis", "places")}
    assert counts == {"runs": 1, "lists": len(others), "members": len(others), "basis": "lists", "places": 3}
    # Lists by the same settings are those that did not explore; the one entry that was opened is one of all.
    assert figures["logged"] == pytest.approx(1 / (3 * len(others)))
    assert figures["weight"] == pytest.approx(1.0, abs=0.2)
    assert figures["ips"]["low"] <= figures["ips"]["value"] <= figures["ips"]["high"]
    assert figures["difference"]["value"] == pytest.approx(figures["dr"]["value"] - figures["logged"])

    take("events", f"{lines[0]}\nd1,{first},shown,2026-03-02T08:59:00Z,{own.list_id}")
    with pytest.raises(EstimateError, match=r"lists of 1 members explored"):
        estimate(engine, settings, settings, n_runs=3, places=3, outcome="opened")
