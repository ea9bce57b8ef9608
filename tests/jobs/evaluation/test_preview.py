"""Previews of settings: what they predict is what members are shown after the next night under them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.policy import member_choices
from infra.policy.required_entries import list_rules
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.evaluation.preview import preview
from jobs.nightly.night import nightly
from tests.conftest import FAR, NEAR

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LENGTH = 5
CHANGES: list[dict[str, Any]] = [
    {"advised_factor": 0.1, "difficulty": 0.9, "rotation": 0.9, "exploration_share": 0.9, "exploration_places": 3},
    {"window": 3, "max_per_topic": 1, "max_per_provider": 1, "max_per_format": 1, "diversity": 0.7},
    {"review_share": 0.4, "least_recall": 1.0, "longest_review_days": 4.0},
    {"continue_items": 3, "continue_days": 60.0, "continue_rank": 1, "series_rank": 4, "transition_days": 30},
    {"required_share": 0.01, "required_margin": 0.0, "saved_share": 0.01, "fatigue_shown": 1, "fatigue_days": 30.0},
]
"""Every setting of the policies, changed; few at once, as each case makes two nights."""


def rows_of(take: Callable[..., Any]) -> None:
    """Store what each rule needs: topics, providers, difficulties, series, advice, new roles, requirements, pins."""
    lines = ["item_id,topics,provider,difficulty,series,series_position,advised_prerequisites"]
    for number, item_id in enumerate([*NEAR, *FAR]):
        level = ("beginner", "intermediate", "advanced")[number % 3]
        series = f"S,{number + 1}" if item_id in NEAR[:4] else ","
        lines.append(f"{item_id},t{number % 2},p{number % 3},{level},{series},{NEAR[0] if number > 5 else ''}")
    take("items", "\n".join(lines) + "\n")
    take("members", "member_id,follows\nd1,S\nd2,S\nc1,S\n")
    take("members", "member_id,role\nc9,83\n")
    take("requirements", "requirement_id,items,target_roles,due_on\nlater,new;o5,83,2026-06-01\nnow,o4,4,2026-03-02\n")
    curations = f"pin,pin,{FAR[0]},4,2026-04-01T00:00:00Z\nban,ban,{NEAR[1]},,2026-04-01T00:00:00Z\n"
    take("curations", f"curation_id,action,items,target_roles,ends_at\n{curations}")


def shown(engine: Engine, settings: Settings, at: datetime) -> dict[str, dict[str, int]]:
    """Return the ranks of the items on each member's list as it is shown."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        member_ids = [*catalog.existing_ids(session, key)["member_id"]]
        request = ListRequest(LENGTH, at, rules=list_rules(settings))
        lists = push_lists.shown_many(session, key, member_ids, request)
    return {name: {item["item_id"]: item["rank"] for item in body["items"]} for name, body in lists.items()}


def test_every_setting_is_tried() -> None:
    names = [name for changes in CHANGES for name in changes]
    assert sorted(names) == sorted(PolicySettings.model_fields)


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
def test_a_preview_of_a_setting_is_what_members_are_shown_after_the_next_night(
    engine: Engine, settings: Settings, take: Callable[..., Any], now: datetime, changes: dict[str, Any]
) -> None:
    rows_of(take)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        member_choices.save(session, key, "c3", "new", now=now)
    models = settings.models.model_copy(update={"list_length": LENGTH})
    own = settings.model_copy(update={"models": models, "policy": PolicySettings()})
    changed = own.model_copy(update={"policy": PolicySettings(**changes)})
    nightly(engine, own, now=now)
    before = shown(engine, own, now)

    predicted = preview(engine, own, changed)

    assert predicted, "the settings change some list"
    assert shown(engine, own, now) == before, "nothing is written"
    nightly(engine, changed, now=now)
    after = shown(engine, changed, now)
    real = {
        (name, item_id, change, ranks[item_id])
        for name in before
        for change, ranks, other in (("gains", after[name], before[name]), ("loses", before[name], after[name]))
        for item_id in ranks
        if item_id not in other
    }
    assert {(row["member_id"], row["item_id"], row["change"], row["rank"]) for row in predicted} == real
    assert len(predicted) == len(real)
