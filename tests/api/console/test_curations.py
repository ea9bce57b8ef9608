"""Screens of curations."""

import re
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.console.words import texts
from tests.api.console.conftest import Browser, actions, csrf_token
from tests.conftest import FAR

ALL, ONE = "/console/curations", "/console/curation"
BAN = {"curation_id": "off", "action": "ban", "items": FAR[-1], "target_roles": "83", "ends_at": "2099-01-01T00:00:00Z"}

pytestmark = pytest.mark.usefixtures("couriers")


def send(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of the page of a curation, with its entity tag; of one that is not stored that of a new one."""
    page = client.get(ONE, params={"curation_id": fields["curation_id"], "language": "en"})
    etag = re.search(r'name="etag" value="(.*?)"', page.text)
    sent = {"etag": etag[1].replace("&#34;", '"') if etag else "*", "csrf_token": csrf_token(client.get(ALL).text)}
    return client.post(path, data=sent | fields)


def test_an_item_is_banned_for_an_audience_the_ban_changed_and_removed(browser: Browser, engine: Engine) -> None:
    client = browser()
    added = send(client, ALL, **BAN)
    assert added.headers["location"] == f"{ONE}?curation_id=off"
    for path in ("/console/item", ALL, added.headers["location"]):
        page = client.get(path, params={"item_id": FAR[-1]} if path == "/console/item" else None).text
        assert re.search(r">off</a></th><td>Ban from lists</td>.*<td>Drivers and mobile plant operators</td>", page), (
            path
        )
    assert send(client, ONE, **BAN | {"action": "boost", "places": "3", "target_roles": ""}).status_code == 303
    assert re.search(r"<td>Boost \+3</td>.*<td>All members</td>", client.get(ALL).text)
    assert send(client, f"{ONE}/remove", **BAN).headers["location"] == ALL
    assert send(client, f"{ONE}/remove", **BAN).status_code == 404
    assert "xuelu ingest curations" in client.get(ALL).text
    assert texts()["no_curation"]["en"] in client.get("/console/item", params={"item_id": FAR[-1]}).text
    assert actions(engine) == ["console.log_in", "curations.create", "curations.replace", "curations.remove"]


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"ends_at": ""}, 400, "Ends: "),
        ({"ends_at": "soon"}, 400, "Ends: “soon”"),
        ({"items": "none<i>"}, 400, "Ids of the items, in order of study: “none&lt;i&gt;”"),
        ({"target_roles": "nonsense"}, 400, "Roles: “nonsense”"),
        ({"curation_id": "off", "etag": "*"}, 412, "this id exists already"),
    ],
)
def test_a_refused_form_keeps_its_values_and_says_why(
    browser: Browser, engine: Engine, fields: dict[str, str], status: int, reason: str
) -> None:
    client = browser()
    send(client, ALL, **BAN)
    for path in (ALL, ONE) if status == 400 else (ALL,):
        wanted = BAN | {"curation_id": "new" if path == ALL else "off", "target_industries": "H"} | fields
        refused = send(client, path, **wanted)
        assert (refused.status_code, reason in refused.text) == (status, True)
        for name, value in wanted.items():
            assert name == "etag" or value.replace("<", "&lt;").replace(">", "&gt;") in refused.text, name
    assert actions(engine) == ["console.log_in", "curations.create"]


def test_a_change_over_a_later_one_is_refused_with_its_values(browser: Browser) -> None:
    client = browser()
    send(client, ALL, **BAN)
    stale = send(client, ONE, **BAN | {"etag": '"of-before"', "target_roles": "41"})
    assert (stale.status_code, 'value="41"' in stale.text) == (412, True)
    assert "it was changed or removed since the form was opened" in stale.text
    assert "&#34;of-before&#34;" in stale.text, "sending it again writes over nothing"


def test_others_change_no_curation(browser: Browser, engine: Engine) -> None:
    assert send(browser(), ALL, **BAN).status_code == 303
    looking = browser("analytics:read")
    assert "<summary>" not in looking.get(ALL).text
    assert "<form" not in looking.get(ONE, params={"curation_id": "off"}).text.partition("<main")[2]
    assert send(looking, ONE, **BAN).status_code == 403
    stranger = browser(organisation="bakers")
    assert "off" not in re.findall(r'scope="row">.*?<', stranger.get(ALL).text)
    assert stranger.get(ONE, params={"curation_id": "off"}).status_code == 404
    for path in (ONE, f"{ONE}/remove"):
        assert send(stranger, path, **BAN).status_code == 404
    assert actions(engine).count("curations.create") == 1
