"""Runs and the lists they hold."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime, timedelta
from typing import Any

import orjson
import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.db.engine import FAULTS, transaction
from infra.errors import NoPublishedRunError
from infra.runs import list_contents
from infra.runs import store as runs

RECORD = {"settings_digest": "s", "code_version": "0", "seeds": {"models": 7}}
CHECKS = [{"name": "every member has a list", "passed": True, "detail": ""}]


def written(session: Session, key: int, now: datetime, status: str = "published") -> dict[str, Any]:
    """Write a run whose two lists share their entries with nobody, and return it."""
    run_key = runs.start(session, key, as_of=now - timedelta(hours=2), now=now, record=RECORD)
    texts = [orjson.dumps([{"item_id": item_id}]).decode() for item_id in ("i1", "快递")]
    entries = pd.DataFrame({"entries_hash": [list_contents.hash_of_entries(text) for text in texts], "entries": texts})
    lists = pd.DataFrame(
        {
            "member_id": ["", "m1", "m2"],
            "strategy": ["popular", "history", "popular"],
            "language": [None, "en", None],
            "entries_hash": entries["entries_hash"].iloc[[0, 1, 0]].to_numpy(),
        }
    )
    similar = pd.DataFrame({"item_id": ["i1"], "entries": ['[{"item_id":"i2"}]']})
    counts = {
        "lists": runs.store_lists(session, key, run_key, lists, entries),
        "similar_items": runs.store_similar(session, key, run_key, similar),
    }
    runs.finish(session, run_key, status=status, now=now, counts=counts, checks=CHECKS, data_digest="d")
    return runs.get(session, run_key)


def test_a_run_comes_back_as_it_was_written(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        run = written(session, key, now)
    with transaction(engine) as session:
        assert runs.latest(session, key) == run
    assert (run["status"], run["made_at"], run["as_of"]) == ("published", now, now - timedelta(hours=2))
    assert (run["counts"], run["checks"]) == ({"lists": 3, "similar_items": 1}, CHECKS)
    assert {name: run[name] for name in RECORD} == RECORD
    assert (run["data_digest"], run["published_at"]) == ("d", now)


def test_a_run_that_only_began_is_built_and_not_served(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        run_key = runs.start(session, key, as_of=now, now=now, record=RECORD)
        assert runs.get(session, run_key)["status"] == "built"
        with pytest.raises(NoPublishedRunError, match="run `xuelu nightly`"):
            runs.latest(session, key)


def test_of_many_runs_the_last_published_one_is_served(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        stored_runs = [written(session, key, now, status) for status in ("published", "published", "held")]
        assert len({run["run_id"] for run in stored_runs}) == 3
        assert runs.latest(session, key) == stored_runs[1]


def test_members_with_equal_entries_have_lists_of_their_own(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        run = written(session, key, now)
        push_lists = {member_id: runs.push_list(session, run, member_id) for member_id in ("", "m1", "m2", "m3")}
        again = runs.push_list(session, run, "m2")
    assert push_lists["m3"] is None
    assert {name: push_list["entries"] for name, push_list in push_lists.items() if push_list} == {
        "": [{"item_id": "i1"}],
        "m1": [{"item_id": "快递"}],
        "m2": [{"item_id": "i1"}],
    }
    assert {name: push_list["strategy"] for name, push_list in push_lists.items() if push_list} == {
        "": "popular",
        "m1": "history",
        "m2": "popular",
    }
    assert len({push_list["list_id"] for push_list in push_lists.values() if push_list}) == 3
    assert again == push_lists["m2"]


def test_no_run_is_removed_while_another_is_rolled_back(engine: Engine, key: int, now: datetime) -> None:
    def prune() -> list[str]:
        with transaction(engine) as session:
            return runs.prune(session, key, before=now + timedelta(days=1))

    with transaction(engine) as session:
        first, second = (written(session, key, now + timedelta(hours=hour)) for hour in (0, 1))
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as session:
            runs.lock(session, key)
            pruning = pool.submit(prune)
            with pytest.raises(FutureTimeoutError):
                pruning.result(timeout=1)
            assert runs.roll_back(session, key)[1] == first
        assert pruning.result() == [second["run_id"]], "the run that is served now stays"


def test_similar_items_of_an_item_without_any_are_none(engine: Engine, key: int, now: datetime) -> None:
    with transaction(engine) as session:
        run = written(session, key, now)
        assert list_contents.similar(session, run, "i1") == [{"item_id": "i2"}]
        assert list_contents.similar(session, run, "i2") == []


def test_lists_of_a_run_that_does_not_exist_cannot_be_written(engine: Engine, key: int) -> None:
    similar = pd.DataFrame({"item_id": ["i1"], "entries": ["[]"]})
    with pytest.raises(FAULTS, match=r"(?i)foreign key"), transaction(engine) as session:
        runs.store_similar(session, key, 99, similar)
