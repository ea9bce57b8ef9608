"""Lists without personalisation, on both databases: as shown they do not depend on study, and required study stays."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.policy.required_entries import ListRules
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.policy import PolicySettings
from tests.conftest import Take

EVENT = "event_id,member_id,item_id,verb,occurred_at\n"


@pytest.fixture
def shown(engine: Engine, now: datetime) -> Callable[[], dict[str, Any]]:
    """Return what shows the list of the member without personalisation."""

    def of() -> dict[str, Any]:
        rules = ListRules(PolicySettings(fatigue_shown=1))
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            return push_lists.shown(session, key, "private", ListRequest(n=100, now=now, rules=rules))

    return of


@pytest.mark.usefixtures("served")
def test_study_changes_nothing_and_what_is_required_or_dismissed_holds(
    shown: Callable[[], dict[str, Any]], take: Take
) -> None:
    before = shown()
    first, second, third, *_ = [item["item_id"] for item in before["items"]]
    verbs = ["shown", "viewed", "completed", "failed", "liked"]
    lines = [
        f"e{n}{item},private,{item},{verb},2026-03-02T00:0{n}:00Z\n"
        for n, verb in enumerate(verbs)
        for item in (first, second)
    ]
    take("events", EVENT + "".join(lines))
    assert shown() == before

    take("items", f"item_id,prerequisites\n{third},{first}\n")
    take("requirements", f"requirement_id,items,due_on\nr,{third},2026-03-02\ns,{second},2026-03-02\n")
    after = [item["item_id"] for item in shown()["items"]]
    assert after[:2] == [third, first], "its prerequisite counts as finished; what was finished is not required"

    take("events", f"{EVENT}x,private,{first},dismissed,2026-03-02T01:00:00Z\n")
    assert first not in [item["item_id"] for item in shown()["items"]]
