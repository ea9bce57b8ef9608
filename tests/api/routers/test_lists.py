"""Push lists and similar items by HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take
from tests.together import together

IRI = "https://lms.example/items/6?part=1"
ITEM_KEYS = ["rank", "item_id", "title", "format", "duration_seconds", "language", "url"]

pytestmark = pytest.mark.usefixtures("served")


def push_list(client: TestClient, member_id: str, **query: object) -> dict[str, Any]:
    """Return a member's list."""
    answer = client.get(f"/v1/members/{quote(member_id, safe='')}/push-list?{urlencode(query)}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body: dict[str, Any] = answer.json()
    return body


def test_a_members_list_has_its_ids_its_path_and_ranked_items_with_reasons(
    client: TestClient, served: dict[str, Any]
) -> None:
    body = push_list(client, "c1")
    assert list(body) == ["member_id", "list_id", "run_id", "made_at", "strategy", "generated_by", "language", "items"]
    assert (body["member_id"], body["run_id"], body["strategy"], body["language"]) == (
        "c1",
        served["run_id"],
        "history",
        "en",
    )
    assert [list(item) for item in body["items"]] == [[*ITEM_KEYS, "reason"]] * 10
    assert [item["rank"] for item in body["items"]] == list(range(1, 11))
    assert body["items"][0]["reason"] == {
        "code": "because_studied",
        "arguments": {"item_id": "o4"},
        "text": "Because you studied “Office lesson 4”",
    }
    assert (body["items"][0]["format"], body["items"][0]["duration_seconds"]) == ("article", 450.0)


def test_times_are_in_utc_and_say_so(client: TestClient) -> None:
    body = push_list(client, "c1")
    assert body["made_at"] == "2026-03-02T01:30:00Z"
    assert datetime.fromisoformat(body["made_at"]) == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


@ON_SQLITE
def test_the_same_question_has_the_same_answer(client: TestClient) -> None:
    assert push_list(client, "d2") == push_list(client, "d2")


@pytest.mark.parametrize("n", [1, 3, 100])
@ON_SQLITE
def test_n_bounds_the_list(client: TestClient, n: int) -> None:
    everything = push_list(client, "unknown", n=100)["items"]
    assert push_list(client, "unknown", n=n)["items"] == everything[:n]
    assert len(everything) > 10


def test_reasons_are_told_in_the_language_asked_for(client: TestClient) -> None:
    assert push_list(client, "d1", n=1)["items"][0]["reason"]["text"] == "因为您学习过《安全驾驶第4课》"
    assert push_list(client, "d1", n=1, language="en")["items"][0]["reason"]["text"].startswith("Because you studied")
    assert push_list(client, "c1", n=1, language="zh-CN")["language"] == "zh-CN"


@pytest.mark.parametrize("member_id", ["late", "新来的", "https://lms.example|li.na", "a/b/push-list", "100% new?#;"])
def test_a_member_who_came_after_the_night_is_served_whatever_its_id(
    client: TestClient, take: Take, member_id: str
) -> None:
    take("members", f'member_id,role,industry,language\n"{member_id}",83,54,en\n')
    body, general = push_list(client, member_id), push_list(client, "unknown", language="en")
    assert (body["member_id"], body["strategy"]) == (member_id, "popular")
    assert body["items"] == general["items"] != []


def test_an_item_hidden_since_the_night_is_not_served(client: TestClient, take: Take) -> None:
    [first, *others] = [item["item_id"] for item in push_list(client, "c1")["items"]]
    take("items", f"item_id,hidden\n{first},true\n")
    assert [item["item_id"] for item in push_list(client, "c1")["items"]][:9] == others


@pytest.mark.parametrize("spelling", [quote(IRI, safe=""), quote(IRI, safe="/:"), quote("v1")])
def test_similar_items_of_an_item_whose_id_is_an_address_too(client: TestClient, spelling: str) -> None:
    answer = client.get(f"/v1/items/{spelling}/similar?n=3")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["item_id", "run_id", "made_at", "items"]
    assert body["item_id"] in {IRI, "v1"}
    assert [list(item) for item in body["items"]] == [[*ITEM_KEYS, "similarity", "basis"]] * 3
    assert [item["rank"] for item in body["items"]] == [1, 2, 3]
    assert {item["item_id"][0] for item in body["items"]} <= ({"v"} if body["item_id"] == "v1" else {"o"})
    assert body["made_at"].endswith("Z")


def test_unchanged_similar_items_are_not_sent_again(client: TestClient, take: Take) -> None:
    first = client.get("/v1/items/v1/similar")
    again = client.get("/v1/items/v1/similar", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    take("items", f"item_id,hidden\n{first.json()['items'][0]['item_id']},true\n")
    changed = client.get("/v1/items/v1/similar", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, len(changed.json()["items"])) == (200, len(first.json()["items"]) - 1)


def test_an_item_that_is_like_no_other_has_no_similar_ones(client: TestClient) -> None:
    answer = client.get("/v1/items/coming/similar")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_an_unchanged_list_is_not_sent_again(client: TestClient, take: Take) -> None:
    first = client.get("/v1/members/c1/push-list?n=3")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for condition in (tag, f'"x", {tag}', "*", f"W/{tag}"):
        again = client.get("/v1/members/c1/push-list?n=3", headers={"If-None-Match": condition})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/v1/members/c1/push-list?n=2", headers={"If-None-Match": tag}).status_code == 200
    take("items", f"item_id,title\n{first.json()['items'][0]['item_id']},Another title\n")
    changed = client.get("/v1/members/c1/push-list?n=3", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["items"][0]["title"]) == (200, "Another title")
    assert changed.headers["etag"] != tag


def test_what_the_app_excludes_and_what_it_does_not_want_explained(client: TestClient) -> None:
    whole = push_list(client, "c1", n=10)["items"]
    out = [whole[0]["item_id"], whole[2]["item_id"]]
    answer = client.get("/v1/members/c1/push-list", params={"exclude": out, "n": 8})
    assert [item["item_id"] for item in answer.json()["items"]] == [
        item["item_id"] for item in whole if item["item_id"] not in out
    ][:8]
    bare = push_list(client, "c1", explain="false")["items"]
    assert bare == [{name: value for name, value in item.items() if name != "reason"} for item in whole]


@together(
    "query",
    [
        "n=+5",
        "n=5.0",
        "n=%205",
        "n=1e1",
        "n=",
        "n=5&n=6",
        "explain=yes",
        "explain=1",
        "explain=True",
        "as_of=0",
        "as_of=1772409600",
        "n=05",
        "as_of=2026-3-2",
        "as_of=2026-03-02T00:00:00Z",
        "language=en&language=en",
    ],
)
@ON_SQLITE
def test_values_that_the_document_does_not_allow_are_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/members/c1/push-list?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize("query", ["n=%35", "n=5&language=e%6e&explain=true"])
@ON_SQLITE
def test_a_query_may_be_written_in_several_ways(client: TestClient, query: str) -> None:
    assert push_list(client, "c1", n=5) == client.get(f"/v1/members/c1/push-list?{query}").json()


def test_a_new_run_is_served_at_once(client: TestClient, engine: Engine, settings: Settings, now: datetime) -> None:
    before = push_list(client, "c1")["run_id"]
    newer = nightly(engine, settings, now=now + timedelta(days=1))
    assert push_list(client, "c1")["run_id"] == newer["run_id"] != before
    assert push_list(client, "unknown")["run_id"] == newer["run_id"]


def test_many_lists_asked_for_at_the_same_time_are_each_the_right_one(client: TestClient) -> None:
    wanted = [f"{kind}{number}" for kind in "cd" for number in range(10)] * 2
    one_by_one = [push_list(client, member_id) for member_id in wanted]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda member_id: push_list(client, member_id), wanted)) == one_by_one
    assert [body["member_id"] for body in one_by_one] == wanted


@ON_SQLITE
def test_rows_show_each_item_of_the_list_once_under_a_title(client: TestClient) -> None:
    items = push_list(client, "c1", n=100)["items"]

    body = client.get("/v1/members/c1/rows?n=100").json()

    assert {row["code"]: row["title"] for row in body["rows"]}.items() <= {"new": "New", "for_you": "For you"}.items()
    shown = [item["item_id"] for row in body["rows"] for item in row["items"]]
    assert sorted(shown) == sorted(item["item_id"] for item in items)
    assert all([item["rank"] for item in row["items"]] == list(range(1, len(row["items"]) + 1)) for row in body["rows"])
    assert client.get("/v1/members/nobody/rows").status_code == 404


@ON_SQLITE
def test_rows_for_a_few_minutes_take_no_longer_together(client: TestClient) -> None:
    whole = push_list(client, "c1", n=100, minutes=20)["items"]

    body = client.get("/v1/members/c1/rows?n=100&minutes=20").json()

    shown = [item for row in body["rows"] for item in row["items"]]
    assert 0 < sum(item["duration_seconds"] for item in shown) <= 1_200
    assert sorted(item["item_id"] for item in shown) == sorted(item["item_id"] for item in whole)
    assert client.get("/v1/members/c1/rows?minutes=0").status_code == 400


@ON_SQLITE
def test_a_list_for_a_few_minutes_says_why_it_is_empty(client: TestClient) -> None:
    short = push_list(client, "c1", minutes=5, formats="article")

    assert 0 < sum(item["duration_seconds"] for item in short["items"]) <= 300
    empty = push_list(client, "c1", minutes=1, formats="article")
    assert (empty["items"], empty["empty"]["code"]) == ([], "all_take_longer")
    for query in ("minutes=0", "formats=film", "minutes=5&as_of=2026-03-02"):
        assert client.get(f"/v1/members/c1/push-list?{query}").status_code == 400
