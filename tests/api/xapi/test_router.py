"""Statements of xAPI by HTTP: what xAPI 1.0.3 (Communication, 2.1) demands of POST, PUT and GET."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from starlette.testclient import TestClient

from tests import statements
from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE
from tests.statements import VOIDED, about
from tests.together import together

STATEMENTS = "/xAPI/statements"
LI = {"objectType": "Agent", "name": "Li", "mbox": "mailto:li@example.org"}
MAP = {"en-US": "read", "zh-CN": "读"}


def statement(**changes: Any) -> dict[str, Any]:
    """Return a valid statement with texts."""
    described: dict[str, Any] = {
        "actor": LI,
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced", "display": MAP},
        "object": {"objectType": "Activity", "id": "https://lms.example/items/7", "definition": {"name": MAP}},
    }
    return statements.statement(**described | changes)


def statement_ids(lrs: TestClient, **query: str) -> list[str]:
    """Return the ids of what a query finds."""
    answer = lrs.get(STATEMENTS, params=query)
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["statements"]]


def refused(answer: Any, status: int) -> str:
    """Return why a request was refused."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.headers["x-experience-api-version"] in {"1.0.3", "2.0.0"}
    return str(answer.json()["detail"])


def test_posted_statements_are_answered_with_their_ids_and_come_back(lrs: TestClient) -> None:
    first, second = statement(), statement()
    del second["id"]
    answer = lrs.post(STATEMENTS, json=[first, second])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    ids = answer.json()
    assert ids[0] == first["id"]
    stored = lrs.get(STATEMENTS, params={"statementId": ids[0]}).json()
    assert {name: stored[name] for name in first} == first
    assert (stored["version"], stored["authority"]["account"]["homePage"]) == ("1.0.0", "urn:xuelu:keys")
    assert statement_ids(lrs) == ids[::-1]
    single = statement()
    assert lrs.post(STATEMENTS, json=single).json() == [single["id"]]


def test_a_put_statement_is_answered_without_content_and_keeps_its_id(lrs: TestClient) -> None:
    sent = statement()
    statement_id = sent.pop("id")
    for _ in range(2):
        answer = lrs.put(STATEMENTS, params={"statementId": statement_id}, json=sent)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (
        lrs.put(STATEMENTS, params={"statementId": statement_id}, json=sent | {"id": statement_id}).status_code == 204
    )
    assert statement_ids(lrs) == [statement_id]
    other = statement(actor={"mbox": "mailto:ana@example.org"}, id=statement_id)
    assert "says something else" in refused(lrs.put(STATEMENTS, params={"statementId": statement_id}, json=other), 409)
    assert "the id in the statement" in refused(
        lrs.put(STATEMENTS, params={"statementId": str(uuid4())}, json=other), 400
    )
    assert "statementId" in refused(lrs.put(STATEMENTS, json=sent), 400)
    assert "statementId" in refused(lrs.put(STATEMENTS, params={"statementId": "7"}, json=sent), 400)
    assert "must be an object" in refused(lrs.put(STATEMENTS, params={"statementId": statement_id}, json=[sent]), 400)


def test_the_same_statement_posted_again_is_answered_without_content_and_another_is_a_conflict(lrs: TestClient) -> None:
    sent = statement()
    lrs.post(STATEMENTS, json=sent)
    assert lrs.post(STATEMENTS, json=sent).status_code == 204
    assert lrs.post(STATEMENTS, json=[sent, statement()]).status_code == 200
    refused(lrs.post(STATEMENTS, json=[statement(), sent | {"actor": {"mbox": "mailto:ana@example.org"}}]), 409)
    assert len(statement_ids(lrs)) == 2


def test_an_equal_statement_with_other_texts_or_spelling_is_stored_already(lrs: TestClient) -> None:
    sent = statement()
    assert lrs.post(STATEMENTS, json=sent).status_code == 200
    changed = sent | {
        "actor": LI | {"mbox": "mailto:li@EXAMPLE.org"},
        "verb": {"id": sent["verb"]["id"]},
        "object": {"objectType": "Activity", "id": sent["object"]["id"]},
        "timestamp": "2026-03-01T08:00:00.123Z",
    }
    assert lrs.post(STATEMENTS, json=changed).status_code == 204
    assert lrs.put(STATEMENTS, params={"statementId": sent["id"].upper()}, json=changed).status_code == 204
    assert len(lrs.post(STATEMENTS, json=[changed, statement()]).json()) == 2


def test_a_batch_is_taken_whole_or_not_at_all(lrs: TestClient) -> None:
    good = statement()
    assert "1.verb.id" in refused(lrs.post(STATEMENTS, json=[good, statement(verb={"id": "read"})]), 400)
    assert "earlier statement" in refused(lrs.post(STATEMENTS, json=[good, good]), 400)
    refused(lrs.get(STATEMENTS, params={"statementId": good["id"]}), 404)
    assert lrs.post(STATEMENTS, json=[]).json() == statement_ids(lrs) == []


@pytest.mark.parametrize("voided_first", [True, False])
def test_a_voided_statement_is_gone_but_for_those_who_ask_for_it_as_voided(lrs: TestClient, voided_first: bool) -> None:
    wrong = statement()
    void = about(wrong["id"], VOIDED)
    lrs.post(STATEMENTS, json=[wrong, void] if voided_first else [void, wrong])
    refused(lrs.get(STATEMENTS, params={"statementId": wrong["id"]}), 404)
    assert lrs.get(STATEMENTS, params={"voidedStatementId": wrong["id"]}).json()["id"] == wrong["id"]
    refused(lrs.get(STATEMENTS, params={"voidedStatementId": void["id"]}), 404)
    assert statement_ids(lrs) == [void["id"]]
    assert statement_ids(lrs, verb="http://adlnet.gov/expapi/verbs/experienced") == [void["id"]]


def test_statements_are_found_by_everything_they_are_about(lrs: TestClient) -> None:
    registration = str(uuid4())
    plain = statement()
    rich = statement(
        context={
            "registration": registration,
            "instructor": {"openid": "https://id.example/ana"},
            "contextActivities": {"parent": {"id": "https://lms.example/courses/1"}},
        }
    )
    lrs.post(STATEMENTS, json=[plain, rich])
    li, ana = ('{"mbox":"mailto:li@example.org"}', '{"openid":"https://id.example/ana"}')
    assert (
        statement_ids(lrs, agent=li)
        == statement_ids(lrs, activity="https://lms.example/items/7")
        == [rich["id"], plain["id"]]
    )
    assert statement_ids(lrs, registration=registration, agent=li) == [rich["id"]]
    assert statement_ids(lrs, agent=ana) == statement_ids(lrs, activity="https://lms.example/courses/1") == []
    assert statement_ids(lrs, agent=ana, related_agents="true") == [rich["id"]]
    assert statement_ids(lrs, activity="https://lms.example/courses/1", related_activities="true") == [rich["id"]]
    assert statement_ids(lrs, ascending="true", limit="1") == [plain["id"]]
    stored = lrs.get(STATEMENTS, params={"statementId": plain["id"]}).json()["stored"]
    assert statement_ids(lrs, since=stored) == [rich["id"]]
    assert statement_ids(lrs, until=stored) == [plain["id"]]


def test_pages_follow_each_other_by_their_links(lrs: TestClient) -> None:
    ids = [record["id"] for record in [statement() for _ in range(5)]]
    lrs.post(STATEMENTS, json=[statement(id=statement_id) for statement_id in ids])
    got, link = [], f"{STATEMENTS}?limit=2&format=ids&agent=%7B%22mbox%22%3A%22mailto%3Ali%40example.org%22%7D"
    while link:
        page = lrs.get(link).json()
        assert all(record["actor"] == {"objectType": "Agent", "mbox": LI["mbox"]} for record in page["statements"])
        got += [record["id"] for record in page["statements"]]
        link = page["more"]
    assert got == ids[::-1]
    assert "no link" in refused(lrs.get(STATEMENTS, params={"more": "nonsense"}), 400)
    assert "no link" in refused(lrs.get(STATEMENTS, params={"more": "WzEsIHsiYSI6IDF9XQ=="}), 400)


def test_a_page_after_the_first_may_have_a_limit_of_its_own(lrs: TestClient) -> None:
    ids = [str(uuid4()) for _ in range(5)]
    lrs.post(STATEMENTS, json=[statement(id=statement_id) for statement_id in ids])
    first = lrs.get(f"{STATEMENTS}?limit=2&ascending=True").json()
    rest = lrs.get(f"{first['more']}&limit=3").json()
    assert [record["id"] for record in first["statements"] + rest["statements"]] == ids
    assert rest["more"] == ""
    refused(lrs.get(f"{first['more']}&ascending=true"), 400)


@pytest.mark.parametrize(
    "since",
    ["2026-03-01 10:00:00+00:00", "2026-03-01T10:00:00 00:00", "2026-03-01 10:00:00.5 01:00", "2026-03-01 10:00"],
)
@ON_SQLITE
def test_times_with_a_space_for_a_letter_are_understood(lrs: TestClient, since: str) -> None:
    sent = statement()
    lrs.post(STATEMENTS, json=sent)
    assert statement_ids(lrs, since=since) == [sent["id"]]
    assert statement_ids(lrs, until=since) == []


@together("depth", [120, 300, 900, 1_100, 100_000])
@ON_SQLITE
def test_json_nested_too_deep_is_refused(lrs: TestClient, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    sent = orjson.dumps(statement()).decode()[:-1] + f',"result":{{"extensions":{{"e:1":{deep}}}}}}}'
    headers = {"Content-Type": "application/json"}
    refused(lrs.post(STATEMENTS, content=sent, headers=headers), 400)
    refused(lrs.put(f"{STATEMENTS}?statementId={uuid4()}", content=sent, headers=headers), 400)
    if depth < 10_000:
        refused(lrs.get(STATEMENTS, params={"agent": f'{{"mbox":"mailto:a@x.org","name":{deep}}}'}), 400)
        refused(lrs.get(STATEMENTS, params={"more": urlsafe_b64encode(deep.encode()).decode()}), 400)
        more = urlsafe_b64encode(f'[1,{{"verb":{deep}}}]'.encode()).decode()
        refused(lrs.get(STATEMENTS, params={"more": more}), 400)


def test_a_statement_comes_in_the_shape_that_is_asked_for(lrs: TestClient) -> None:
    sent = statement()
    lrs.post(STATEMENTS, json=sent)
    ask = {"statementId": sent["id"]}
    assert lrs.get(STATEMENTS, params=ask | {"format": "ids"}).json()["verb"] == {"id": sent["verb"]["id"]}
    chinese = lrs.get(STATEMENTS, params=ask | {"format": "canonical"}, headers={"Accept-Language": "de, zh;q=0.5"})
    assert chinese.json()["verb"]["display"] == {"zh-CN": "读"}
    assert chinese.json()["object"]["definition"]["name"] == {"zh-CN": "读"}
    exact = lrs.get(STATEMENTS, params=ask, headers={"Accept-Language": "zh"})
    assert exact.json()["verb"]["display"] == MAP
    whole = lrs.get(STATEMENTS, params=ask | {"attachments": "true"})
    kind, boundary = whole.headers["content-type"].split("; boundary=")
    assert kind == "multipart/mixed"
    head, part, end = whole.content.split(b"--" + boundary.encode())
    assert (head, end) == (b"", b"--\r\n")
    assert orjson.loads(part.partition(b"\r\n\r\n")[2])["id"] == sent["id"]


def test_answers_say_when_and_up_to_when(lrs: TestClient) -> None:
    sent = statement()
    before = datetime.now(UTC)
    lrs.post(STATEMENTS, json=sent)
    answer = lrs.get(STATEMENTS, params={"statementId": sent["id"]})
    stored = datetime.fromisoformat(answer.json()["stored"])
    assert before <= stored <= datetime.now(UTC)
    assert parsedate_to_datetime(answer.headers["last-modified"]) == stored.replace(microsecond=0)
    assert datetime.fromisoformat(answer.headers["x-experience-api-consistent-through"]) >= stored
    for wrong in ({"statementId": str(uuid4())}, {"statementId": "7"}, {"foo": "bar"}):
        assert lrs.get(STATEMENTS, params=wrong).headers["x-experience-api-consistent-through"]


@together(
    "query",
    [
        "foo=bar",
        "StatementId={id}",
        "Agent=%7B%7D",
        "limit=-1",
        "limit=many",
        "limit=10.0",
        "limit=1_0",
        "format=short",
        "ascending=yes",
        "attachments=1",
        "until=0",
        "since=1772355600",
        "since=yesterday",
        "until=2026-03-01",
        "verb=read",
        "activity=7",
        "registration=7",
        "agent=li",
        "agent=7",
        "agent=%7B%7D",
        'agent={{"objectType":"Group","member":[{{"mbox":"mailto:a@x.org"}}]}}',
        "statementId={id}&voidedStatementId={id}",
        *(
            f"{id_parameter}={{id}}&{other}"
            for id_parameter in ("statementId", "voidedStatementId")
            for other in (
                "verb=v:1",
                "limit=1",
                "ascending=false",
                "related_agents=false",
                "since=2026-03-01T00:00:00Z",
            )
        ),
        "verb=v:1&verb=v:2",
        "more=x&limit=1",
        "more=WzEse31d!",
        "method=GET",
    ],
)
@ON_SQLITE
def test_parameters_that_are_unknown_wrong_or_do_not_go_together_are_refused(lrs: TestClient, query: str) -> None:
    refused(lrs.get(f"{STATEMENTS}?{query.format(id=uuid4())}"), 400)


@ON_SQLITE
def test_every_request_says_which_xapi_it_speaks(lrs: TestClient) -> None:
    del lrs.headers["X-Experience-API-Version"]
    for version in (None, "0.9", "1.1.0", "2.1.0", "2", "3.0.0"):
        headers = {} if version is None else {"X-Experience-API-Version": version}
        assert "X-Experience-API-Version" in refused(lrs.get(STATEMENTS, headers=headers), 400)
        refused(lrs.post(STATEMENTS, json=statement(), headers=headers), 400)
        refused(lrs.put(f"{STATEMENTS}?statementId={uuid4()}", json=statement(), headers=headers), 400)
    for version in ("1.0", "1.0.0", "1.0.9"):
        assert lrs.get(STATEMENTS, headers={"X-Experience-API-Version": version}).status_code == 200
    about_us = lrs.get("/xAPI/about")
    assert (about_us.status_code, about_us.headers["x-experience-api-version"]) == (200, "1.0.3")
    assert about_us.json() == {"version": ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "2.0.0"]}


@ON_SQLITE
def test_who_does_not_say_which_xapi_it_speaks_is_told_so_before_being_asked_for_a_key(anonymous: TestClient) -> None:
    answer = anonymous.get(STATEMENTS)
    assert "X-Experience-API-Version" in refused(answer, 400)
    assert answer.headers["x-experience-api-consistent-through"]
    refused(anonymous.post(STATEMENTS, json=statement()), 400)
    refused(anonymous.put(f"{STATEMENTS}?statementId={uuid4()}", json=statement()), 400)


@ON_SQLITE
def test_only_json_is_taken_unless_attachments_come_beside_it(lrs: TestClient) -> None:
    body = orjson.dumps(statement())
    for kind in ("multipart/form-data; boundary=x", "text/plain", ""):
        assert "multipart/mixed" in refused(lrs.post(STATEMENTS, content=body, headers={"Content-Type": kind}), 400)
    attached = {"usageType": "u:1", "display": {}, "contentType": "text/plain", "length": 1, "sha2": "00"}
    assert "0.attachments.0.fileUrl" in refused(lrs.post(STATEMENTS, json=statement(attachments=[attached])), 400)
    attached["fileUrl"] = "https://x.org/f"
    assert lrs.post(STATEMENTS, json=statement(attachments=[attached])).status_code == 200


@ON_SQLITE
def test_head_is_answered_as_get_and_other_methods_are_not_allowed(lrs: TestClient) -> None:
    assert lrs.head(STATEMENTS).status_code == lrs.head("/xAPI/about").status_code == 200
    assert lrs.head(f"{STATEMENTS}?foo=bar").status_code == 400
    refused(lrs.delete(f"{STATEMENTS}?statementId={uuid4()}"), 405)
    refused(lrs.post("/xAPI/activities"), 405)
    refused(lrs.put("/xAPI/agents"), 405)


@pytest.mark.parametrize(
    "resource", ["activities/state", "activities/profile", "agents/profile", "activities", "agents"]
)
@ON_SQLITE
def test_what_is_not_offered_says_so(lrs: TestClient, resource: str) -> None:
    assert f"{resource} is not offered" in refused(lrs.get(f"/xAPI/{resource}"), 404)
    del lrs.headers["X-Experience-API-Version"]
    assert "X-Experience-API-Version" in refused(lrs.get(f"/xAPI/{resource}"), 400)


def test_a_key_reads_and_writes_in_its_own_organisation_as_bearer_or_basic(
    anonymous: TestClient, make_key: MakeKey
) -> None:
    anonymous.headers["X-Experience-API-Version"] = "1.0.3"
    sent = statement()
    refused(anonymous.post(STATEMENTS, json=sent), 401)
    refused(anonymous.get(STATEMENTS, headers={"Authorization": "Basic:abc"}), 401)
    refused(anonymous.get(STATEMENTS, auth=("nobody", "nothing")), 401)
    refused(anonymous.get(STATEMENTS, headers={"Authorization": f"Bearer {make_key('lists:read')}"}), 403)
    mine, other = make_key("events:write"), make_key("events:write", organisation="other")
    assert anonymous.post(STATEMENTS, json=sent, auth=("lms", mine)).status_code == 200
    bearer = {"Authorization": f"Bearer {other}"}
    assert anonymous.get(STATEMENTS, headers=bearer).json()["statements"] == []
    refused(anonymous.get(f"{STATEMENTS}?statementId={sent['id']}", headers=bearer), 404)
    assert (
        anonymous.post(STATEMENTS, json=sent | {"actor": {"mbox": "mailto:x@y.org"}}, headers=bearer).status_code == 200
    )
