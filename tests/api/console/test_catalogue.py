"""Screens of the catalogue."""

import html
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api import dependencies
from api.console.words import texts
from infra.catalog import organisations, sharing
from infra.db.engine import transaction
from tests.api.console.conftest import Browser, actions, csrf_token
from tests.conftest import FAR, ON_SQLITE, Take

ITEM = {"item_id": FAR[-1]}
NUL = {"title": "a\0b"}
"""A field that no browser sends."""


def send(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of an item's page, with the item's entity tag."""
    page = client.get("/console/item", params={"item_id": fields["item_id"]}).text
    etag = re.search(r'name="etag" value="(.*?)"', page)
    token = csrf_token(client.get("/console/items").text)
    sent = {"etag": etag[1].replace("&#34;", '"') if etag else "", "csrf_token": token}
    return client.post(path, data=sent | fields)


def item_ids(client: TestClient, **query: str) -> list[str]:
    """Return the ids of the items that a search shows."""
    page = client.get("/console/items", params=query)
    assert page.status_code == 200, page.text
    return re.findall(r'<td class="id">(.*?)</td>', page.text)


@pytest.mark.usefixtures("couriers")
def test_items_are_found_by_title_id_topic_format_and_state(browser: Browser) -> None:
    client = browser("analytics:read")
    assert item_ids(client, q="驾驶第3") == ["v3"]
    assert item_ids(client, q="LESSON 2", topic="office") == ["o2"]
    assert item_ids(client, q="lms.example", format="article") == [FAR[-1]]
    assert item_ids(client, hidden="true") == ["hidden"]
    assert item_ids(client, topic="100%") == item_ids(client, q="%") == item_ids(client, q="_") == []
    assert "hidden" not in item_ids(client, hidden="false")
    assert client.get("/console/items?hidden=maybe").status_code == 400
    assert client.get("/console/items?q=%00").status_code == 400


@pytest.mark.usefixtures("couriers")
def test_many_items_come_in_pages(browser: Browser, take: Take) -> None:
    take("items", "item_id,title\n" + "".join(f"many{number:03d},Many &\n" for number in range(60)))
    client = browser("analytics:read")
    first = client.get("/console/items?q=many+%26").text
    more = re.search(r'href="/console/items\?(q=.*?)"', first)
    assert more is not None
    second = client.get("/console/items?" + more[1].replace("&amp;", "&")).text
    ids = [re.findall(r'<td class="id">many(\d+)</td>', page) for page in (first, second)]
    assert ids == [[f"{number:03d}" for number in range(50)], [f"{number:03d}" for number in range(50, 60)]]


@ON_SQLITE
def test_an_items_page_shows_who_gets_it_and_what_is_like_it(browser: Browser, served: dict[str, Any]) -> None:
    client = browser("analytics:read")
    assert served["run_id"]
    for language in ("en", "zh"):
        page = client.get("/console/item", params={"item_id": "v1", "language": language}).text
        for key in ("item_by_strategy", "similar_items", "item_not_shown"):
            assert texts()[key][language] in page
    assert 'href="/console/item?item_id=v2"' in page
    assert "<form" not in page.partition("<main")[2], "who may only look edits nothing"
    assert texts()["edit_scope"]["zh"] in page
    assert '<a href="/console/items?topic=safety">安全</a>' in page
    assert client.get("/console/item.csv?item_id=v1").text.startswith("\ufeffvalue,lists,shown,opened")
    assert client.get("/console/item?item_id=none").status_code == 404


@pytest.mark.usefixtures("couriers")
def test_an_item_is_edited_and_hidden_with_the_audit_entries_of_the_api(browser: Browser, engine: Engine) -> None:
    client = browser()
    saved = send(client, "/console/item", **ITEM, title="Knots", summary="a\r\nb", topics="rope")
    assert (saved.status_code, texts()["item_saved"]["en"] in client.get(saved.headers["location"]).text) == (303, True)
    page = client.get("/console/item", params=ITEM).text
    assert "<h1>Knots</h1>" in page
    assert ">a\nb</textarea>" in page
    assert send(client, "/console/item/hidden", **ITEM, hidden="true").status_code == 303
    assert item_ids(client, hidden="true") == ["hidden", FAR[-1]]
    assert send(client, "/console/item/hidden", **ITEM, hidden="false").status_code == 303
    assert item_ids(client, topic="rope") == [FAR[-1]], "the other columns stay"
    assert actions(engine) == ["console.log_in", *["items.change"] * 3]


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"duration_seconds": "-1"}, 400),
        ({"format": "film"}, 400),
        ({"prerequisites": FAR[-1]}, 409),
        (NUL, 400),
        ({"etag": '"of-before"'}, 412),
        ({"etag": ""}, 412),
        ({"item_id": "none"}, 404),
    ],
)
def test_a_change_that_is_refused_changes_nothing(
    browser: Browser, engine: Engine, fields: dict[str, str], status: int
) -> None:
    client = browser()
    before = client.get("/console/item", params=ITEM).text
    refused = send(client, "/console/item", **ITEM | {"summary": "Of mine"} | fields)
    assert refused.status_code == status
    assert (">Of mine</textarea>" in refused.text) == (status != 404 and fields != NUL), "what was written is kept"
    asked, faults = 'action="/console/item#outcome"', '<ul id="outcome"'
    assert (asked in before, faults in refused.text) == (True, status != 404 and fields != NUL), (
        "and its faults come first"
    )
    assert client.get("/console/item", params=ITEM).text == before
    assert actions(engine) == ["console.log_in"]


@pytest.mark.usefixtures("couriers")
def test_a_shared_item_is_seen_but_not_changed_and_an_own_one_not_seen_by_others(
    browser: Browser, engine: Engine, take: Take
) -> None:
    take("items", "item_id,title,shared\nboth,For all,true\n")
    client = browser(organisation="bakers")
    with transaction(engine) as session:
        sharing.set_accepts_shared(session, organisations.key_of(session, "bakers"), accepts=True)
    page = client.get("/console/item", params={"item_id": "both"}).text
    assert texts()["shared_item"]["en"] in page
    for path in ("/console/item", "/console/item/hidden"):
        assert send(client, path, item_id="both", title="Ours", etag="").status_code in {404, 412}
        assert send(client, path, item_id="both", title="Ours", etag="*").status_code == 404
    assert client.get("/console/item", params={"item_id": "v1"}).status_code == 404
    assert item_ids(client) == ["both"]


@pytest.mark.usefixtures("couriers")
def test_topics_that_lack_content_are_shown_with_the_names_of_their_groups(
    browser: Browser, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser("analytics:read")
    monkeypatch.setattr(dependencies, "clock", lambda: now)
    page = client.get("/console/gaps?language=zh").text
    assert re.search(r'驾驶员.*?<span class="note">83</span></th><td><a [^>]*>安全</a></td><td class="n">10</td>', page)
    first = client.get("/console/gaps.csv").text.splitlines()[1]
    assert first.startswith("role,41,")
    monkeypatch.setattr(dependencies, "clock", lambda: now - timedelta(days=90))
    assert texts()["no_gaps"]["zh"] in client.get("/console/gaps").text


def test_lines_of_items_are_imported_and_bad_ones_shown(browser: Browser, engine: Engine) -> None:
    client = browser("analytics:read", "catalogue:write")
    path = "/console/items/import"
    form = {"csrf_token": csrf_token(client.get(path).text)}
    lines = "item_id,title,format,colour\n" + "".join(f"n{number},Lesson {number},video,red\n" for number in range(30))
    page = client.post(path, data=form | {"lines": lines.replace("n7,Lesson 7,video", "n7,Lesson 7,film")}).text
    rows = re.findall(r'<td class="n">(\d+)</td><th scope="row"><code>(\w+)</code></th><td>(\w+)</td>', page)
    assert rows == [("9", "format", "film")]
    assert "<code>colour</code>" in page, "a column that nothing reads"
    assert client.get("/console/item", params={"item_id": "n6"}).status_code == 200
    assert "items.bulk_upsert" in actions(engine)
    few = "item_id,format\nm1,video\nm2,<film>\n"
    refused = client.post(path, data=form | {"lines": few})
    assert (refused.status_code, "&lt;film&gt;" in refused.text) == (400, True)
    assert texts()["nothing_imported"]["en"] in refused.text
    assert html.escape(few) in refused.text, "what was pasted can be mended"
    assert client.get("/console/item", params={"item_id": "m1"}).status_code == 404
    for unreadable in ("", "item_id\x01", "title\nx\n"):
        assert client.post(path, data=form | {"lines": unreadable}).status_code == 400
    assert client.get("/console/items").text.count(path) == 1
