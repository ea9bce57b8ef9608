"""Edits of the catalogue and of members after a run hold in every list, similar items and pushes at once."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api import dependencies
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.delivery.payloads import lists_to_push
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from tests.conftest import Take

AT = "2026-03-02T01:40:00Z"

pytestmark = pytest.mark.usefixtures("served")


def ids(body: dict[str, Any]) -> list[str]:
    """Return the items of a list in order."""
    return [item["item_id"] for item in body["items"]]


class Lists:
    """Items of every kind of list that a driver may see."""

    def __init__(self, client: TestClient, engine: Engine, now: datetime) -> None:
        self._client, self._engine, self._now = client, engine, now

    def stored(self, member_id: str = "d1") -> list[str]:
        """Return the list of a member."""
        return ids(self._client.get(f"/v1/members/{member_id}/push-list?n=100").json())

    def session(self) -> list[str]:
        """Return the list of a session."""
        body = {"events": [{"item_id": "v2", "verb": "viewed"}], "n": 100, "role": "83", "industry": "54"}
        return ids(self._client.post("/v1/session-list", json=body).json())

    def preview(self, query: str = "role=83&industry=54") -> list[str]:
        """Return the list of a role and industry."""
        return ids(self._client.get(f"/v1/preview-list?n=100&{query}").json())

    def similar(self, query: str = "member_id=d1") -> list[str]:
        """Return the items similar to one."""
        return ids(self._client.get(f"/v1/items/v2/similar?n=100&{query}").json())

    def pushed(self) -> list[str]:
        """Return the list that is pushed to a member."""
        with transaction(self._engine) as session:
            key = organisations.key_of(session, "default")
            run = runs.latest(session, key)
            claim = {"organisation_key": key, "delivery_key": 1, "member_id": "d1", "run_key": run["run_key"]}
            payload = lists_to_push(session, [claim], n=100, now=self._now)[1]
            assert isinstance(payload, dict)
            return ids(payload)

    def on_the_command_line(self) -> list[str]:
        """Return the list that `xuelu show` prints."""
        with transaction(self._engine) as session:
            key = organisations.key_of(session, "default")
            return ids(push_lists.shown(session, key, "d1", ListRequest(n=100, now=self._now)))

    def all(self) -> dict[str, list[str]]:
        """Return the lists by kind."""
        return {
            "stored": self.stored(),
            "session": self.session(),
            "preview": self.preview(),
            "similar": self.similar(),
            "pushed": self.pushed(),
            "command line": self.on_the_command_line(),
        }


@pytest.fixture
def lists(client: TestClient, engine: Engine, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Lists:
    """Return the lists."""
    monkeypatch.setattr(dependencies, "clock", lambda: now)
    client.app.state.clock = lambda: now  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    return Lists(client, engine, now)


@pytest.mark.parametrize(
    "edit",
    [
        "hidden\n{},true",
        "published_at\n{},2100-01-01",
        "available_from\n{},2100-01-01",
        "available_until\n{},2026-03-01",
        "audience,target_roles\n{},restricted,41",
        "audience,target_industries\n{},restricted,60",
        "prerequisites\n{},o5",
    ],
    ids=lambda edit: edit.partition("\n")[0],
)
def test_an_item_that_may_not_be_offered_any_more_is_on_no_list(lists: Lists, take: Take, edit: str) -> None:
    before = lists.all()
    [item_id, *_] = sorted(set.intersection(*map(set, before.values())))
    take("items", f"item_id,{edit.format(item_id)}\n")
    assert lists.all() == {
        kind: [listed_id for listed_id in listed if listed_id != item_id] for kind, listed in before.items()
    }


def test_a_member_of_another_role_is_not_offered_what_was_for_the_old_one(lists: Lists, take: Take) -> None:
    assert "drivers" in lists.stored("new-driver")
    take("members", "member_id,role\nnew-driver,41\n")
    assert "drivers" not in lists.stored("new-driver")


def test_a_member_of_another_unit_is_not_offered_what_was_for_the_old_one(lists: Lists, take: Take) -> None:
    [item_id, *others] = lists.stored()
    take("items", f"item_id,audience,target_units\n{item_id},restricted,North\n")
    assert item_id in lists.stored()
    take("members", "member_id,units\nd1,South\n")
    assert lists.stored() == others


def test_a_new_prerequisite_closes_its_item_until_it_is_finished(lists: Lists, take: Take, client: TestClient) -> None:
    [first, second, *_] = lists.stored()
    take("items", f"item_id,prerequisites\n{second},{first}\n")
    assert second not in lists.stored()
    event = {"member_id": "d1", "item_id": first, "verb": "completed", "occurred_at": AT}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 200
    assert second in lists.stored()


def test_a_preview_is_of_nothing_that_is_for_another_role(lists: Lists, take: Take) -> None:
    [item_id, *_] = lists.preview("role=83")
    take("items", f"item_id,audience,target_roles\n{item_id},restricted,41\n")
    assert item_id not in lists.preview("role=83")
    assert item_id not in lists.preview("")
    assert item_id in lists.preview("role=41")


def test_similar_items_without_a_member_are_open_to_all(lists: Lists, take: Take) -> None:
    [item_id, *_] = lists.similar("")
    take("items", f"item_id,audience,target_roles\n{item_id},restricted,83\n")
    assert item_id not in lists.similar("")
    assert item_id in lists.similar("member_id=d1")
    assert item_id not in lists.similar("member_id=c1")


def test_a_past_list_stays_as_it_was_shown(lists: Lists, take: Take, client: TestClient) -> None:
    address = "/v1/members/d1/push-list?n=100&as_of=2026-03-02"
    before = ids(client.get(address).json())
    take("items", f"item_id,audience,target_roles\n{before[0]},restricted,41\n")
    assert before[0] not in lists.stored()
    assert ids(client.get(address).json()) == before
