"""Texts as words and vectors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.text import texts_of, vectors_of, words, words_of

TEXTS = [
    "外卖骑手的劳动权益：工伤保险怎样办理",
    "工伤保险与劳动权益问答",
    "How to share documents with your team",
    "Share a document and invite your team",
    "长征的故事",
]


def test_chinese_and_other_words_of_one_text_come_in_order() -> None:
    assert words("学习Excel函数 with Formulas 2016") == ["学习", "excel", "函数", "with", "formulas"]


def test_digits_punctuation_and_single_letters_are_no_words() -> None:
    assert words("a 1 2016 … ！？ x_y") == []


@given(st.text(max_size=200))
def test_words_of_any_text_are_its_own_parts_in_lower_case(text: str) -> None:
    lowered = text.lower()
    for word in words(text):
        assert word
        assert word in lowered


def test_an_items_text_is_its_title_topics_summary_and_text() -> None:
    items = pd.DataFrame(
        {"title": ["Knots", None], "topics": ["safety", None], "summary": [None, None], "text": ["Tie.", None]}
    )
    assert texts_of(items.astype("str").where(items.notna(), None)) == ["Knots safety Tie.", ""]


def test_texts_about_the_same_are_near_and_others_far() -> None:
    vectors = vectors_of(words_of(TEXTS), dimensions=3)
    nearness = vectors @ vectors.T
    assert nearness[0, 1] > 0.8
    assert nearness[2, 3] > 0.8
    assert abs(nearness[0, 2]) < 0.1
    assert abs(nearness[4, 2]) < 0.1


def test_vectors_have_length_one_and_texts_without_words_have_none() -> None:
    vectors = vectors_of(words_of([*TEXTS, "", "2016"]))
    np.testing.assert_allclose(np.linalg.norm(vectors[:5], axis=1), 1.0, rtol=1e-5)
    assert not vectors[5:].any()


def test_same_texts_and_seed_give_the_same_vectors() -> None:
    np.testing.assert_array_equal(vectors_of(words_of(TEXTS), seed=3), vectors_of(words_of(TEXTS), seed=3))


@pytest.mark.parametrize("texts", [["", ""], ["knots"], ["2016"], ["knots", "knots"]])
def test_few_or_empty_texts_still_get_a_vector_each(texts: list[str]) -> None:
    vectors = vectors_of(words_of(texts))
    assert vectors.shape[0] == len(texts)
    assert np.isfinite(vectors).all()
    assert vectors.dtype == np.float32


@given(
    texts=st.lists(
        st.sampled_from(["Video", "Audio one", "工伤保险", "工伤 保险 问答", "2016", "", "，"]), max_size=80
    ),
    dimensions=st.integers(1, 70),
)
def test_repeated_and_empty_texts_of_any_rank_get_unit_vectors_or_none_and_equal_texts_equal_ones(
    texts: list[str], dimensions: int
) -> None:
    vectors = vectors_of(words_of(texts), dimensions=dimensions)

    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.shape[0] == len(texts)
    assert np.all(np.isclose(lengths, 1.0, atol=1e-5) | (lengths == 0.0))
    assert not lengths[[not words(text) for text in texts]].any()
    for text in set(texts):
        same = vectors[[other == text for other in texts]]
        np.testing.assert_allclose(same, np.tile(same[0], (len(same), 1)), atol=1e-5)


def test_titles_that_have_words_in_common_stay_near_where_all_are_repeated() -> None:
    vectors = vectors_of(words_of(["road safety"] * 500 + ["road safety"] * 500 + ["office mail"] * 500))

    assert (vectors @ vectors.T)[0, [1, 999]] == pytest.approx([1.0, 1.0], abs=1e-5)
    assert (vectors @ vectors.T)[0, 1000] == pytest.approx(0.0, abs=1e-5)
