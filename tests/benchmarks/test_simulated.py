"""The benchmark of lists without history, at a small size: what it reports, and that it can tell good from bad."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulated import Size, discounted, is_new, measured, ndcg_of, without_descriptions
from content_catalog.schema import ITEMS
from tests.recommender.builders import NOW, table


def test_newcomers_and_new_items_are_judged_beside_the_oracle_and_the_without_descriptions(tmp_path: Path) -> None:
    figures = measured(tmp_path, Size(members=300, items=100, days=30, seed=3, training=6, evaluated=2))

    newcomers, new_items = figures["newcomers"], figures["new_items"]
    assert newcomers["members"] > 4
    for gain in ("own", "segment"):
        ndcg = newcomers[f"ndcg_by_{gain}_interest"]
        assert set(ndcg) == {"oracle", "default", "fused", "popularity", "segment", "content"}
        assert all(0 < value <= 1 + 1e-9 for value in ndcg.values())
        assert newcomers[f"vs_oracle_by_{gain}_interest"] == pytest.approx(ndcg["default"] / ndcg["oracle"], rel=1e-2)
    assert newcomers["ndcg_by_segment_interest"]["oracle"] == 1
    assert newcomers["vs_popularity_by_own_interest"] > 1
    assert new_items["new"]["described"]["lists"] == new_items["new"]["bare"]["lists"] > 10
    assert new_items["vs_bare"] > 0


def test_a_list_in_the_order_of_the_gains_has_an_ndcg_of_one_and_a_worse_one_less() -> None:
    truth = {("m", "a"): 0.6, ("m", "b"): 0.3}
    ideal = pd.DataFrame({"member_id": ["m", "m"], "item_id": ["a", "b"], "rank": [1, 2]})
    worse = ideal.assign(item_id=["b", "c"])
    asked = pd.Index(["m"])

    assert discounted(ideal, truth)["m"] == pytest.approx(0.6 + 0.3 / np.log2(3))
    assert ndcg_of(ideal, truth, ideal, asked) == 1
    assert ndcg_of(worse, truth, ideal, asked) == pytest.approx(0.3 / (0.6 + 0.3 / np.log2(3)))


def test_untold_items_keep_their_dates_and_whom_they_are_restricted_to() -> None:
    description = {"title": "Roads", "topics": "road", "target_roles": "83", "published_at": "2026-02-25"}
    items = without_descriptions(table(ITEMS, {"open": description, "shut": description | {"audience": "restricted"}}))

    assert items[["title", "topics", "format"]].isna().all(axis=None)
    assert items["target_roles"].fillna("").tolist() == ["", "83"]
    assert is_new(items, NOW).tolist() == [True, True]
    assert is_new(items, NOW + pd.Timedelta(days=7)).tolist() == [False, False]
