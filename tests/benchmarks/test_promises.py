"""One night with every rule switched on: every promise holds on every list, and planted faults are seen."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import promises
from benchmarks.promise_choices import Choices, choose
from benchmarks.promise_facts import Facts, Member, facts_of, members_of
from benchmarks.promises import PROMISES, broken, checked
from benchmarks.simulated import UNTIL, Size, take_in
from infra.db.engine import make_engine
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import OPEN, SMALL_MODELS, SMALL_RANKER


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facts, dict[str, Any]]]:
    """Return the facts of 300 simulated members, and what is broken on their lists."""
    folder = tmp_path_factory.mktemp("promises")
    settings, _ = take_in(folder, Size(members=300, items=120, days=60), study_rules=True)
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
    assert {"required", "review", "continue", "next_in_series", "starts_at", "opens", "saved", "to_try"} <= {
        *figures["by_reason"]
    }


def entry(item_id: str, code: str = "popular", cause: str | None = None) -> dict[str, Any]:
    """Return an entry as it is shown."""
    return {"item_id": item_id, "duration_seconds": 60, "reason": {"code": code, "arguments": {"item_id": cause}}}


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
        "what is overdue comes first": (active, [entry(open_items[0]), entry(open_items[1], "overdue")]),
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
            replace(active, choices=Choices(refused=frozenset({topic}))),
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
