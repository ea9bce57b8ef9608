"""Lists as the night makes and stores them."""

from datetime import datetime

import numpy as np
import orjson
import pandas as pd
import pytest
from sqlalchemy import Engine, select

from infra.catalog import organisations
from infra.db.core_tables import similar_items as similar_table
from infra.db.engine import transaction
from infra.runs import list_contents
from infra.serving.online_model import OnlineList
from infra.settings.sections import ModelSettings
from infra.settings.settings import Settings
from jobs.nightly import lists, similar_items
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take


def test_the_models_are_made_as_the_settings_have_them(engine: Engine, now: datetime) -> None:
    model_settings = ModelSettings(
        popularity_half_life_days=1.0,
        segment_half_life_days=2.0,
        segment_shrinkage=3.0,
        neighbours_per_item=4,
        neighbour_shrinkage=5.0,
        als_factors=6,
        als_iterations=7,
        als_regularization=8.0,
        als_alpha=9.0,
        retrieval_depth=10,
        seed=11,
        threads=12,
    )
    with transaction(engine) as session:
        taxonomies = organisations.taxonomies(session, organisations.ensure(session, "default", now=now))
    pipeline = lists.make_pipeline(Settings(models=model_settings), taxonomies)
    models = pipeline.models
    assert models["popularity"].get_params() == {"half_life_days": 1.0}
    segment = models["segment"].get_params(deep=False)
    assert (segment["half_life_days"], segment["shrinkage"], segment["roles"]) == (2.0, 3.0, taxonomies["role"])
    assert models["item_knn"].get_params() == {"neighbours": 4, "shrinkage": 5.0, "half_life_days": 90.0}
    assert models["als"].get_params() == {
        "factors": 6, "iterations": 7, "regularization": 8.0, "alpha": 9.0, "half_life_days": 90.0, "seed": 11,
        "threads": 12,
    }  # fmt: skip
    assert pipeline.depth == 10


def test_members_who_share_a_list_are_stored_with_one_set_of_entries() -> None:
    reason = {"code": "popular", "arguments": {}}
    both = orjson.dumps([{"item_id": "i", "reason": reason}, {"item_id": "j", "reason": reason}]).decode()
    single = orjson.dumps([{"item_id": "j", "reason": reason}]).decode()
    computed = [OnlineList("", "popular", both), OnlineList("a", "history", single)]
    owners = pd.Series({"": "", "a": "a", "b": "", "c": "nobody"})
    stored, entries, items = lists._frames([lists._columns(computed)], owners, pd.Series({"a": "en"}))
    first, second = entries["entries_hash"]
    assert stored.drop(columns="language").to_dict("records") == [
        {"member_id": "", "strategy": "popular", "entries_hash": first},
        {"member_id": "a", "strategy": "history", "entries_hash": second},
        {"member_id": "b", "strategy": "popular", "entries_hash": first},
    ]
    assert stored["language"].dropna().tolist() == ["en"]
    assert [list_contents.hash_of_entries(text) for text in entries["entries"]] == [first, second]
    assert entries["entries"].tolist() == [both, single]
    assert items.to_numpy().tolist() == [["", "i", "popular"], ["", "j", "popular"], ["a", "j", "popular"]]


def test_no_lists_are_frames_without_rows() -> None:
    assert [len(frame) for frame in lists._frames([], pd.Series({"a": "a"}), pd.Series(dtype="str"))] == [0, 0, 0]


def test_the_nearest_texts_are_found_across_blocks_and_far_ones_left_out() -> None:
    vectors = np.random.default_rng(0).normal(size=(similar_items.BLOCK_ITEMS + 3, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items, others, values = similar_items.similar_texts(vectors, 4)
    cosines = vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    for item in (0, similar_items.BLOCK_ITEMS - 1, similar_items.BLOCK_ITEMS, similar_items.BLOCK_ITEMS + 2):
        best = np.argsort(-cosines[item])[:4]
        mask = items == item
        assert others[mask].tolist() == best.tolist()
        np.testing.assert_allclose(values[mask], cosines[item][best], rtol=1e-5)
    opposite = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    assert [len(part) for part in similar_items.similar_texts(opposite, 4)] == [0, 0, 0]


@ON_SQLITE
@pytest.mark.usefixtures("engine")
def test_similar_items_are_those_studied_together_then_those_about_the_same(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("items", "item_id,title\na,Knots and ropes\nb,Bread\nc,Ropes and knots again\nd,Knots for sailors\n")
    take("members", "member_id\n" + "".join(f"m{number}\n" for number in range(10)))
    log = "".join(f"m{number},{item},completed,2026-02-1{number}\n" for number in range(10) for item in "ab")
    log += "".join(f"m{number},d,completed,2026-02-1{number}\n" for number in range(9))
    take("events", "member_id,item_id,verb,occurred_at\n" + log)
    run = nightly(engine, settings, now=now)
    with transaction(engine) as session:
        similar_by_item = {item_id: list_contents.similar(session, run, item_id) for item_id in "abcd"}
        texts = session.scalars(select(similar_table.c.entries)).all()
    assert (similar_by_item["a"][0]["item_id"], similar_by_item["a"][0]["basis"]) == ("b", "study")
    assert {(entry["item_id"], entry["basis"]) for entry in similar_by_item["a"][1:]} == {("c", "text"), ("d", "text")}
    assert similar_by_item["b"] == [
        {"item_id": "a", "similarity": similar_by_item["a"][0]["similarity"], "basis": "study"}
    ]
    assert {entry["basis"] for entry in similar_by_item["c"]} == {"text"}
    assert max(len(str(entry["similarity"])) for entries in similar_by_item.values() for entry in entries) <= len(
        "0.123456"
    )
    assert len(texts) == 4


@ON_SQLITE
def test_no_more_similar_items_are_kept_than_are_shown(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("items", "item_id,title\n" + "".join(f"i{number:02d},Knots {number}\n" for number in range(30)))
    take("members", "member_id\nm1\n")
    run = nightly(engine, settings, now=now)
    with transaction(engine) as session:
        similar = list_contents.similar(session, run, "i00")
    assert len(similar) == similar_items.SIMILAR_ITEMS
    assert "i00" not in {entry["item_id"] for entry in similar}
