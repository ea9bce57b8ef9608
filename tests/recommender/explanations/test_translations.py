"""Reasons in words."""

from importlib.resources import files
from io import BytesIO
from string import Formatter

import pandas as pd
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from content_catalog.taxonomy import Taxonomy
from recommender.explanations.reasons import Reason
from recommender.explanations.translations import (
    DATED_MESSAGES,
    EMPTY_MESSAGES,
    LANGUAGES,
    MESSAGES,
    ROW_TITLES,
    TOPICS,
    Words,
    empty_text,
    language_of,
)
from tests.recommender.builders import TAXONOMIES

ARGUMENTS = {"title": "item_id"}
"""Placeholders that are told from an argument of another name."""

VALUES = {"item_id": "v1", "role": "83", "industry": "60", "topic": "labour-rights"}
VALUES |= {"series": "Induction", "position": 2, "length": 5, "when": "2026-03-05 09:00", "due_on": "2026-03-01"}


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    """Return the Chinese texts as translators write them."""
    return read_po(BytesIO(files("recommender").joinpath("locale", "zh_CN.po").read_bytes()), locale="zh_CN")


def words(language: str) -> Words:
    """Return words with a title for one item."""
    return Words(language, titles={"v1": "Safe driving", "v2": None}, taxonomies=TAXONOMIES)


def placeholders(text: str) -> set[str]:
    """Return what a text wants filled in."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def reason(code: str) -> Reason:
    """Return a reason with the arguments that its text wants."""
    wanted = {ARGUMENTS.get(name, name) for name in placeholders(MESSAGES[code])}
    return {"code": code, "arguments": {name: VALUES[name] for name in wanted}}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", MESSAGES)
def test_every_reason_can_be_told_in_every_language_with_every_placeholder_filled(code: str, language: str) -> None:
    text = words(language).tell(reason(code))

    assert text.strip()
    assert "{" not in text
    assert "}" not in text


@pytest.mark.parametrize("code", MESSAGES)
def test_every_reason_has_a_chinese_text_with_the_same_placeholders(code: str, chinese: Catalog) -> None:
    message = chinese.get(MESSAGES[code])

    assert message is not None
    assert not message.fuzzy
    assert placeholders(str(message.string)) == placeholders(MESSAGES[code])
    assert any("\u4e00" <= letter <= "\u9fff" for letter in str(message.string))


def test_the_chinese_file_holds_no_text_that_is_empty_fuzzy_or_without_a_use(chinese: Catalog) -> None:
    messages = [message for message in chinese if message.id]

    assert all(message.string and not message.fuzzy for message in messages)
    texts = {*MESSAGES.values(), *DATED_MESSAGES.values(), *EMPTY_MESSAGES.values(), *ROW_TITLES.values()}
    others = [message for message in messages if message.id not in texts]
    assert [(message.context, message.id) for message in others] == [("topic", name) for name in TOPICS.values()]
    assert not chinese.obsolete


@pytest.mark.parametrize("text", [*EMPTY_MESSAGES.values(), *ROW_TITLES.values()])
def test_every_other_text_has_a_chinese_one_with_the_same_placeholders(text: str, chinese: Catalog) -> None:
    message = chinese.get(text)

    assert message is not None
    assert placeholders(str(message.string)) == placeholders(text)


@pytest.mark.parametrize("code", MESSAGES)
def test_no_two_reasons_sound_the_same(code: str) -> None:
    for language in LANGUAGES:
        text = words(language).tell(reason(code))
        assert text not in [words(language).tell(reason(other)) for other in MESSAGES if other != code]


@pytest.mark.parametrize(
    ("language", "code", "text"),
    [
        ("en", "because_finished", "Because you finished “Safe driving”"),
        ("zh-CN", "because_finished", "因为您学完了《Safe driving》"),
        ("en", "studied_in_segment", "Much studied by drivers in postal and courier services this week"),
        ("zh-CN", "studied_in_industry", "本周邮政快递同行都在学"),
        ("en", "new_on_topic", "New on labour rights"),
        ("zh-CN", "new_on_topic", "“劳动权益”主题上新"),
        ("en", "popular", "Popular with members"),
    ],
)
def test_reasons_name_titles_roles_industries_and_topics_in_the_language(language: str, code: str, text: str) -> None:
    assert words(language).tell(reason(code)) == text


@pytest.mark.parametrize("item_id", ["v2", "never heard of"])
def test_an_item_without_a_title_is_named_by_its_id(item_id: str) -> None:
    text = words("en").tell({"code": "because_studied", "arguments": {"item_id": item_id}})

    assert text == f"Because you studied “{item_id}”"


def test_what_is_not_chinese_stands_a_space_apart_from_chinese_around_it_and_not_from_marks() -> None:
    table = pd.DataFrame({"parent": [""], "name_en": ["IT support"], "name_zh": ["IT support"]}, index=["it"])
    own = {"role": Taxonomy("role", table)}
    tell = Words("zh-CN", titles={"v1": "Excel入门"}, taxonomies=own).tell

    assert tell({"code": "fits_role", "arguments": {"role": "it"}}) == "适合 IT support"
    assert tell({"code": "studied_by_role", "arguments": {"role": "it"}}) == "本周 IT support 同行都在学"
    assert tell({"code": "because_finished", "arguments": {"item_id": "v1"}}) == "因为您学完了《Excel入门》"
    assert tell({"code": "required", "arguments": {"due_on": "2026-03-01"}}) == "必学，请在2026年3月1日前学完"
    series = {"series": "Induction", "position": 2, "length": 5}
    assert tell({"code": "next_in_series", "arguments": series}) == "Induction：第 2 课，共 5 课"
    minutes = {"minutes": 5, "shortest_minutes": 8}
    assert empty_text("all_take_longer", minutes, "zh-CN") == "列表中没有 5 分钟以内的内容，最短的需要 8 分钟"


def test_a_title_with_braces_is_told_as_it_is() -> None:
    odd = Words("zh-CN", titles={"v1": "{title} {0} %s {"}, taxonomies={})

    assert odd.tell({"code": "because_studied", "arguments": {"item_id": "v1"}}) == "因为您学习过《{title} {0} %s {》"


@pytest.mark.parametrize(
    ("language", "title", "quoted"),
    [
        ("zh-CN", "《民法典》", "《民法典》"),
        ("zh-CN", "《民法典》与《劳动法》", "《〈民法典〉与〈劳动法〉》"),
        ("en", "The “safe” driver", "“The ‘safe’ driver”"),
    ],
)
def test_marks_within_a_title_differ_from_those_around_it(language: str, title: str, quoted: str) -> None:
    text = Words(language, titles={"v1": title}, taxonomies={}).tell(reason("because_studied"))

    assert quoted in text
    assert text.count(quoted[0]) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_topic_without_a_translation_is_told_as_it_is(language: str) -> None:
    for topic in ("quantum-chess", "New", "For-you"):
        assert topic in words(language).tell({"code": "new_on_topic", "arguments": {"topic": topic}})


def test_telling_a_reason_leaves_it_as_it_was() -> None:
    because_studied = {"code": "because_studied", "arguments": {"item_id": "v1"}}

    words("zh-CN").tell(because_studied)

    assert because_studied == {"code": "because_studied", "arguments": {"item_id": "v1"}}


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("zh", "zh-CN"),
        ("zh-Hant-TW", "zh-CN"),
        ("ZH_cn", "zh-CN"),
        ("", "zh-CN"),
        (None, "zh-CN"),
        ("en", "en"),
        ("de", "en"),
    ],
)
def test_any_chinese_is_told_in_chinese_and_any_other_language_in_english(wanted: str | None, language: str) -> None:
    assert language_of(wanted) == language
    assert language in LANGUAGES
