"""After new events the next list is computed online, where the published run stored its model."""

import pickle
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from api.app import create_app
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.privacy import erasure
from infra.serving import list_query, online_lists
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE, OPEN, Take

Serve = Callable[..., TestClient]


def push_list(client: TestClient, member_id: str, query: str = "n=100") -> dict[str, Any]:
    """Return a member's list."""
    answer = client.get(f"/v1/members/{quote(member_id, safe='')}/push-list?{query}")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def listed(body: dict[str, Any]) -> list[str]:
    """Return the items of a list."""
    return [item["item_id"] for item in body["items"]]


def post(client: TestClient, member_id: str, item_id: str, verb: str, at: str = "2026-03-02T01:40:00Z") -> None:
    """Send an event."""
    event = {"member_id": member_id, "item_id": item_id, "verb": verb, "occurred_at": at}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 200


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings under which nothing holds lists back."""
    return settings.model_copy(update={"nightly": OPEN})


@pytest.fixture
def run(served_online: dict[str, Any]) -> dict[str, Any]:
    """Return the run of a night."""
    return served_online


@pytest.fixture
def serve(settings: Settings, make_key: MakeKey) -> Iterator[Serve]:
    """Return what starts the service with settings that are changed, for a key that may do everything."""
    opened: list[TestClient] = []

    def started(**changes: object) -> TestClient:
        client = TestClient(create_app(settings.model_copy(update=changes)))
        opened.append(client.__enter__())
        client.headers["Authorization"] = f"Bearer {make_key()}"
        return client

    yield started
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(run: dict[str, Any], serve: Serve) -> TestClient:
    """Return a client of a service that was started after the night."""
    del run
    return serve()


def test_after_an_event_the_list_is_online_and_keeps_its_id_and_run(client: TestClient, run: dict[str, Any]) -> None:
    before = push_list(client, "d1")
    assert (before["generated_by"], before["run_id"]) == ("batch", run["run_id"])
    post(client, "d1", "o3", "viewed")
    after = push_list(client, "d1")
    assert after["generated_by"] == "online"
    assert "o3" not in listed(after), "what was begun is proposed no more"
    assert {after[name] == before[name] for name in ("list_id", "run_id", "made_at", "strategy", "language")} == {True}
    assert push_list(client, "d1") == after, "and asked again it is the same"
    assert push_list(client, "d1", "n=100&exclude=zzz") == after, "on both ways to a list"
    assert push_list(client, "d2")["generated_by"] == "batch", "nobody else has news"


def test_what_was_just_finished_or_dismissed_is_gone_and_comes_back_where_the_event_is_voided(
    client: TestClient,
) -> None:
    first, second, *_ = listed(push_list(client, "c1"))
    post(client, "c1", first, "completed")
    assert {first, second} & set(listed(push_list(client, "c1"))) == {second}
    voided = {"event_id": "x1", "member_id": "c1", "item_id": second, "verb": "dismissed"}
    client.post("/v1/events", json={"events": [voided | {"occurred_at": "2026-03-02T01:41:00Z"}]})
    assert second not in listed(push_list(client, "c1"))
    client.post(
        "/v1/events",
        json={"events": [{"verb": "voided", "voided_event_id": "x1", "occurred_at": "2026-03-02T01:42:00Z"}]},
    )
    assert second in listed(push_list(client, "c1"))


def test_items_hidden_since_and_items_for_others_are_on_no_online_list(client: TestClient, engine: Engine) -> None:
    post(client, "c1", "v1", "completed")
    body = push_list(client, "c1")
    assert body["generated_by"] == "online"
    assert {"drivers", "hidden", "coming"}.isdisjoint(listed(body))
    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = :id"), {"id": listed(body)[0]})
    assert listed(push_list(client, "c1")) == listed(body)[1:]


def test_who_wants_no_lists_of_its_own_gets_none_online(client: TestClient, engine: Engine) -> None:
    before = push_list(client, "private")
    post(client, "private", "o3", "viewed")
    assert push_list(client, "private") == before
    post(client, "d1", "o3", "viewed")
    assert push_list(client, "d1")["generated_by"] == "online"
    with engine.begin() as connection:
        connection.execute(text("UPDATE members SET personalised = false WHERE member_id = 'd1'"))
    body = push_list(client, "d1")
    assert (body["generated_by"], body["strategy"]) == ("batch", list_query.NON_PERSONAL)


def test_who_had_no_history_gets_a_list_by_history(client: TestClient) -> None:
    assert push_list(client, "new-driver")["strategy"] == "segment"
    post(client, "new-driver", "v1", "completed")
    body = push_list(client, "new-driver")
    assert (body["generated_by"], body["strategy"]) == ("online", "history")
    assert "v1" not in listed(body)
    reasons = [(item["reason"]["code"], item["reason"]["arguments"]) for item in body["items"]]
    assert ("fits_your_topics", {"topic": "safety"}) in reasons, "the topic of what was just finished"


def test_a_list_of_a_past_night_stays_the_nights(client: TestClient) -> None:
    before = push_list(client, "d1", "n=100&as_of=2026-03-02")
    post(client, "d1", "o3", "viewed")
    assert push_list(client, "d1", "n=100&as_of=2026-03-02") == before
    assert before["generated_by"] == "batch"


def test_an_events_other_organisation_make_no_list_online(
    client: TestClient, settings: Settings, engine: Engine, make_key: MakeKey, take: Take, now: datetime
) -> None:
    take("members", "member_id,role\nd1,83\n", organisation="other")
    take("items", "item_id,title\nv1,Other\nv2,Others\n", organisation="other")
    nightly(engine, settings.model_copy(update={"organisation": "other"}), now=now)
    key = {"Authorization": f"Bearer {make_key(organisation='other')}"}
    before = push_list(client, "d1")
    event = {"member_id": "d1", "item_id": "v1", "verb": "completed", "occurred_at": "2026-03-02T01:40:00Z"}
    assert client.post("/v1/events", json={"events": [event]}, headers=key).status_code == 200
    assert push_list(client, "d1") == before
    client.get("/v1/members/d1/push-list", headers=key)
    client.portal.call(client.app.state.lists._online.settle)  # type: ignore[attr-defined]  # of the app, not of ASGI
    theirs = client.get("/v1/members/d1/push-list", headers=key).json()
    assert (theirs["generated_by"], listed(theirs)) == ("online", ["v2"])


def test_without_what_the_night_kept_lists_are_the_nights_and_a_metric_tells(
    run: dict[str, Any], serve: Serve, settings: Settings, tmp_path: Any, engine: Engine
) -> None:
    elsewhere = serve(artefacts_folder=tmp_path / "elsewhere")
    post(elsewhere, "d1", "o3", "viewed")
    assert push_list(elsewhere, "d1")["generated_by"] == "batch"
    metrics = elsewhere.get("/metrics").text
    assert 'xuelu_online_model_loads_total{result="missing"} 1.0' in metrics
    assert 'xuelu_lists_total{generated_by="batch",strategy="history"}' in metrics

    switched_off = serve(nightly=OPEN.model_copy(update={"online_lists": False}))
    assert push_list(switched_off, "d1")["generated_by"] == "batch"
    assert "xuelu_online_model_loads_total{" not in switched_off.get("/metrics").text

    [file] = (settings.artefacts_folder / run["run_id"]).glob("online_model.*")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert 'loads_total{result="missing"} 1.0' in serve().get("/metrics").text, "a file with another digest is none"
    file.write_bytes(content)
    with engine.begin() as connection:
        connection.execute(text("UPDATE runs SET code_version = '0.0.1+0'"))
    assert 'loads_total{result="other_code"} 1.0' in serve().get("/metrics").text


@ON_SQLITE
def test_a_new_run_has_online_lists_by_its_own_models(
    client: TestClient, settings: Settings, engine: Engine, now: datetime
) -> None:
    post(client, "d1", "o3", "viewed")
    assert push_list(client, "d1")["generated_by"] == "online"
    run = nightly(engine, settings, now=now + timedelta(hours=1))
    body = push_list(client, "d1")
    assert (body["generated_by"], body["run_id"]) == ("batch", run["run_id"]), "the night knew the event"
    post(client, "d1", "o4", "viewed", at="2026-03-02T02:40:00Z")
    client.portal.call(client.app.state.lists._online.settle)  # type: ignore[attr-defined]  # of the app, not of ASGI
    body = push_list(client, "d1")
    assert (body["generated_by"], body["run_id"]) == ("online", run["run_id"])
    assert "o4" not in listed(body)


def test_models_that_were_not_there_yet_are_looked_for_again(
    run: dict[str, Any], serve: Serve, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file] = (settings.artefacts_folder / run["run_id"]).glob("online_model.*")
    content = file.read_bytes()
    file.unlink()
    client = serve()
    post(client, "d1", "o3", "viewed")
    file.write_bytes(content)
    assert push_list(client, "d1")["generated_by"] == "batch", "not at every request"
    monkeypatch.setattr(online_lists, "RETRY_SECONDS", 0.0)
    push_list(client, "d1")
    client.portal.call(client.app.state.lists._online.settle)  # type: ignore[attr-defined]  # of the app, not of ASGI
    assert push_list(client, "d1")["generated_by"] == "online"


def test_an_erased_member_is_gone_from_the_online_model_and_the_lists_of_others_stay_online(
    client: TestClient, run: dict[str, Any], settings: Settings, engine: Engine, now: datetime, serve: Serve
) -> None:
    post(client, "d1", "o3", "viewed")
    post(client, "d2", "o3", "viewed")
    assert push_list(client, "d1")["generated_by"] == push_list(client, "d2")["generated_by"] == "online"
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        assert erasure.erase(session, settings, key, "d1", actor="test", now=now)["left"] == []
    [file] = [path for path in settings.artefacts_folder.rglob("*") if path.is_file()]
    assert file.parent.name == run["run_id"]
    model = pickle.loads(file.read_bytes())  # noqa: S301 - the test's own file
    assert not model.knows("d1")
    assert model.knows("d2")
    assert client.get("/v1/members/d1/push-list").status_code == 404
    push_list(client, "d2")
    client.portal.call(client.app.state.lists._online.settle)  # type: ignore[attr-defined]  # of the app, not of ASGI
    after = push_list(client, "d2")
    assert after["generated_by"] == "online"
    with transaction(engine) as session:
        interactions = model.interactions(session, key, "d2", now=now + timedelta(days=1))
    entries = [entry["item_id"] for entry in orjson.loads(model.recommend(interactions).entries)]
    shown = set(listed(after))
    assert listed(after) == [item for item in entries if item in shown], "as a batch by the same models would make it"
    assert push_list(serve(), "d2")["items"] == after["items"]


@ON_SQLITE
def test_explain_full_gives_the_list_as_served_with_breakdowns_that_add_up(client: TestClient) -> None:
    batch = push_list(client, "d1")
    full = push_list(client, "d1", "n=100&explain=full")
    assert [{**item, "breakdown": None} for item in full["items"]] == [
        {**item, "breakdown": None} for item in batch["items"]
    ]
    post(client, "d1", "o3", "viewed")
    online, past = (push_list(client, "d1", f"n=100&explain=full{more}") for more in ("", "&as_of=2026-03-02"))
    assert (online["generated_by"], past["generated_by"]) == ("online", "batch")
    assert set(listed(full)) <= set(listed(past)), "some items have closed since"
    for body in (full, online, past):
        assert body["reproduced"]
        for item in body["items"]:
            parts = item["breakdown"]["contributions"]
            assert abs(sum(parts.values()) - item["breakdown"]["score"]) < 1e-5
    assert "o3" in {item["item_id"] for item in online["filtered"]}
    changes = client.get("/v1/members/d1/push-list/changes?since=2026-03-02&n=100").json()
    assert changes["changed"][0] == "own_events"
    assert ("o3", "went", "own_events") in {
        (change["item_id"], change["change"], change["cause"]) for change in changes["changes"]
    }
    assert client.get("/v1/members/d1/push-list/changes").status_code == 400
    assert client.get("/v1/members/d1/push-list/changes?since=2020-01-01").status_code == 404
    assert client.get("/v1/members/d1/push-list?explain=all").status_code == 400
    assert client.get("/v1/members/d1/push-list?explain=full&as_of=2020-01-01").status_code == 404
