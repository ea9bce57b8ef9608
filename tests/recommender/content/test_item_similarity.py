"""Similarity of items by their descriptions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.schema import ITEMS
from recommender.content.item_similarity import MIN_COSINE, item_similarity
from tests.recommender.builders import INDUSTRIES, ROLES, Described, table


def alike(items: Described, nearest: int = 100) -> pd.DataFrame:
    """Return the likenesses of described items, by their ids."""
    item_table = table(ITEMS, items)
    cosines = item_similarity(item_table, roles=ROLES, industries=INDUSTRIES, nearest=nearest)
    return pd.DataFrame(cosines.toarray(), index=item_table.index, columns=item_table.index)


def test_titles_in_chinese_are_alike_where_they_share_words_though_no_space_parts_them() -> None:
    cosines = alike(
        {"a": {"title": "冬季道路安全驾驶"}, "b": {"title": "道路安全知识问答"}, "c": {"title": "职业病防治与体检"}}
    )

    assert cosines.loc["a", "b"] > 0.1
    assert cosines.loc["a", "c"] == cosines.loc["b", "c"] == 0.0


def test_a_target_is_like_one_above_it_and_unlike_others() -> None:
    cosines = alike({"a": {"target_roles": "83"}, "b": {"target_roles": "8"}, "c": {"target_roles": "22"}})

    assert cosines.loc["a", "b"] > 0.2
    assert cosines.loc["a", "c"] == 0.0


def test_an_item_of_which_nothing_is_told_is_like_none_not_even_itself() -> None:
    cosines = alike({"a": {"topics": "safety"}, "b": {}, "c": {"topics": "safety"}})

    assert (cosines["b"] == 0).all()
    assert cosines.loc["a", "c"] == cosines.loc["a", "a"] == 1.0


def test_nothing_told_of_any_item_makes_none_alike() -> None:
    assert (alike({"a": {}, "b": {}}) == 0).all(axis=None)


def test_each_item_keeps_its_nearest() -> None:
    items = {name: {"topics": topics} for name, topics in (("a", "x"), ("b", "x;y"), ("c", "x;y;z"), ("d", "x;y;z"))}

    few, all_of_them = alike(items, 2), alike(items)

    assert ((few > 0).sum() == 2).all()
    pd.testing.assert_frame_equal(few, all_of_them.where(few > 0, 0.0))
    assert (few.loc["d", "c"], few.loc["c", "d"]) == (1.0, 1.0)


WORDS = st.lists(st.sampled_from(["road", "safety", "law", "安全", "法律", ""]), max_size=4)
ITEM = st.builds(
    lambda title, topics, language: {"title": " ".join(title), "topics": ";".join(topics), "language": language},
    WORDS,
    st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True),
    st.sampled_from(["", "en", "zh-CN"]),
)


@settings(deadline=None, max_examples=20)
@given(items=st.lists(ITEM, min_size=1, max_size=8))
def test_likenesses_are_cosines_the_same_both_ways(items: list[dict[str, str]]) -> None:
    cosines = alike({f"i{number}": item for number, item in enumerate(items)}).to_numpy()

    np.testing.assert_allclose(cosines, cosines.T, atol=1e-6)
    assert ((cosines == 0) | ((cosines > MIN_COSINE - 1e-6) & (cosines <= 1 + 1e-6))).all()
    described = [any(value.strip() for value in item.values()) for item in items]
    np.testing.assert_allclose(np.diag(cosines), np.array(described, dtype=float), atol=1e-6)


@pytest.mark.parametrize(
    "items",
    [
        [{"title": "Video"}] * 51,
        [{"topics": "safety"}] * 51,
        [{"title": title} for title in ("Video", "Audio", "Text")] * 500,
        [{"title": "Video", "topics": "safety", "language": "en"}] * 60,
        [{"title": "."}] * 3,
    ],
)
def test_titles_and_topics_that_all_items_share_raise_nothing(items: list[dict[str, str]]) -> None:
    cosines = alike({f"i{number:04d}": item for number, item in enumerate(items)}, nearest=5)

    assert np.isfinite(cosines.to_numpy()).all()


def test_cosines_are_those_worked_by_hand() -> None:
    # Every part has length one before its factor: 1 for texts (topics are part of them), .5 for topics and language. So
    # |a|² = |b|² = 1.5, |c|² = .25, a · b = 1 + .25, and a · c = .25.
    cosines = alike(
        {
            "a": {"topics": "x", "language": "en"},
            "b": {"topics": "x", "language": "zh-CN"},
            "c": {"language": "en"},
        }
    )

    assert cosines.loc["a", "b"] == pytest.approx(1.25 / 1.5, abs=1e-6)
    assert cosines.loc["a", "c"] == pytest.approx(0.25 / (1.5**0.5 * 0.5), abs=1e-6)
    assert cosines.loc["b", "c"] == 0.0
