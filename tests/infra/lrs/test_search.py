"""Statements found by what they are about."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from features.xapi.index_terms import activity_term, agent_term, registration_term, verb_term
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.lrs import store as lrs
from infra.lrs.search import StatementFilter, find

Search = Callable[..., set[str]]
KEY = {"account": {"homePage": "https://xuelu.example/keys", "name": "k1"}}
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
LI = {"mbox": "mailto:li@example.org"}
ANA = {"mbox_sha1sum": "A94A8FE5CCB19BA61C4C0873D391E987982FBBD3"}
TOM = {"account": {"homePage": "https://lms.example", "name": "tom"}}
CLUB = {"objectType": "Group", "openid": "https://club.example/", "member": [TOM]}
REGISTRATION = "EC531277-b57b-4c15-8d91-d292c5b2b8f7"
STATEMENTS: dict[str, dict[str, Any]] = {
    "read": {"verb": {"id": "v:read"}, "object": {"id": "a:book"}},
    "taught": {"verb": {"id": "v:read"}, "object": {"id": "a:page"}, "context": {"instructor": ANA, "team": CLUB}},
    "praised": {"verb": {"id": "v:praised"}, "object": {"objectType": "Agent", **ANA}},
    "joined": {"actor": CLUB, "verb": {"id": "v:joined"}, "object": {"id": "a:page"}},
    "page": {
        "verb": {"id": "v:read"},
        "object": {"id": "a:page"},
        "context": {"contextActivities": {"parent": {"id": "a:book"}}, "registration": REGISTRATION},
    },
    "planned": {
        "actor": ANA,
        "verb": {"id": "v:planned"},
        "object": {
            "objectType": "SubStatement",
            "actor": TOM,
            "verb": {"id": "v:read"},
            "object": {"id": "a:exam"},
            "context": {"contextActivities": {"grouping": [{"id": "a:term"}]}},
        },
    },
}


@pytest.fixture
def ids() -> dict[str, str]:
    """Return the id of each statement by its name."""
    return {name: str(uuid4()) for name in (*STATEMENTS, "about", "further", "void")}


@pytest.fixture
def search(engine: Engine, now: datetime, ids: dict[str, str]) -> Search:
    """Store the statements, and statements about one of them; return what finds their names."""
    batch = [{"actor": LI, "id": ids[name], **parts} for name, parts in STATEMENTS.items()]
    for name, target in (("about", "praised"), ("further", "about")):
        reference = {"objectType": "StatementRef", "id": ids[target].upper()}
        batch.append({"id": ids[name], "actor": TOM, "verb": {"id": "v:saw"}, "object": reference})
    with transaction(engine) as session:
        key = organisations.ensure(session, "default", now=now)
        lrs.store(session, key, batch, authority=KEY, home_page=None, clock=lambda: now)
    names = {statement_id: name for name, statement_id in ids.items()}

    def names_matching(
        *terms: str | None, related: bool = False, limit: int = 100, **statement_filter: Any
    ) -> set[str]:
        wanted = tuple((str(term), related) for term in terms)
        with transaction(engine) as session:
            page, _ = find(session, key, StatementFilter(terms=wanted, **statement_filter), limit=limit)
        return {names[statement["id"]] for statement in page}

    return names_matching


def test_by_verb(search: Search) -> None:
    assert search(verb_term("v:read")) == {"read", "taught", "page"}
    assert search(verb_term("v:Read")) == set()


def test_by_activity(search: Search) -> None:
    assert search(activity_term("a:book")) == {"read"}
    assert search(activity_term("a:book"), related=True) == {"read", "page"}
    assert search(activity_term("a:exam")) == search(activity_term("a:term")) == set()
    assert search(activity_term("a:exam"), related=True) == search(activity_term("a:term"), related=True) == {"planned"}


def test_by_registration_in_either_case(search: Search) -> None:
    assert search(registration_term(REGISTRATION.lower())) == {"page"}


def test_by_agent_as_actor_or_object_with_the_statements_about_them(search: Search) -> None:
    assert search(agent_term({"mbox": "mailto:li@Example.ORG", "name": "Li"})) == {
        "read",
        "taught",
        "praised",
        "page",
        "about",
        "further",
    }
    assert search(agent_term({"mbox_sha1sum": ANA["mbox_sha1sum"].lower()})) == {
        "praised",
        "planned",
        "about",
        "further",
    }


def test_by_agent_in_groups_and_by_the_group(search: Search) -> None:
    assert search(agent_term(TOM)) == {"joined", "about", "further"}
    assert search(agent_term(CLUB)) == {"joined"}


def test_by_agent_anywhere(search: Search) -> None:
    assert search(agent_term(TOM), related=True) == {"joined", "taught", "planned", "about", "further"}
    assert search(agent_term(ANA), related=True) == {"taught", "praised", "planned", "about", "further"}
    assert search(agent_term(KEY), related=True) == {*STATEMENTS, "about", "further"}
    assert search(agent_term(KEY)) == set()


def test_everything_asked_for_must_hold(search: Search) -> None:
    assert search(verb_term("v:read"), activity_term("a:page")) == {"taught", "page"}
    assert search(verb_term("v:read"), agent_term(TOM)) == set()


def test_statements_about_a_voided_one_are_still_found_by_what_it_said(
    search: Search, engine: Engine, ids: dict[str, str], now: datetime
) -> None:
    reference = {"objectType": "StatementRef", "id": ids["praised"]}
    void = {"id": ids["void"], "actor": TOM, "verb": {"id": VOIDED}, "object": reference}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        lrs.store(session, key, [void], authority=KEY, home_page=None, clock=lambda: now)
    assert search(verb_term("v:praised")) == {"about", "further", "void"}
    assert search(verb_term("v:praised"), limit=1) == {"void"}
    assert search(verb_term("v:praised"), limit=1, ascending=True) == {"about"}
    assert search() == {*STATEMENTS, "about", "further", "void"} - {"praised"}


def test_the_period_bounds_what_is_found_and_not_what_it_is_about(search: Search, engine: Engine) -> None:
    with transaction(engine) as session:
        newest = lrs.newest_stored(session, organisations.key_of(session, "default"))
    assert search(verb_term("v:praised"), since=newest) == set()
    assert newest is not None
    assert search(verb_term("v:praised"), since=newest.replace(microsecond=newest.microsecond - 1)) == {"further"}
