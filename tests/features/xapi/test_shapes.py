"""Statements in the shapes they are asked for in."""

from typing import Any

import orjson
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
    statement = ids_only(FULL)
    agent = {"objectType": "Agent", "mbox": "mailto:li@example.org"}
    assert statement["actor"] == {"objectType": "Group", "member": [agent]}
    assert statement["verb"] == {"id": "v:1"}
    assert statement["object"] == {
        "objectType": "SubStatement",
        "actor": agent,
        "verb": {"id": "v:2"},
        "object": {"id": "a:2"},
    }
    assert statement["context"]["team"] == {"objectType": "Group", "openid": "https://x.org/"}
    assert statement["context"]["contextActivities"] == {"parent": [{"id": "a:1"}, {"id": "a:3"}]}
    assert statement["authority"] == statement["context"]["instructor"] == agent
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
    statement = canonical(FULL, languages)
    text = {chosen: MAP[chosen]}
    assert statement["verb"]["display"] == statement["object"]["verb"]["display"] == text
    assert statement["object"]["object"]["definition"]["choices"] == [{"id": "c1", "description": text}, {"id": "c2"}]
    assert statement["context"]["contextActivities"]["parent"][0]["definition"] == {"name": text, "type": "t:1"}
    assert statement["attachments"][0]["display"] == text
    assert statement["actor"] == FULL["actor"]


def test_agents_and_references_as_objects_are_kept() -> None:
    about = {"objectType": "StatementRef", "id": FULL["id"]}
    assert ids_only({"actor": AGENT, "verb": {"id": "v:1"}, "object": about})["object"] == about
    assert "name" not in ids_only({"actor": AGENT, "verb": {"id": "v:1"}, "object": AGENT})["object"]


def test_arrays_are_made_of_single_activities_within_a_substatement_too() -> None:
    inner = {"actor": AGENT, "verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    inner["context"] = {"contextActivities": {"other": {"id": "a:9"}}}
    outer = {"actor": AGENT, "verb": {"id": "v:1"}, "object": {"objectType": "SubStatement", **inner}}
    stored_statement = as_stored(outer, statement_id="x", stored="2026-01-01T00:00:00Z", authority=AGENT)
    assert stored_statement["object"]["context"]["contextActivities"] == {"other": [{"id": "a:9"}]}
    assert same_content(outer, stored_statement)
    assert not same_content(outer | {"timestamp": "2026-01-02T00:00:00Z"}, stored_statement)


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


RICH: dict[str, Any] = {
    "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "actor": {
        "objectType": "Group",
        "mbox": "mailto:Club@Example.org",
        "member": [{"mbox": "mailto:li@example.org"}, {"mbox_sha1sum": "ab" * 20}],
    },
    "verb": {"id": "v:1", "display": {"en": "planned"}},
    "object": {
        "objectType": "SubStatement",
        "actor": {"account": {"homePage": "https://lms.example", "name": "Li"}},
        "verb": {"id": "v:2", "display": {"en": "read"}},
        "object": {"objectType": "StatementRef", "id": "0d9f3c39-8a0f-4b0a-8e0c-0d1c2b3a4f55"},
        "timestamp": "2026-03-01T10:00:00+02:00",
        "attachments": [{"sha2": "ab"}],
        "context": {"team": {"objectType": "Group", "member": [{"openid": "u:1"}, {"openid": "u:2"}]}},
    },
    "context": {
        "registration": "ec531277-b57b-4c15-8d91-d292c5b2b8f7",
        "language": "zh-CN",
        "statement": {"objectType": "StatementRef", "id": "91f0a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"},
        "contextActivities": {"parent": [{"id": "a:1", "definition": {"name": {"en": "Course"}}}]},
        "extensions": {"e:1": {"A": [1, 2]}},
    },
    "result": {"duration": "PT60.25S", "score": {"scaled": 0.5, "max": 10}},
    "attachments": [{"sha2": "cd"}],
}
"""A statement with a place for each difference."""


def with_value(path: str, value: Any) -> dict[str, Any]:
    """Return a copy of the rich statement with another value at a path; None removes it."""
    changed: dict[str, Any] = orjson.loads(orjson.dumps(RICH))
    *inner, last = path.split("/")
    part: Any = changed
    for name in inner:
        part = part[int(name)] if name.isdigit() else part[name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verb/display", {"de": "geplant"}),
        ("verb/display", None),
        ("object/verb/display", None),
        ("object/timestamp", "2026-03-01T08:00:00.000Z"),
        ("object/attachments", None),
        ("object/object/id", "0D9F3C39-8A0F-4B0A-8E0C-0D1C2B3A4F55"),
        ("object/context/team/member", [{"openid": "u:2"}, {"openid": "u:1"}]),
        ("actor/mbox", "mailto:Club@EXAMPLE.org"),
        ("actor/member", [{"mbox_sha1sum": "AB" * 20}, {"mbox": "mailto:li@Example.ORG"}]),
        ("context/registration", "EC531277-B57B-4C15-8D91-D292C5B2B8F7"),
        ("context/language", "zh-cn"),
        ("context/statement/id", "91F0A1B2-C3D4-4E5F-8A9B-0C1D2E3F4A5B"),
        ("context/contextActivities/parent", {"id": "a:1"}),
        ("context/contextActivities/parent", [{"id": "a:1", "definition": {"type": "t:1"}}]),
        ("result/score/max", 10.0),
        ("result/duration", "PT60.259S"),
        ("result/duration", "PT60.2500S"),
        ("context/extensions", {"e:1": {"A": [1.0, 2]}}),
        ("attachments", None),
        ("attachments", [{"sha2": "cd"}, {"sha2": "ef"}]),
        ("id", None),
        ("stored", "2020-01-01T00:00:00Z"),
        ("version", "1.0.1"),
        ("authority", {"mbox": "mailto:li@example.org"}),
    ],
)
def test_differences_that_the_specification_ignores_make_no_other_statement(path: str, value: Any) -> None:
    assert same_content(with_value(path, value), RICH)
    assert same_content(RICH, with_value(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verb/id", "V:1"),
        ("result/score/max", 10.5),
        ("result/score/max", 1e300),
        ("object/verb/id", "v:3"),
        ("object/timestamp", "2026-03-01T10:00:00Z"),
        ("object/timestamp", None),
        ("object/actor/account/name", "li"),
        ("actor/mbox", "mailto:club@example.org"),
        ("actor/member", [{"mbox": "mailto:li@example.org"}]),
        ("actor/name", "Club"),
        ("context/registration", None),
        ("context/language", "zh"),
        ("context/contextActivities/parent", [{"id": "a:2"}]),
        ("context/extensions", {"e:1": {"a": [1, 2]}}),
        ("context/extensions", {"e:1": {"A": [2, 1]}}),
        ("result/duration", "PT1M0.25S"),
        ("result/duration", "PT60.26S"),
        ("result/duration", "PT60.2S"),
        ("result/duration", "PT60,25S"),
        ("result/score/scaled", 0.25),
        ("result/completion", False),
    ],
)
def test_every_other_difference_makes_another_statement(path: str, value: Any) -> None:
    assert not same_content(with_value(path, value), RICH)
    assert not same_content(RICH, with_value(path, value))
