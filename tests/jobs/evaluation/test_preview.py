"""Previews of settings: what they predict is what members are shown after the next night under them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
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
from tests.conftest import FAR, NEAR, ON_SQLITE

LENGTH = 5
CHANGES: list[dict[str, Any]] = [
    {"advised_factor": 0.1, "difficulty": 0.9, "rotation": 0.9, "exploration_share": 0.9, "exploration_places": 3},
    {"window": 3, "max_per_topic": 1, "max_per_provider": 1, "max_per_format": 1, "diversity": 0.7},
    {"review_share": 0.4, "least_recall": 1.0, "longest_review_days": 4.0},
    {"continue_items": 3, "continue_days": 60.0, "continue_rank": 1, "series_rank": 4, "transition_days": 30},
    {"required_share": 0.01, "required_margin": 0.0, "saved_share": 0.01, "fatigue_shown": 1, "fatigue_days": 30.0},
]
"""Every setting of the policies, changed in one night or another."""
SHARES, RANKS = st.floats(0.01, 0.95), st.integers(1, 5)
DRAWN = {
    **dict.fromkeys(("advised_factor", "difficulty", "rotation", "diversity", "exploration_share"), SHARES),
    **dict.fromkeys(("review_share", "least_recall", "required_share", "required_margin", "saved_share"), SHARES),
    **dict.fromkeys(("exploration_places", "continue_rank", "series_rank"), RANKS),
    **dict.fromkeys(("max_per_topic", "max_per_provider", "max_per_format"), st.integers(0, 3)),
    **dict.fromkeys(("fatigue_shown", "continue_items"), st.integers(0, 2)),
    **dict.fromkeys(("longest_review_days", "continue_days", "fatigue_days"), st.floats(1, 60)),
    "window": st.integers(2, 6),
    "transition_days": st.integers(0, 30),
}


@pytest.fixture
def own(couriers: Engine, settings: Settings, take: Callable[..., Any], now: datetime) -> Settings:
    """Return the settings of an organisation that has what each rule needs, pins and showings among it."""
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
    showings = [f"{member_id},{item_id},shown,2026-02-27" for member_id in ("d1", "c1") for item_id in FAR]
    take("events", "\n".join(["member_id,item_id,verb,occurred_at", *showings]) + "\n")
    with transaction(couriers) as session:
        member_choices.save(session, organisations.key_of(session, "default"), "c3", "new", now=now)
    models = settings.models.model_copy(update={"list_length": LENGTH})
    # No gate holds back the lists that settings drawn at random change.
    gates = {"min_coverage": 0.0, "max_churn": 1.0, "max_quality_loss": 1.0, "min_group_length": 0.0}
    nights = settings.nightly.model_copy(update=gates)
    return settings.model_copy(update={"models": models, "nightly": nights, "policy": PolicySettings()})


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
    assert sorted(names) == sorted(DRAWN) == sorted(PolicySettings.model_fields)


@ON_SQLITE
@given(nights=st.lists(st.fixed_dictionaries(DRAWN), min_size=2, max_size=2))
@example(nights=CHANGES)
@hypothesis_settings(
    max_examples=1,
    phases=(Phase.explicit, Phase.generate),  # to shrink an example would take many nights
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_preview_of_settings_is_what_members_are_shown_after_the_next_night(
    engine: Engine, own: Settings, now: datetime, nights: list[dict[str, Any]]
) -> None:
    nightly(engine, own, now=now)
    for changes in nights:
        changed = own.model_copy(update={"policy": PolicySettings(**changes)})
        before = shown(engine, own, now)

        predicted = preview(engine, own, changed)

        assert predicted or changes not in CHANGES, "the settings change some list"
        assert shown(engine, own, now) == before, "nothing is written"
        assert nightly(engine, changed, now=now)["status"] == "published"
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
        own = changed
