"""Lists for nobody in particular, by HTTP: of a session, and of a member there might be."""

from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from starlette.testclient import TestClient

from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import transaction
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE, Take
from tests.together import together

pytestmark = pytest.mark.usefixtures("served")


def preview(client: TestClient, **query: object) -> dict[str, Any]:
    """Return the list of a role and industry."""
    answer = client.get("/v1/preview-list", params={"n": 100, **query})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def session_list(client: TestClient, *steps: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return the list after the events of a session."""
    answer = client.post("/v1/session-list", json={"events": steps, "n": 100, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def ids(push_list: dict[str, Any]) -> list[str]:
    """Return the items of a list in order."""
    return [item["item_id"] for item in push_list["items"]]


def did(item_id: str, verb: str = "completed", **more: Any) -> dict[str, Any]:
    """Return an event of a session."""
    return {"item_id": item_id, "verb": verb, **more}


def stored(client: TestClient, member_id: str) -> dict[str, Any]:
    """Return a member's list."""
    body: dict[str, Any] = client.get(f"/v1/members/{member_id}/push-list?n=100&language=en").json()
    return body


def test_a_preview_is_the_list_of_a_member_of_that_role_and_industry_without_history(client: TestClient) -> None:
    push_list, newcomer = preview(client, role="83", industry="54", language="en"), stored(client, "new-driver")
    assert list(push_list) == ["run_id", "made_at", "strategy", "language", "items"]
    assert (push_list["strategy"], push_list["run_id"], push_list["items"]) == (
        "segment",
        newcomer["run_id"],
        newcomer["items"],
    )
    assert "drivers" in ids(push_list)


@together("query", [{}, {"role": "83"}, {"industry": "54"}, {"role": "no such code"}])
def test_a_preview_that_nobody_is_like_is_the_list_for_anyone(client: TestClient, query: dict[str, str]) -> None:
    push_list = preview(client, language="en", **query)
    assert (push_list["strategy"], push_list["items"]) == ("popular", stored(client, "unknown")["items"])
    assert "drivers" not in ids(push_list)


def test_a_preview_has_a_tag_and_leaves_out_what_is_not_wanted(client: TestClient) -> None:
    whole = preview(client, role="83", industry="54")
    assert ids(preview(client, role="83", industry="54", exclude=ids(whole)[0], n=2)) == ids(whole)[1:3]
    assert all("reason" not in item for item in preview(client, explain="false")["items"])
    first = client.get("/v1/preview-list")
    again = client.get("/v1/preview-list", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_session_gets_what_is_like_its_items_and_then_the_list_of_its_profile(client: TestClient) -> None:
    push_list = session_list(client, did("v1"), did("v2", "viewed"), language="en")
    assert push_list["strategy"] == "session"
    codes = {item["reason"]["code"]: item["reason"]["arguments"] for item in push_list["items"][:3]}
    assert codes.keys() <= {"because_finished", "because_studied"}
    assert {argument["item_id"] for argument in codes.values()} <= {"v1", "v2"}
    assert set(ids(push_list)[:3]) <= {"v3", "v4", "v5", "v6"}
    assert [item["rank"] for item in push_list["items"]] == list(range(1, len(push_list["items"]) + 1))
    assert len(set(ids(push_list))) == len(ids(push_list))
    assert not {"v1", "v2", "hidden", "drivers", "coming"} & set(ids(push_list))
    assert set(ids(preview(client))) - {"v1", "v2"} <= set(ids(push_list))
    assert "drivers" in ids(session_list(client, did("v1"), role="83", industry="54"))


def test_what_a_session_is_against_or_does_not_know_counts_for_nothing(client: TestClient) -> None:
    nothing = session_list(client, language="en")
    assert (nothing["strategy"], nothing["items"]) == ("popular", preview(client, language="en")["items"])
    against = session_list(client, did("v1", "dismissed"), did("no such item"), language="en")
    assert (against["strategy"], ids(against)) == ("popular", [item_id for item_id in ids(nothing) if item_id != "v1"])


def test_an_item_that_was_hidden_is_gone_and_one_with_prerequisites_waits_for_them(
    client: TestClient, take: Take
) -> None:
    [first, *_] = ids(session_list(client, did("v2", "viewed")))
    take("items", f"item_id,hidden\n{first},true\n")
    assert first not in ids(session_list(client, did("v2", "viewed")))
    take("items", "item_id,prerequisites\nv5,v3;gone\nv6,o1\n")
    for last, open_ in ((did("v3", "viewed"), False), (did("v3", "viewed", progress=1.0), True), (did("v3"), True)):
        like = [
            item["item_id"]
            for item in session_list(client, did("v2"), last)["items"]
            if item["reason"]["code"].startswith("because")
        ]
        assert ("v5" in like) is open_
        assert "v6" not in like


@together(
    "body",
    [
        {},
        {"events": {}},
        {"events": [{"verb": "viewed"}]},
        {"events": [{"item_id": "v1", "verb": "voided"}]},
        {"events": [{"item_id": "v1", "progress": 2}]},
        {"events": [{"item_id": "v\x00"}]},
        {"events": [did("v1")] * 101},
        {"events": [], "n": 0},
        {"events": [], "member_id": "d1"},
    ],
)
@ON_SQLITE
def test_a_body_that_is_not_one_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/v1/session-list", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@ON_SQLITE
def test_nothing_is_stored_of_who_asks_and_nothing_of_anybody_is_told(client: TestClient, engine: Engine) -> None:
    def traces() -> tuple[int, int]:
        with transaction(engine) as session:
            owner = organisations.key_of(session, "default")
            count = session.scalar(select(func.count()).select_from(events)) or 0
            return count, len(audit_entries(session, owner))

    before = traces()
    session_list(client, did("v1"))
    preview(client, role="83", industry="54")
    client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    assert traces() == before
