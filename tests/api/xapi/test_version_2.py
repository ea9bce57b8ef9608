"""Statements of xAPI 2.0.0 (IEEE 9274.1.1) by HTTP, beside those of 1.0.3."""

from typing import Any

from starlette.testclient import TestClient

from tests.api.xapi.test_router import ON_SQLITE, STATEMENTS, refused, statement, statement_ids
from tests.together import together

PARTY = {"objectType": "contextAgent", "agent": {"mbox": "mailto:ana@example.org"}, "relevantTypes": ["t:coach"]}
CLUB = {"objectType": "contextGroup", "group": {"objectType": "Group", "openid": "https://club.example/"}}


def test_version_2_has_agents_and_groups_in_contexts(lrs: TestClient) -> None:
    sent = statement(context={"contextAgents": [PARTY], "contextGroups": [CLUB]})
    assert "contextAgents" in refused(lrs.post(STATEMENTS, json=sent), 400)
    lrs.headers["X-Experience-API-Version"] = "2.0.0"
    answer = lrs.post(STATEMENTS, json=sent)
    assert (answer.status_code, answer.headers["x-experience-api-version"]) == (200, "2.0.0")
    assert lrs.post(STATEMENTS, json=sent).status_code == 204
    stored = lrs.get(STATEMENTS, params={"statementId": sent["id"]}).json()
    assert (stored["version"], stored["context"]) == ("2.0.0", sent["context"])
    coach = '{"mbox":"mailto:ana@example.org"}'
    assert statement_ids(lrs, agent=coach) == []
    assert statement_ids(lrs, agent=coach, related_agents="true") == [sent["id"]]
    club = '{"objectType":"Group","openid":"https://club.example/"}'
    assert statement_ids(lrs, agent=club, related_agents="true") == [sent["id"]]
    ids = lrs.get(STATEMENTS, params={"format": "ids"}).json()["statements"][0]
    assert ids["context"]["contextAgents"][0]["agent"] == {"mbox": "mailto:ana@example.org"}


@together(
    "context",
    [
        {"contextAgents": PARTY},
        {"contextAgents": [PARTY | {"objectType": "Agent"}]},
        {"contextAgents": [PARTY | {"relevantTypes": []}]},
        {"contextAgents": [PARTY | {"relevantTypes": ["coach"]}]},
        {"contextAgents": [PARTY | {"agent": CLUB["group"]}]},
        {"contextAgents": [{"objectType": "contextAgent"}]},
        {"contextAgents": [{"agent": PARTY["agent"]}]},
        {"contextGroups": [CLUB | {"group": PARTY["agent"]}]},
        {"contextGroups": [CLUB | {"objectType": "contextAgent"}]},
        {"contextGroups": [CLUB | {"agent": PARTY["agent"]}]},
    ],
)
@ON_SQLITE
def test_malformed_agents_and_groups_in_contexts_are_refused(lrs: TestClient, context: dict[str, Any]) -> None:
    lrs.headers["X-Experience-API-Version"] = "2.0.0"
    assert "statement 0.context.context" in refused(lrs.post(STATEMENTS, json=statement(context=context)), 400)


@ON_SQLITE
def test_answers_name_the_version_of_the_request(lrs: TestClient) -> None:
    for sent, answered in (("1.0", "1.0.3"), ("1.0.1", "1.0.3"), ("2.0", "2.0.0"), ("2.0.0", "2.0.0"), ("4", "1.0.3")):
        headers = {"X-Experience-API-Version": sent}
        assert lrs.get(STATEMENTS, headers=headers).headers["x-experience-api-version"] == answered
    form = {"X-Experience-API-Version": "2.0.0", "limit": "1"}
    answer = lrs.post(f"{STATEMENTS}?method=GET", data=form)
    assert (answer.status_code, answer.headers["x-experience-api-version"]) == (200, "2.0.0")


@ON_SQLITE
def test_a_statement_says_its_own_version(lrs: TestClient) -> None:
    lrs.headers["X-Experience-API-Version"] = "2.0.0"
    older = statement(version="1.0.1")
    assert lrs.post(STATEMENTS, json=[older, statement(version="2.0.0")]).status_code == 200
    assert lrs.get(STATEMENTS, params={"statementId": older["id"]}).json()["version"] == "1.0.1"
    assert "version" in refused(lrs.post(STATEMENTS, json=statement(version="3.0.0")), 400)
    lrs.headers["X-Experience-API-Version"] = "1.0.3"
    assert "version" in refused(lrs.post(STATEMENTS, json=statement(version="2.0.0")), 400)
