"""Statements in the shapes they are asked for in."""

from typing import Any

import pytest

from features.xapi.batches import batch_fault, study_rows
from features.xapi.index_terms import agent_term, terms_of_member
from features.xapi.shapes import as_stored, canonical, ids_only, same_content

MAP = {"en-US": "colour me", "en-GB": "colour me, please", "zh-CN": "上色"}
AGENT = {"objectType": "Agent", "name": "Li", "mbox": "mailto:li@example.org"}
ACTIVITY = {"objectType": "Activity", "id": "a:1", "definition": {"name": MAP, "type": "t:1"}}
FULL: dict[str, Any] = {
    "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "actor": {"objectType": "Group", "name": "all", "member": [AGENT]},
    "verb": {"id": "v:1", "display": MAP},
    "object": {
        "objectType": "SubStatement",
        "actor": AGENT,
        "verb": {"id": "v:2", "display": MAP},
        "object": {
            "id": "a:2",
            "definition": {
                "interactionType": "choice",
                "choices": [{"id": "c1", "description": MAP}, {"id": "c2"}],
                "description": {},
            },
        },
    },
    "context": {
        "instructor": AGENT,
        "team": {"objectType": "Group", "name": "team", "openid": "https://x.org/"},
        "contextActivities": {"parent": [ACTIVITY, {"id": "a:3"}]},
    },
    "authority": AGENT,
    "attachments": [{"display": MAP, "fileUrl": "https://x.org/f"}],
}


def test_ids_hold_what_identifies_and_nothing_else() -> None:
    made = ids_only(FULL)
    agent = {"objectType": "Agent", "mbox": "mailto:li@example.org"}
    assert made["actor"] == {"objectType": "Group", "member": [agent]}
    assert made["verb"] == {"id": "v:1"}
    assert made["object"] == {
        "objectType": "SubStatement",
        "actor": agent,
        "verb": {"id": "v:2"},
        "object": {"id": "a:2"},
    }
    assert made["context"]["team"] == {"objectType": "Group", "openid": "https://x.org/"}
    assert made["context"]["contextActivities"] == {"parent": [{"id": "a:1"}, {"id": "a:3"}]}
    assert made["authority"] == made["context"]["instructor"] == agent
    assert FULL["verb"]["display"] is MAP


@pytest.mark.parametrize(
    ("languages", "chosen"),
    [
        (["en-GB"], "en-GB"),
        (["fr", "zh-CN"], "zh-CN"),
        (["zh"], "zh-CN"),
        (["zh-CN-x-own"], "zh-CN"),
        (["EN-gb"], "en-GB"),
        (["en"], "en-US"),
        (["fr"], "en-US"),
        ([], "en-US"),
    ],
)
def test_canonical_statements_speak_one_language(languages: list[str], chosen: str) -> None:
    made = canonical(FULL, languages)
    text = {chosen: MAP[chosen]}
    assert made["verb"]["display"] == made["object"]["verb"]["display"] == text
    assert made["object"]["object"]["definition"]["choices"] == [{"id": "c1", "description": text}, {"id": "c2"}]
    assert made["context"]["contextActivities"]["parent"][0]["definition"] == {"name": text, "type": "t:1"}
    assert made["attachments"][0]["display"] == text
    assert made["actor"] == FULL["actor"]


def test_agents_and_references_as_objects_are_kept() -> None:
    about = {"objectType": "StatementRef", "id": FULL["id"]}
    assert ids_only({"actor": AGENT, "verb": {"id": "v:1"}, "object": about})["object"] == about
    assert "name" not in ids_only({"actor": AGENT, "verb": {"id": "v:1"}, "object": AGENT})["object"]


def test_arrays_are_made_of_single_activities_within_a_substatement_too() -> None:
    inner = {"actor": AGENT, "verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    inner["context"] = {"contextActivities": {"other": {"id": "a:9"}}}
    outer = {"actor": AGENT, "verb": {"id": "v:1"}, "object": {"objectType": "SubStatement", **inner}}
    made = as_stored(outer, statement_id="x", stored="2026-01-01T00:00:00Z", authority=AGENT)
    assert made["object"]["context"]["contextActivities"] == {"other": [{"id": "a:9"}]}
    assert same_content(outer, made)
    assert not same_content(outer | {"timestamp": "2026-01-02T00:00:00Z"}, made)


def test_a_batch_may_not_hold_an_id_twice_nor_attachments_without_an_address(statement: dict[str, Any]) -> None:
    assert batch_fault([]) is None
    nameless = {key: value for key, value in statement.items() if key != "id"}
    assert batch_fault([nameless, nameless, statement]) is None
    fault = batch_fault([statement, statement | {"id": statement["id"].lower()}])
    assert fault is not None
    assert (fault.field, fault.reason) == ("1.id", "is the id of an earlier statement of this batch")
    attached = {"usageType": "u:1", "display": {}, "contentType": "text/plain", "length": 1, "sha2": "00"}
    fault = batch_fault([statement | {"attachments": [attached | {"fileUrl": "https://x.org/f"}, attached]}])
    assert fault is not None
    assert fault.field == "0.attachments.1.fileUrl"


def test_rows_of_study_say_which_statement_they_are_from(statement: dict[str, Any]) -> None:
    silent = statement | {"verb": {"id": "http://example.org/verbs/unheard"}}
    rows = study_rows([silent, statement], home_page="https://lms.example")
    assert (list(rows.index), list(rows["member_id"])) == ([1], ["li.na"])
    assert study_rows([], home_page=None).empty


def test_a_member_is_known_by_every_agent_that_it_may_be() -> None:
    of_li = terms_of_member("li", home_page="https://lms.example")
    assert agent_term({"account": {"homePage": "https://lms.example", "name": "li"}}) in of_li
    assert agent_term({"mbox": "mailto:li"}) in of_li
    elsewhere = terms_of_member("https://x.org/|a|b", home_page=None)
    assert agent_term({"account": {"homePage": "https://x.org/", "name": "a|b"}}) in elsewhere
    assert agent_term({"account": {"homePage": "https://x.org/|a", "name": "b"}}) in elsewhere
