"""One night with every rule switched on: every promise holds on every list, and planted faults are seen."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import promises
from benchmarks.promise_choices import Choices, choose
from benchmarks.promise_facts import Facts, Member, facts_of, members_of
from benchmarks.promise_requirements import Owed, owed_by
from benchmarks.promise_transitions import falls, lists_that_fall_back
from benchmarks.promises import PROMISES, broken, checked
from benchmarks.simulated import UNTIL, Size, take_in
from infra.db.engine import make_engine
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import OPEN, SMALL_MODELS, SMALL_RANKER


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facts, dict[str, Any]]]:
    """Return the facts of 150 simulated members, and what is broken on their lists."""
    folder = tmp_path_factory.mktemp("promises")
    settings, _ = take_in(folder, Size(members=150, items=120, days=60), study_rules=True)
    changed = {"policy": promises.POLICY, "models": SMALL_MODELS, "ranker": SMALL_RANKER, "nightly": OPEN}
    settings = Settings.model_validate(settings.model_copy(update=changed))
    engine = make_engine(settings.database_url)
    choose(engine, settings)
    nightly(engine, settings, now=UNTIL)
    facts = facts_of(engine, settings)
    yield facts, checked(engine, settings, facts)
    engine.dispose()


def test_every_promise_holds_on_every_list(night: tuple[Facts, dict[str, Any]]) -> None:
    _, figures = night

    assert figures["lists"] == 600
    assert {name: faults["lists"] for name, faults in figures["broken"].items() if faults["lists"]} == {}
    reasons = {"required", "review", "continue", "next_in_series", "starts_at", "opens", "saved", "pinned", "to_try"}
    assert reasons <= {*figures["by_reason"]}


def test_no_list_of_a_member_in_transition_falls_back(night: tuple[Facts, dict[str, Any]]) -> None:
    facts, _ = night
    policy = {"policy": promises.POLICY.model_copy(update={"transition_days": 2}), "models": SMALL_MODELS}
    settings = Settings.model_validate({**policy, "database_url": "sqlite://"})

    n_lists, falling = lists_that_fall_back(settings, facts.interactions, facts.taxonomies)

    moved = facts.interactions.members["moved_days"][facts.interactions.personalised].dropna()
    assert {*moved} == {3.0, 8.0, 30.0}, "those that the simulation made, by way of two files of members"
    assert (n_lists, falling) == (3 * len(moved), [])
    assert falls([["a"], ["b"], ["a"]])


def entry(
    item_id: str, code: str = "popular", cause: str | None = None, requirement_id: str | None = None
) -> dict[str, Any]:
    """Return an entry as it is shown."""
    arguments = {"item_id": cause, "requirement_id": requirement_id}
    return {"item_id": item_id, "duration_seconds": 60, "reason": {"code": code, "arguments": arguments}}


def owing(facts: Facts, members: dict[str, Member]) -> Iterator[tuple[Member, Owed, str]]:
    """Yield members with each of their open requirements and a step of it that they may be offered."""
    for member in members.values():
        for owed in owed_by(facts, member).values():
            yield from ((member, owed, step) for step in owed.steps if facts.is_open(step, member))


def test_each_promise_is_seen_to_be_broken(night: tuple[Facts, dict[str, Any]]) -> None:
    facts, _ = night
    members = dict(members_of(facts))
    open_items = [item_id for item_id in facts.items if facts.is_available(item_id)]
    hidden = next(item_id for item_id, row in facts.items.items() if row["hidden"])
    active = next(member for member in members.values() if member.finished and member.personalised)
    done = next(iter(active.finished))
    follower = next(
        member for member in members.values() if not PROMISES["the next of each followed series"](facts, member, [])
    )
    topic = facts.items[open_items[0]]["topics"].split(";")[0]
    other = next(item_id for item_id in open_items if topic not in facts.items[item_id]["topics"].split(";"))
    saved = next(
        item_id
        for item_id in facts.items
        if facts.is_open(item_id, active) and item_id not in active.finished | facts.required
    )
    urgent, pressing, step = next(each for each in owing(facts, members) if each[1].slack_days <= 0)
    of_roles = {row["requirement_id"] for row in facts.requirements if row["target_roles"]}
    courier, of_role, task = next(each for each in owing(facts, members) if each[1].requirement_id in of_roles)
    walk = next(item_id for item_id, row in facts.items.items() if row["format"] == "vr")
    pinned, banned = (facts.curated(action, active) for action in ("pin", "ban"))
    open_pin = next(item_id for item_id in pinned if facts.is_open(item_id, active))
    live = next(item_id for item_id, row in facts.items.items() if row["starts_at"])
    picky = replace(active, less_topics=frozenset({topic}))
    cells = {
        open_items[0]: {
            "finished": False,
            "weight": 0.0,
            "progress": 0.0,
            "study_seconds": 0.0,
            "failures": 0.0,
            "last_at": 0,
        }
    }
    against = Member(personalised=True, less_topics=frozenset(), follows=(), within=[set()] * 3, cells=cells)
    faults: dict[str, tuple[Member, list[dict[str, Any]]]] = {
        "no item twice": (active, [entry(open_items[0]), entry(open_items[0])]),
        "only what the member may be offered": (active, [entry(hidden)]),
        "nothing finished, but for review": (active, [entry(done)]),
        "nothing the member is against": (against, [entry(open_items[0])]),
        "no item without its device": (replace(active, cells={}, devices=()), [entry(walk)]),
        "only requirements of the present role": (
            replace(courier, within=[set()] * 3),
            [entry(task, "required", requirement_id=of_role.requirement_id)],
        ),
        "what cannot wait comes first": (
            urgent,
            [entry(other), entry(step, "required", requirement_id=pressing.requirement_id)],
        ),
        "pins are on top": (replace(active, cells={}), [entry(other), entry(open_pin, "pinned")]),
        "nothing banned": (active, [entry(banned[0])]),
        "live sessions are announced": (active, [entry(live)]),
        "share of required items": (
            active,
            [entry(open_items[0]), entry(open_items[1], "required"), entry(open_items[2], "required"), entry(other)],
        ),
        "share and rest of reviewed items": (active, [entry(item_id, "review") for item_id in open_items[:3]]),
        "continued items were begun": (active, [entry(done, "continue")]),
        "the next of each followed series": (follower, []),
        "less of a topic comes last": (picky, [entry(open_items[0]), entry(other)]),
        "no history of who switched it off": (replace(active, personalised=False), [entry(done, "review")]),
        "what is saved is on the list": (
            replace(active, choices=Choices(saved=frozenset({saved}))),
            [],
        ),
        "no reason goes by a deleted topic": (
            replace(active, choices=Choices(deleted=frozenset({topic}))),
            [entry(other, "because_studied", open_items[0])],
        ),
        "what was shown often rests": (
            replace(active, choices=Choices(shown=frozenset({other}))),
            [entry(other)],
        ),
        "reasons are true": (active, [entry(open_items[0], "better_after", done)]),
    }

    assert faults.keys() == PROMISES.keys()
    for name, (member, entries) in faults.items():
        assert name in broken(facts, member, entries, PROMISES), name
    long = [entry(open_items[0]) | {"duration_seconds": 721}]
    assert broken(facts, active, long, promises.TIMELY) == ["the minutes are kept"]
    alike = [
        item_id for item_id in open_items if facts.items[item_id]["topics"] == facts.items[open_items[0]]["topics"]
    ]
    crowded = [entry(item_id) for item_id in [*alike[:3], other]]
    assert broken(facts, active, crowded, promises.COMPUTED) == ["topics, providers and formats vary"]
    course = next(item_id for item_id, row in facts.items.items() if row["format"] == "course")
    assert broken(facts, active, [entry(course)], promises.FILTERED) == ["filters are obeyed"]
