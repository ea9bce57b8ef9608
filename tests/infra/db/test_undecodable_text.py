"""SQLite stores any bytes as a text: one odd row fails neither a night nor a route."""

from datetime import datetime

from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from api.app import create_app
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE

ODD = "CAST(X'76ff31' AS TEXT)"


@ON_SQLITE
def test_bytes_that_are_no_utf_8_are_read_as_escapes(couriers: Engine, settings: Settings, now: datetime) -> None:
    with transaction(couriers) as session:
        session.execute(text(f"UPDATE items SET title = {ODD} WHERE item_id = 'v1'"))  # noqa: S608 - our own text
        session.execute(text(f"UPDATE members SET member_id = {ODD}, units = {ODD} WHERE member_id = 'd1'"))  # noqa: S608 - our own text
        session.execute(text(f"UPDATE events SET device = {ODD}, event_id = {ODD} WHERE event_id = 'd2-1'"))  # noqa: S608 - our own text
        key = organisations.key_of(session, "default")
        _, token = api_keys.create(session, key, name="t", scopes=[api_keys.ADMIN], now=now)
    assert nightly(couriers, settings, now=now)["status"] == "published"
    with TestClient(create_app(settings)) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/v1/items/v1").json()["title"] == r"v\xff1"
        listed = client.get("/v1/members?limit=1000").json()["members"]
        assert [member["units"] for member in listed if member["member_id"] == r"v\xff1"] == [[r"v\xff1"]]
        titles = [item["title"] for item in client.get("/v1/members/new-driver/push-list?n=100").json()["items"]]
    assert r"v\xff1" in titles
