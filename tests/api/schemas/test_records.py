"""Bodies of items and members have the columns of files, with their bounds."""

import pytest
from pydantic import BaseModel

from api.schemas.records import Item, ItemBody, Member, MemberBody
from content_catalog.schema import ITEMS, Schema
from features.schema import MEMBERS


@pytest.mark.parametrize(
    ("body", "whole", "schema"), [(ItemBody, Item, ITEMS), (MemberBody, Member, MEMBERS)], ids=["items", "members"]
)
def test_a_body_has_every_column_of_files_and_its_key_is_in_the_address(
    body: type[BaseModel], whole: type[BaseModel], schema: Schema
) -> None:
    assert list(body.model_fields) == schema.names[1:]
    assert set(whole.model_fields) == set(schema.names)


def test_the_description_has_the_bounds_of_files() -> None:
    properties = ItemBody.model_json_schema()["properties"]
    assert properties["duration_seconds"]["anyOf"][0]["maximum"] == 10_000_000
    assert "short_video" in properties["format"]["anyOf"][0]["enum"]
    assert properties["url"]["anyOf"][0]["maxLength"] == 4_000
    assert properties["available_from"]["anyOf"][0]["format"] == "date-time"
    assert MemberBody.model_json_schema()["properties"]["joined_on"]["anyOf"][0]["format"] == "date"
