"""Declared columns: canonical order, keys and lists."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from content_catalog.schema import AUDIENCES, FORMATS, ITEMS, LIST_SEPARATOR, Column, Schema, split_list
from features.schema import EVENTS, MEMBERS, NON_STUDY_VERBS, VERBS
from features.weights import VERB_STRENGTH

CANONICAL = {
    "events": (
        "event_id member_id item_id verb occurred_at duration_seconds progress score rating device push_list_id"
        " voided_event_id"
    ),
    "members": "member_id units role industry region language timezone joined_on personalised",
    "items": (
        "item_id title summary text language format duration_seconds difficulty topics target_roles "
        "target_industries prerequisites published_at available_from available_until hidden provider url"
    ),
}


@pytest.mark.parametrize("schema", [EVENTS, MEMBERS, ITEMS], ids=lambda schema: schema.name)
def test_the_canonical_columns_stand_in_their_order_with_the_key_first(schema: Schema) -> None:
    promised = CANONICAL[schema.name].split()
    assert [name for name in schema.names if name in promised] == promised
    assert schema.names[0] == promised[0]
    assert len(set(schema.names)) == len(schema.names)


def test_only_what_no_row_can_do_without_is_required() -> None:
    assert EVENTS.required == ["verb", "occurred_at"]
    assert MEMBERS.required == ["member_id"]
    assert ITEMS.required == ["item_id"]


def test_every_verb_that_tells_of_study_has_a_strength() -> None:
    assert {*VERBS} - {*NON_STUDY_VERBS} == set(VERB_STRENGTH)


def test_choices_are_words_of_their_own() -> None:
    for words in (VERBS, FORMATS, AUDIENCES):
        assert len(set(words)) == len(words)
        assert all(word == word.lower().strip() and LIST_SEPARATOR not in word for word in words)


@pytest.mark.parametrize(
    ("value", "parts"),
    [("a", ("a",)), ("a;b c", ("a", "b c")), ("", ()), (None, ()), (float("nan"), ()), (np.nan, ())],
)
def test_a_list_is_split_and_an_absent_one_has_no_parts(value: object, parts: tuple[str, ...]) -> None:
    assert split_list(value) == parts


def test_columns_and_schemas_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        ITEMS.name = "others"  # type: ignore[misc]  # that it cannot be set is what is tested
    with pytest.raises(FrozenInstanceError):
        Column("title").required = True  # type: ignore[misc]  # that it cannot be set is what is tested
