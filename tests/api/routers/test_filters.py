"""Filters of the lists of members and items."""

import pytest
from starlette.testclient import TestClient

from tests.together import together

CSV = {"Content-Type": "text/csv"}
MEMBERS = """member_id,role,industry,units,region
a,8,G,North,CN/11
b,83,54,North/Depot;South,CN/1
c,41,60,Northern,cn/11
d,,,,
"""
ITEMS = """item_id,topics,format,target_roles,hidden
i,a;b,video,83;41,
j,ab,article,82,true
k,B,video,,false
"""


@pytest.fixture
def filled(client: TestClient) -> TestClient:
    """Return a client of an organisation with a few members and items."""
    units = "unit\nNorth\nNorth/Depot\nSouth\nNorthern\n"
    for kind, lines in (("units", units), ("members", MEMBERS), ("items", ITEMS)):
        answer = client.post(f"/v1/{kind}/bulk", content=lines, headers=CSV)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rejected"] == 0
    return client


@together(
    ("query", "member_ids"),
    [
        ("role=8", "ab"), ("role=83", "b"), ("role=none", ""), ("industry=G", "abc"), ("industry=54", "b"),
        ("unit=North", "ab"), ("unit=North/Depot", "b"), ("unit=South", "b"), ("unit=Nor", ""), ("unit=Northern", "c"),
        ("region=CN", "ab"), ("region=CN/1", "b"), ("region=%25", ""), ("role=83&unit=South", "b"),
        ("unit=North&limit=1", "a"),
        ("updated_since=2020-01-01T00:00:00Z&role=83", "b"), ("updated_since=9998-01-01T08:00:00.5%2B08:00", ""),
    ],
)  # fmt: skip
def test_members_are_filtered_by_role_industry_unit_and_region(filled: TestClient, query: str, member_ids: str) -> None:
    listed = filled.get(f"/v1/members?{query}").json()["members"]
    assert "".join(member["member_id"] for member in listed) == member_ids


@together(
    ("query", "item_ids"),
    [
        ("topic=a", "i"), ("topic=b", "i"), ("topic=B", "k"), ("format=video", "ik"), ("role=83", "i"),
        ("hidden=true", "j"), ("hidden=false", "ik"), ("format=video&topic=B", "k"), ("industry=54", ""),
        ("updated_since=2020-01-01T00:00:00Z", "ijk"), ("updated_since=9999-12-31T23:59:59Z", ""),
    ],
)  # fmt: skip
def test_items_are_filtered_by_topic_format_role_and_state(filled: TestClient, query: str, item_ids: str) -> None:
    listed = filled.get(f"/v1/items?{query}").json()["items"]
    assert "".join(item["item_id"] for item in listed) == item_ids


@pytest.mark.parametrize("moment", ["2026-03-01", "2026-03-01T08:00:00", "2026-02-30T08:00:00Z", "1772352000", ""])
@pytest.mark.parametrize("kind", ["items", "members"])
def test_a_change_since_anything_but_an_exact_time_is_refused(client: TestClient, kind: str, moment: str) -> None:
    answer = client.get(f"/v1/{kind}?updated_since={moment}")
    assert answer.status_code == 400
    assert "updated_since" in answer.text


def test_the_next_page_has_the_same_filter(filled: TestClient) -> None:
    page = filled.get("/v1/members?unit=North&limit=1")
    following = filled.get(page.links["next"]["url"])
    assert [member["member_id"] for member in following.json()["members"]] == ["b"]
    assert "next" not in following.links
