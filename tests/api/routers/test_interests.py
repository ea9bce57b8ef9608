"""Interests over HTTP: what is held about a member is shown, and goes from every list with the next request."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.policy.entry_texts import OF_STUDY
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from jobs.nightly.night import nightly

Shown = Callable[[], list[dict[str, Any]]]


def named(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the reasons that name what a member studied."""
    return [item["reason"] for item in items if item["reason"]["code"] in OF_STUDY]


@pytest.fixture
def pushed(engine: Engine, now: datetime) -> Shown:
    """Return what shows the list of a member as it is pushed."""

    def shown() -> list[dict[str, Any]]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            items: list[dict[str, Any]] = push_lists.shown(session, key, "d1", ListRequest(n=100, now=now))["items"]
        return items

    return shown


def test_a_topic_is_shown_deleted_everywhere_and_restored(
    served_online: dict[str, Any],
    client: TestClient,
    engine: Engine,
    settings: Settings,
    pushed: Shown,
    now: datetime,
) -> None:
    assert served_online["status"] == "published"
    held = client.get("/v1/members/d1/interests").json()
    assert [(each["topic"], round(each["share"], 6), len(each["items"])) for each in held["interests"]] == [
        ("safety", 1.0, 3)
    ]
    assert named(pushed())

    def listed() -> dict[str, Any]:
        answer: dict[str, Any] = client.get("/v1/members/d1/push-list?n=100").json()
        return answer

    assert client.delete("/v1/members/d1/interests/safety").status_code == 204
    held = client.get("/v1/members/d1/interests").json()
    assert (held["interests"], [each["topic"] for each in held["deleted"]]) == ([], ["safety"])
    assert named(listed()["items"]) == named(pushed()) == []
    nightly(engine, settings, now=now)
    assert named(pushed()) == []
    assert pushed()

    assert client.put("/v1/members/d1/interests/safety").status_code == 204
    assert client.put("/v1/members/d1/interests/safety").status_code == 204
    assert [each["topic"] for each in client.get("/v1/members/d1/interests").json()["interests"]] == ["safety"]
    nightly(engine, settings, now=now)
    assert named(pushed())


@pytest.mark.usefixtures("served")
def test_topics_of_no_item_and_unknown_members_are_refused(client: TestClient) -> None:
    for topic in ("chess", "safety%3Boffice", "safe%00ty"):
        assert client.delete(f"/v1/members/d1/interests/{topic}").status_code == 404
        assert client.put(f"/v1/members/d1/interests/{topic}").status_code == 404
    assert client.delete("/v1/members/d99/interests/safety").status_code == 404
    assert client.get("/v1/members/d99/interests").status_code == 404
    assert client.get("/v1/members/private/interests").json() == {"interests": [], "deleted": []}
