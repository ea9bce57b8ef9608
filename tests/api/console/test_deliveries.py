"""Screens of deliveries and endpoints."""

import csv
import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, select, update
from starlette.testclient import TestClient

from infra.access.secret_encryption import SecretCipher
from infra.db.access_tables import audit_entries
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from infra.delivery import endpoints
from infra.settings.settings import Settings
from tests.api.console.conftest import Browser, actions, csrf_token
from tests.conftest import ON_SQLITE
from tests.jobs.delivery.delivery_setup import KEY, DeliverySetup

MEMBERS = 23


def ids(setup: DeliverySetup, **values: Any) -> list[str]:
    """Return the ids of the deliveries, the first of which get values."""
    rows = [str(row["delivery_id"]) for row in setup.rows()]
    with transaction(setup.engine) as session:
        change = update(deliveries).where(deliveries.c.delivery_id.in_(rows[:3]))
        session.execute(change.values(values or {"reason": None}))
    return rows


def post(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of the session."""
    token = csrf_token(client.get("/console/runs").text)
    return client.post(path, data={"csrf_token": token, **fields})


def test_the_screen_shows_queues_and_dead_letters_with_their_reason(setup: DeliverySetup, browser: Browser) -> None:
    dead = ids(setup, status="dead", reason="HTTP 500 <b>", finished_at=setup.now)[:3]
    client = browser()
    first = client.get("/console/deliveries")
    assert first.status_code == 200, first.text
    assert "https://app.example/pushes" in first.text
    shown = client.get("/console/deliveries", params={"status": "dead", "endpoint_id": "", "language": "zh"})
    assert re.findall(r'type="checkbox" name="(dl_\w+)"', shown.text) == sorted(dead), "of one day by id"
    assert "HTTP 500 &lt;b&gt;" in shown.text
    assert "下次发送" in shown.text
    assert "status=dead&amp;endpoint_id=&amp;language=en" in shown.text, "the other language keeps the filter"
    rows = list(
        csv.DictReader(client.get("/console/deliveries.csv?status=dead").content.decode("utf-8-sig").splitlines())
    )
    assert [row["delivery_id"] for row in rows] == sorted(dead)
    detail = client.get(f"/console/deliveries/{rows[0]['delivery_id']}")
    assert (detail.status_code, rows[0]["member_id"] in detail.text) == (200, True)
    assert client.get("/console/deliveries?status=lost").status_code == 400
    assert client.get("/console/deliveries?cursor=lost").status_code == 400


@ON_SQLITE
def test_pages_hold_every_delivery_once(
    setup: DeliverySetup, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.operations.deliveries.PAGE_LENGTH", 10)
    client, address, seen = browser(), "/console/deliveries?status=pending", []
    while address:
        text = client.get(address).text
        seen += re.findall(r'type="checkbox" name="(dl_\w+)"', text)
        following = re.search(r'href="([^"]+cursor=[^"]+)">', text)
        address = following[1].replace("&amp;", "&") if following and "Next page" in text else ""
    assert sorted(seen) == sorted(ids(setup))
    assert len(seen) == MEMBERS


def test_each_look_at_a_members_delivery_is_audited(setup: DeliverySetup, browser: Browser) -> None:
    client = browser()
    client.get("/console/deliveries")
    client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    with transaction(setup.engine) as session:
        read = select(audit_entries.c.detail).where(audit_entries.c.action == "deliveries.read")
        audited = {subject for detail in session.scalars(read) for subject in orjson.loads(detail)["subjects"]}
        assert len(audited) == MEMBERS


def test_chosen_deliveries_are_dropped_and_sent_again(setup: DeliverySetup, browser: Browser) -> None:
    first, second = ids(setup)[:2]
    client = browser()
    dropped = post(client, "/console/deliveries/drop", **{first: "on", second: "on"})
    assert (dropped.status_code, "<strong>2</strong>" in dropped.text) == (200, True)
    assert setup.statuses() == {"pending": MEMBERS - 2, "dropped": 2}
    twice = post(client, "/console/deliveries/drop", **{first: "on", "status": "pending"})
    assert "dropped already" in twice.text
    assert "/console/deliveries?status=pending&amp;endpoint_id=" in twice.text, "the way back keeps the filter"
    again = post(client, "/console/deliveries/redeliver", **{first: "on", ids(setup)[5]: "on"})
    assert ("<strong>1</strong>" in again.text, "is pending and will be sent" in again.text) == (True, True)
    assert setup.statuses()["dropped"] == 1
    assert actions(setup.engine)[-2:] == ["deliveries.drop", "deliveries.redeliver"]
    assert post(client, "/console/deliveries/drop").status_code == 409
    assert post(client, "/console/deliveries/drop", dl_none="on").status_code == 404


def test_all_dead_ones_are_sent_again_at_once(setup: DeliverySetup, browser: Browser) -> None:
    ids(setup, status="dead", reason="HTTP 500", finished_at=setup.now)
    answer = post(browser(), "/console/deliveries/redeliver", all_dead="yes")
    assert "<strong>3</strong>" in answer.text
    assert setup.statuses() == {"pending": MEMBERS}
    assert actions(setup.engine)[-1] == "deliveries.retry"


@pytest.mark.usefixtures("served")
def test_a_webhook_is_added_its_secret_shown_once_and_rotated(
    engine: Engine, settings: Settings, browser: Browser
) -> None:
    client = browser()
    assert "No study app receives" in client.get("/console/deliveries").text
    added = post(client, "/console/endpoints", url="https://app.example/pushes")
    [first] = re.findall(r"whsec_[\w+/=]+", added.text)
    setup = DeliverySetup(engine, settings, datetime.now(UTC))
    [row] = setup.do(endpoints.list_endpoints)
    path = f"/console/endpoints/{row['endpoint_id']}"
    rotated = post(client, f"{path}/rotate", overlap_hours="24")
    [second] = re.findall(r"whsec_[\w+/=]+", rotated.text)
    cipher = SecretCipher(KEY)
    secrets = setup.do(
        lambda session, _: endpoints.signing_secrets(session, row["endpoint_key"], cipher, now=setup.now)
    )
    assert secrets == [second, first]
    assert "whsec_" not in client.get(path).text + client.get("/console/deliveries").text
    assert f'{path}">app.example</a>' in client.get("/console/deliveries").text
    assert actions(engine)[-2:] == ["endpoints.add", "endpoints.rotate_secret"]
    for hours in ("", "x", "721", "nan", "-1"):
        refused = post(client, f"{path}/rotate", overlap_hours=hours)
        assert (refused.status_code, f'value="{hours}" required' in refused.text) == (400, True)
    for url, status in (("ftp://app.example/", 400), ("https://app.example/pushes", 409)):
        refused = post(client, "/console/endpoints", url=url)
        assert (refused.status_code, f'type="url" value="{url}"' in refused.text) == (status, True)
        assert 'role="alert"' in refused.text


def test_a_disabled_endpoint_is_enabled_and_removed(setup: DeliverySetup, browser: Browser) -> None:
    [row] = setup.do(endpoints.list_endpoints)
    setup.do(lambda session, _: endpoints.set_status(session, row["endpoint_key"], "disabled", reason="HTTP 410"))
    client, path = browser(), f"/console/endpoints/{row['endpoint_id']}"
    assert "HTTP 410" in client.get(path).text
    assert post(client, f"{path}/enable").headers["location"] == path
    assert setup.do(endpoints.list_endpoints)[0]["status"] == "active"
    assert post(client, f"{path}/remove").status_code == 400
    assert post(client, f"{path}/remove", sure="yes").headers["location"] == "/console/deliveries"
    assert setup.do(endpoints.list_endpoints) == []
    assert setup.statuses() == {"dropped": MEMBERS}
    assert actions(setup.engine)[-2:] == ["endpoints.enable", "endpoints.remove"]


def test_another_organisation_sees_and_changes_none_of_them(setup: DeliverySetup, browser: Browser) -> None:
    first = ids(setup)[0]
    [row] = setup.do(endpoints.list_endpoints)
    client = browser(organisation="bakers")
    listed = client.get("/console/deliveries").text + client.get("/console/deliveries.csv").text
    assert ("app.example" in listed, first in listed) == (False, False)
    assert client.get(f"/console/deliveries/{first}").status_code == 404
    path = f"/console/endpoints/{row['endpoint_id']}"
    assert client.get(path).status_code == 404
    for target, fields in (
        ("/console/deliveries/drop", {first: "on"}),
        ("/console/deliveries/redeliver", {first: "on"}),
        (f"{path}/rotate", {"overlap_hours": "1"}),
        (f"{path}/enable", {}),
        (f"{path}/remove", {"sure": "yes"}),
    ):
        assert post(client, target, **fields).status_code == 404
    assert setup.statuses() == {"pending": MEMBERS}
    assert actions(setup.engine) == ["console.log_in"]
