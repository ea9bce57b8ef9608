"""Codes and settings in words: every one has a name and an explanation in both languages."""

import re
from typing import Any, get_args

import pytest

from api.console.reference.settings import shown_settings
from api.console.words import setting_meanings, texts
from api.schemas.deliveries import Status
from api.schemas.endpoints import Endpoint
from api.schemas.lists import FilteredItem, ItemChange, PushList
from api.schemas.records import ImportKind, ImportStatus
from features.schema import SHOWN, VERBS, VOIDED
from infra.access.api_keys import SCOPES
from infra.explanations.codes import codes
from infra.settings.settings import Settings
from recommender.breakdown import CONSTANT
from recommender.explanations.sources import GROUPS
from recommender.registry import STRATEGIES
from tests.api.console.conftest import Browser
from tests.conftest import ON_SQLITE

KNOWN = {
    "strategy": set(STRATEGIES),
    "generated_by": set(get_args(PushList.model_fields["generated_by"].annotation)),
    "source": {*GROUPS, CONSTANT},
    "left_out": set(get_args(FilteredItem.model_fields["cause"].annotation)),
    "cause": set(get_args(ItemChange.model_fields["cause"].annotation)),
    "kind": {*get_args(ImportKind), *get_args(Endpoint.model_fields["kind"].annotation)},
    "import_status": set(get_args(ImportStatus)),
    "delivery_status": set(get_args(Status)),
    "endpoint_status": set(get_args(Endpoint.model_fields["status"].annotation)),
    "scope": set(SCOPES),
    "verb": set(VERBS) - {SHOWN, VOIDED},
}


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_every_code_that_a_page_may_show_has_words(kind: str) -> None:
    assert KNOWN[kind] - codes()[kind].keys() == set()


def test_words_are_in_both_languages() -> None:
    parts = {"en", "zh", "about_en", "about_zh"}
    entries = [(kind, code, entry) for kind, of_kind in codes().items() for code, entry in of_kind.items()]
    assert [(kind, code) for kind, code, entry in entries if set(entry) != parts or not all(entry.values())] == []
    assert {f"kind_{kind}" for kind in codes()} <= texts().keys()


def test_every_setting_has_its_meaning_in_chinese() -> None:
    shown = {f"{section}.{row.name}".removeprefix(".") for section, rows in shown_settings(Settings()) for row in rows}
    assert shown == setting_meanings().keys()


@ON_SQLITE
def test_a_run_and_a_list_are_shown_in_words(browser: Browser, served_online: dict[str, Any]) -> None:
    client = browser()
    pages = [
        client.get(path, params={"language": "zh", "member_id": "d1"}).text
        for path in ("/console", f"/console/runs/{served_online['run_id']}", "/console/member", "/console/audit")
    ]
    for page in pages:
        assert re.findall(r"(?:<td>|scope=.row.>)<code>[^<]*", page) == [], "a code without words"
    assert "目录中有可推送的内容" in pages[1]
    assert re.findall(r'<td[^>]* lang="en">.+?</td>', pages[1]) == [], "a detail in English"
    assert "个人学习记录" in pages[2]
    glossary = client.get("/console/glossary", params={"language": "zh"}).text
    assert re.search(r">驾驶员[^<]*</th><td><code>83</code>", glossary)
    anchors = set(re.findall(r'id="([^"]+)"', glossary))
    links = {link for page in pages for link in re.findall(r'glossary#([^"]+)"', page)}
    assert len(links) > 20
    assert links - anchors == set()
