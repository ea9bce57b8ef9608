"""Every change of a list is put down to what changed: where it was one input alone, to that one."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from infra.db.engine import transaction
from infra.explanations import explained_lists, list_changes
from infra.explanations.list_changes import MAX_PLACES, Step, attributed
from infra.serving.list_json import ListRequest
from infra.serving.online_model import OnlineModel, models_of
from infra.settings.policy import PolicySettings
from infra.settings.sections import PrivacySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, OPEN, Take

DAY = timedelta(days=1)
LISTS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)
Compare = Callable[[str, datetime, datetime], dict[str, Any]]


@given(before=LISTS, steps=st.lists(st.tuples(st.sampled_from(["profile", "own_events", "model"]), LISTS), min_size=1))
def test_every_item_that_came_went_or_moved_has_the_cause_of_a_step_that_moved_it(
    before: Sequence[str], steps: Sequence[Step]
) -> None:
    after = steps[-1][1]
    changes = dict(attributed(before, steps))
    moved = {
        item
        for item in {*before, *after}
        if item not in before or item not in after or abs(before.index(item) - after.index(item)) > MAX_PLACES
    }
    assert changes.keys() == moved
    assert {change["cause"] for change in changes.values()} <= {cause for cause, _ in steps}
    ranks = [{item: rank for rank, item in enumerate(items)} for items in (before, *(items for _, items in steps))]
    for item, change in changes.items():
        causes = {
            steps[number][0] for number in range(len(steps)) if ranks[number].get(item) != ranks[number + 1].get(item)
        }
        assert change["cause"] in causes


@pytest.fixture
def compare(engine: Engine, settings: Settings) -> Compare:
    """Return what compares a member's list at a moment with that of the night of a day."""

    def models(session: Session, run: dict[str, Any]) -> OnlineModel:
        return models_of(session, settings.artefacts_folder, run)

    def compared(member_id: str, since: datetime, now: datetime) -> dict[str, Any]:
        request = ListRequest(20, now)
        with transaction(engine) as session:
            then = explained_lists.listed(session, models, 1, member_id, request, since.date())
            served = explained_lists.listed(session, models, 1, member_id, request)
            return list_changes.changes(session, 1, then, served, request)

    return compared


@ON_SQLITE
def test_where_one_input_alone_changed_every_change_is_put_down_to_it(
    couriers: Engine, settings: Settings, take: Take, compare: Compare, now: datetime
) -> None:
    def execute(statement: str) -> None:
        with couriers.begin() as connection:
            connection.execute(text(statement))

    def study(member_id: str, day: datetime, *items: str) -> None:
        at = f"{day + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
        lines = "".join(f"{member_id},{item},completed,{at}\n" for item in items)
        take("events", f"member_id,item_id,verb,occurred_at\n{lines}")

    def others_study(day: datetime) -> None:
        for number in range(2, 10):
            study(f"d{number}", day, "o1", "o2", "o4")

    rules = settings.model_copy(update={"nightly": OPEN})
    other = rules.model_copy(
        update={
            "privacy": PrivacySettings(smallest_group=3),
            "models": rules.models.model_copy(update={"als_factors": 2}),
        }
    )
    day = now + DAY  # an item of the catalogue closes on the first
    nightly(couriers, rules, now=day)
    used, causes_by_input = rules, dict[str, set[str]]()
    for cause, change in {
        "model": others_study,
        "own_events": lambda day: study("d1", day, "o1", "o2", "o5"),
        "catalogue": lambda _: execute("UPDATE items SET hidden = true WHERE item_id IN ('v6', 'o3')"),
        "settings": lambda _: None,
        "profile": lambda _: execute("UPDATE members SET role = '41', industry = '60' WHERE member_id = 'd1'"),
    }.items():
        change(day)
        used = other if cause == "settings" else used
        before, day = day, day + DAY
        nightly(couriers, used, now=day)
        compared = compare("d1", before, day + timedelta(hours=1))
        assert compared["changed"] == [cause]
        causes_by_input[cause] = {change["cause"] for change in compared["changes"]}
        assert causes_by_input[cause] <= {cause}
    assert [cause for cause, causes in causes_by_input.items() if causes] == [
        cause for cause in causes_by_input if cause != "settings"
    ] or all(causes_by_input.values())


def test_what_is_required_pinned_or_banned_has_that_cause(
    couriers: Engine, settings: Settings, take: Take, compare: Compare, now: datetime
) -> None:
    rules, day = settings.model_copy(update={"nightly": OPEN}), now + DAY
    nightly(couriers, rules, now=day)
    assert compare("d1", day, day)["changed"] == []
    take("requirements", f"requirement_id,items,due_on\nr,o1,{day:%Y-%m-%d}\n")
    header = "curation_id,action,items,ends_at\n"
    take("curations", f"{header}p,pin,o2,2199-01-01T00:00:00Z\nb,ban,v6,2199-01-01T00:00:00Z\n")

    compared = compare("d1", day, day)
    causes = {change["item_id"]: (change["change"], change["cause"]) for change in compared["changes"]}
    assert compared["changed"] == ["curations", "requirements"]
    assert (causes["o1"][1], causes["o2"][1]) == ("requirements", "curations")
    assert causes["v6"] == ("went", "curations")


@ON_SQLITE
def test_what_chance_tried_has_that_cause(
    couriers: Engine, settings: Settings, compare: Compare, now: datetime
) -> None:
    rules, day = settings.model_copy(update={"nightly": OPEN}), now + DAY
    nightly(couriers, rules, now=day)
    nightly(couriers, rules.model_copy(update={"policy": PolicySettings(exploration_share=1.0)}), now=day + DAY)

    differences = [compare(f"{kind}{number}", day, day + DAY) for kind in "cd" for number in range(5)]

    tried = [each for each in differences if "exploration" in each["changed"]]
    assert len(tried) > 3
    assert all({change["cause"] for change in each["changes"]} <= {*each["changed"]} for each in tried)
    assert {"came", "moved"} & {
        change["change"] for each in tried for change in each["changes"] if change["cause"] == "exploration"
    }


@ON_SQLITE
def test_where_several_changed_each_item_has_the_cause_that_moved_it(
    couriers: Engine, settings: Settings, take: Take, compare: Compare, now: datetime
) -> None:
    rules, day = settings.model_copy(update={"nightly": OPEN}), now + DAY
    run = nightly(couriers, rules, now=day)
    take("items", "item_id,title,format,topics,published_at\nfresh,Fresh,video,safety,2026-03-03\n")
    take("events", "member_id,item_id,verb,occurred_at\nd1,v5,completed,2026-03-03T05:00:00Z\n")
    with couriers.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v6'"))

    online = compare("d1", day, day + timedelta(hours=5))
    assert (online["after"]["run_id"], online["after"]["generated_by"]) == (run["run_id"], "online")
    assert online["changed"] == ["own_events", "catalogue"]
    causes = {change["item_id"]: (change["change"], change["cause"]) for change in online["changes"]}
    assert causes["v5"] == ("went", "own_events")
    assert causes["v6"] == ("went", "catalogue")

    nightly(couriers, rules, now=day + DAY)
    compared = compare("d1", day, day + DAY)
    causes = {change["item_id"]: (change["change"], change["cause"]) for change in compared["changes"]}
    assert causes["fresh"] == ("came", "catalogue")
    assert causes["v5"] == ("went", "own_events")
    assert compare("d1", day + DAY, day + DAY)["changes"] == []
