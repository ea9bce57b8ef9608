"""Screens of requirements."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.console.words import texts
from tests.api.console.conftest import Browser, actions, csrf_token

ONE = "/console/requirement"
FIELDS = {"requirement_id": "safety", "items": "v1", "target_roles": "83", "due_on": "2099-12-01", "etag": "*"}
PATH = "/console/requirements"


def send(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of the page with requirements."""
    return client.post(path, data={"csrf_token": csrf_token(client.get(PATH).text), **fields})


def cells(page: str, row: str) -> list[str]:
    """Return the texts of the cells of a table's row."""
    match = re.search(rf"<th scope=\"row\">(?:<a [^>]*>)?{row}(?:</a>)?</th>(.*?)</tr>", page, re.DOTALL)
    assert match is not None, page
    texts = (re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", match[1], re.DOTALL))
    return [re.sub(r"\s+", " ", text).strip() for text in texts]


@pytest.mark.usefixtures("couriers")
def test_a_requirement_is_tried_added_changed_waived_and_removed(browser: Browser, engine: Engine) -> None:
    client = browser("analytics:read", "catalogue:write", "members:write")
    tried = send(client, PATH, **FIELDS, do="check")
    # Twelve drivers: d0, d6 and the private one have finished v1; no depot has ten of them.
    assert (tried.status_code, cells(tried.text, "All members")) == (200, ["12", "0", "0", "0", "0"]), "9 round to 0"
    assert client.get(ONE, params={"requirement_id": "safety"}).status_code == 404, "nothing was stored"

    assert send(client, PATH, **FIELDS, do="save").headers["location"] == f"{ONE}?requirement_id=safety"
    assert cells(client.get(PATH).text, "safety") == ["安全驾驶第1课", "2099-12-01", "12", "9", "0", "0", "0"]
    again = send(client, PATH, **FIELDS, do="save")
    assert (again.status_code, "this id exists already" in again.text) == (412, True)

    page = client.get(ONE, params={"requirement_id": "safety", "language": "zh"}).text
    assert texts()["waive"]["zh"] in page
    etag = re.search(r'name="etag" value="(.*?)"', page)
    assert etag is not None
    changed = FIELDS | {"etag": etag[1].replace("&#34;", '"'), "due_on": "2026-01-01", "do": "save"}
    assert send(client, ONE, **changed).status_code == 303
    assert send(client, ONE, **changed).status_code == 412, "it was changed since"
    assert cells(client.get(PATH).text, "safety")[2:] == ["12", "0", "0", "0", "9"]

    for do in ("waive", "end"):
        assert (
            send(
                client, f"{ONE}/waivers", requirement_id="safety", member_id="d1", reason="certified", do=do
            ).status_code
            == 303
        )
    refused = send(
        client, f"{ONE}/waivers", requirement_id="safety", member_id="nobody", reason="certified", do="waive"
    )
    form_is_filled = all(value in refused.text for value in ('value="nobody"', 'value="certified"', 'role="alert"'))
    assert (refused.status_code, form_is_filled) == (404, True)
    assert client.get("/console/requirements.csv").text.splitlines()[1] == "safety,,12,0,0,0,9"
    assert send(client, f"{ONE}/remove", requirement_id="safety").headers["location"] == PATH
    assert "xuelu ingest requirements" in client.get(f"{PATH}?language=en").text
    done = ["requirements.create", "requirements.replace", "waivers.write", "waivers.end", "requirements.remove"]
    assert actions(engine) == ["console.log_in", *done]


@pytest.mark.usefixtures("couriers")
def test_a_dry_run_counts_what_is_required_beside_it(browser: Browser) -> None:
    client = browser()
    due = datetime.now(UTC) + timedelta(days=8)
    draft = FIELDS | {"requirement_id": "draft", "items": "v2", "due_on": f"{due:%Y-%m-%d}"}
    alone = cells(send(client, PATH, **draft, do="check").text, "All members")
    send(client, PATH, **FIELDS | {"items": "o1;o2;o3;o4;o5;v3;v4;v5;v6", "due_on": f"{due:%Y-%m-%d}"}, do="save")
    tried = cells(send(client, PATH, **draft, do="check").text, "All members")
    assert tried != alone
    send(client, PATH, **draft, do="save")
    assert tried == cells(client.get(PATH).text, "draft")[2:]


@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize("do", ["check", "save"])
def test_the_faults_of_a_requirement_stand_in_its_form(browser: Browser, engine: Engine, do: str) -> None:
    client = browser()
    refused = send(client, PATH, **FIELDS | {"items": "v99<i>"}, do=do)
    assert refused.status_code == 400
    assert 'role="alert"' in refused.text
    assert "v99&lt;i&gt;" in refused.text
    assert "v99<i>" not in refused.text
    assert actions(engine) == ["console.log_in"]


@pytest.mark.usefixtures("couriers")
def test_who_may_only_look_changes_no_requirement(browser: Browser) -> None:
    client = browser("analytics:read")
    assert "<summary>" not in client.get(PATH).text
    for path in (PATH, ONE, f"{ONE}/remove", f"{ONE}/waivers"):
        assert send(client, path, **FIELDS, do="save").status_code == 403


@pytest.mark.usefixtures("couriers")
def test_another_organisation_has_requirements_of_its_own(browser: Browser) -> None:
    send(browser(), PATH, **FIELDS, do="save")
    client = browser(organisation="bakers")
    assert "safety" not in client.get(PATH).text
    assert client.get("/console/requirements.csv").text.count("\n") == 1
    for path in (f"{ONE}/remove", ONE, f"{ONE}/waivers"):
        assert send(client, path, requirement_id="safety", member_id="d1", do="waive").status_code == 404
