"""Promises of the policies, asserted on every list of one night.

``python -m benchmarks.promises --members 20000 --json FILE`` simulates an organisation with study rules, makes a night
with every rule switched on, and looks at the list of every member, as it was computed and as it is shown. It prints
``lists``, ``entries``, ``by_reason`` (entries by the code of their reason) and ``broken``: for each of
:data:`PROMISES` the lists that break it, as ``member_id``, at most ten, and their number.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from benchmarks.promise_choices import choose
from benchmarks.promise_facts import Facts, Member, facts_of, members_of
from benchmarks.promise_order import less_of_topics_last, nothing_twice, various
from benchmarks.promise_requirements import (
    REQUIRED,
    nothing_banned,
    only_own_requirements,
    pins_are_on_top,
    required_share,
    what_cannot_wait_comes_first,
)
from benchmarks.promise_transitions import lists_that_fall_back
from benchmarks.simulated import UNTIL, Size, take_in
from content_catalog.schema import split_list
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.policy.entry_texts import entry_of, split_entries
from infra.policy.required_entries import list_rules
from infra.serving import list_query, push_lists
from infra.serving.list_json import MAX_LIST_LENGTH, ListRequest
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from recommender.explanations.translations import MESSAGES
from recommender.policy.registry import REASONS as OF_RULES
from recommender.policy.rules.review import REVIEW
from recommender.policy.selection import EVERYTHING, Selection

POLICY: Final = PolicySettings(
    difficulty=0.1,
    rotation=0.05,
    max_per_topic=2,
    max_per_provider=3,
    max_per_format=3,
    diversity=0.1,
    continue_items=2,
    review_share=0.1,
    least_recall=0.9,
    exploration_share=1.0,
    fatigue_shown=3,
    transition_days=10,
)
MINUTES: Final = 12
SOME: Final = Selection(
    max_minutes=10, topics=frozenset({"safety", "technology", "trends"}), formats=frozenset({"article", "short_video"})
)
BLOCK_MEMBERS: Final = 2_000
EXAMPLES: Final = 10
OWN_HISTORY: Final = frozenset(
    {"because_finished", "because_studied", "often_next_after", "fits_your_topics", "fits_your_habits"}
    | {REVIEW, "continue", "next_in_series", "better_after", "opens"}
)
"""Reasons that depend on what the member did."""
OF_STUDIED_ITEMS: Final = frozenset({"because_finished", "because_studied", "often_next_after", REVIEW, "continue"})

Entry = dict[str, Any]


def _code(entry: Entry) -> str:
    return str(entry["reason"]["code"])


def _only_open(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return all(facts.is_open(entry["item_id"], member) for entry in entries)


def _no_item_without_its_device(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return all(facts.can_be_used(entry["item_id"], member) for entry in entries)


def _sessions_are_announced(facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    now = facts.interactions.as_of
    coming = [entry for entry in entries if (facts.items[entry["item_id"]]["starts_at"] or now) > now]
    return all(_code(entry) in {*REQUIRED, *OF_RULES, "pinned", "saved"} for entry in coming)


def _finished_only_for_review(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return not member.personalised or all(
        _code(entry) in {*REQUIRED, REVIEW} for entry in entries if entry["item_id"] in member.finished
    )


def _nothing_the_member_is_against(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    deleted = member.choices.deleted
    topics = {item_id: split_list(facts.items[item_id]["topics"]) for item_id in member.without_weight}
    against = {item_id for item_id in topics if deleted.isdisjoint(topics[item_id])} - member.choices.saved
    return all(_code(entry) in REQUIRED for entry in entries if entry["item_id"] in against)


def _review_share(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    reviewed = [entry["item_id"] for entry in entries if _code(entry) == REVIEW]
    latest = (facts.interactions.as_of - timedelta(hours=36)).value // 1_000
    return len(reviewed) <= facts.policy.review_share * facts.length and all(
        item_id in member.finished and member.cells[item_id]["last_at"] < latest for item_id in reviewed
    )


def _continue_what_was_begun(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    names = [entry["item_id"] for entry in entries if _code(entry) == "continue"]
    began = {
        item_id
        for item_id, cell in member.cells.items()
        if not cell["finished"] and (cell["progress"] > 0 or cell["study_seconds"] > 0 or cell["failures"] > 0)
    }
    return len(names) <= facts.policy.continue_items and began >= {*names}


def _next_in_series(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    shown = {entry["item_id"] for entry in entries}
    for name in member.follows if member.personalised else ():
        gone = member.finished | {item_id for item_id, cell in member.cells.items() if not cell["weight"]}
        left = [item_id for item_id in facts.series.get(name, ()) if item_id not in gone]
        following = next((item_id for item_id in left if facts.is_open(item_id, member)), None)
        if following is not None and following not in shown | facts.required | member.choices.shown:
            return False
    return True


def _no_history_of_who_switched_off(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return member.personalised or not OWN_HISTORY & {*map(_code, entries)}


def _saved_items_return(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    left = member.choices.saved - member.finished - facts.required - {entry["item_id"] for entry in entries}
    as_offered = member if member.personalised else replace(member, cells={})
    return not any(facts.is_open(item_id, as_offered) for item_id in left)


def _no_deleted_topics(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    deleted = member.choices.deleted
    for entry in entries:
        arguments = entry["reason"]["arguments"]
        if _code(entry) == "fits_your_topics" and arguments["topic"] in deleted:
            return False
        if _code(entry) in OF_STUDIED_ITEMS:
            studied = facts.items[arguments.get("item_id") or entry["item_id"]]
            if not deleted.isdisjoint(split_list(studied["topics"])):
                return False
    return True


def _rest_after_showings(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    tired = member.choices.shown if member.personalised else frozenset()
    return all(_code(entry) in {*REQUIRED, REVIEW, "saved", "pinned"} for entry in entries if entry["item_id"] in tired)


def _true_reasons(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    for entry in entries:
        code, named = _code(entry), entry["reason"]["arguments"].get("item_id")
        starts = facts.items[entry["item_id"]]["starts_at"]
        wrong = {
            "starts_at": starts is None or starts <= facts.interactions.as_of,
            "better_after": named in member.finished,
            "opens": named is not None and entry["item_id"] not in split_list(facts.items[named]["prerequisites"]),
            "because_finished": named not in member.finished,
        }
        if code not in MESSAGES or wrong.get(code, False):
            return False
    return True


def _within_minutes(_facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    return sum(entry["duration_seconds"] for entry in entries) <= 60 * MINUTES


def _filters_are_obeyed(facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    rows = [facts.items[entry["item_id"]] for entry in entries]
    return all(
        row["format"] in SOME.formats
        and not SOME.topics.isdisjoint(split_list(row["topics"]))
        and row["duration_seconds"] <= 600
        for row in rows
    )


Promise = Callable[[Facts, Member, list[Entry]], bool]
PROMISES: Final[dict[str, Promise]] = {
    "no item twice": nothing_twice,
    "only what the member may be offered": _only_open,
    "no item without its device": _no_item_without_its_device,
    "nothing finished, but for review": _finished_only_for_review,
    "nothing the member is against": _nothing_the_member_is_against,
    "only requirements of the present role": only_own_requirements,
    "what cannot wait comes first": what_cannot_wait_comes_first,
    "share of required items": required_share,
    "pins are on top": pins_are_on_top,
    "nothing banned": nothing_banned,
    "live sessions are announced": _sessions_are_announced,
    "share and rest of reviewed items": _review_share,
    "continued items were begun": _continue_what_was_begun,
    "the next of each followed series": _next_in_series,
    "less of a topic comes last": less_of_topics_last,
    "no history of who switched it off": _no_history_of_who_switched_off,
    "what is saved is on the list": _saved_items_return,
    "no reason goes by a deleted topic": _no_deleted_topics,
    "what was shown often rests": _rest_after_showings,
    "reasons are true": _true_reasons,
}
TIMELY: Final[dict[str, Promise]] = {"the minutes are kept": _within_minutes}
FILTERED: Final[dict[str, Promise]] = {"filters are obeyed": _filters_are_obeyed}
COMPUTED: Final[dict[str, Promise]] = {"topics, providers and formats vary": various}
"""Promises of lists as they are computed; what is added and left out when they are shown moves entries."""
BY_SELECTION: Final = ((EVERYTHING, PROMISES), (Selection(minutes=MINUTES), TIMELY), (SOME, FILTERED))
"""Promises of whole lists, of those for twelve minutes and of filtered ones."""
FALLS_BACK: Final = "the new role's share never falls"


def broken(facts: Facts, member: Member, entries: list[Entry], promises: dict[str, Promise]) -> list[str]:
    """Return the promises that a list breaks."""
    return [name for name, holds in promises.items() if not holds(facts, member, entries)]


def checked(engine: Engine, settings: Settings, facts: Facts) -> dict[str, Any]:
    """Return what is broken on the lists of all members, as they are shown and as they were computed."""
    members = dict(members_of(facts))
    reasons: Counter[str] = Counter()
    failures: dict[str, list[str]] = {name: [] for name in PROMISES | TIMELY | FILTERED | COMPUTED}
    names, n_lists = [*members], 0
    for start in range(0, len(names), BLOCK_MEMBERS):
        for promises, lists in _lists_of(engine, settings, names[start : start + BLOCK_MEMBERS]):
            for member_id, entries in lists.items():
                n_lists += 1
                reasons.update(map(_code, entries))
                for name in broken(facts, members[member_id], entries, promises):
                    failures[name].append(member_id)
    return {
        "members": len(members),
        "lists": n_lists,
        "entries": reasons.total(),
        "by_reason": dict(sorted(reasons.items())),
        "broken": {name: {"lists": len(ids), "members": ids[:EXAMPLES]} for name, ids in failures.items()},
    }


def _lists_of(
    engine: Engine, settings: Settings, member_ids: Sequence[str]
) -> Iterator[tuple[dict[str, Promise], dict[str, list[Entry]]]]:
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        for selection, promises in BY_SELECTION:
            request = ListRequest(MAX_LIST_LENGTH, UNTIL, "en", selection=selection, rules=list_rules(settings))
            shown = push_lists.shown_many(session, key, member_ids, request)
            yield promises, {member_id: body["items"] for member_id, body in shown.items()}
        stored = list_query.read(session, key, member_ids).items()
        yield COMPUTED, {member_id: [*map(entry_of, split_entries(row.entries))] for member_id, row in stored}


def run(folder: Path, size: Size) -> dict[str, Any]:
    """Return the figures of a night of an organisation of some size."""
    settings, _ = take_in(folder, size, study_rules=True)
    settings = settings.model_copy(update={"policy": POLICY})
    engine = make_engine(settings.database_url)
    choose(engine, settings)
    status = nightly(engine, settings, now=UNTIL)["status"]
    facts = facts_of(engine, settings)
    figures = checked(engine, settings, facts)
    engine.dispose()
    n_lists, falling = lists_that_fall_back(settings, facts.interactions, facts.taxonomies)
    figures["transition_lists"] = n_lists
    figures["broken"][FALLS_BACK] = {"lists": len(falling), "members": falling[:EXAMPLES]}
    return {"status": status} | figures


def main() -> None:
    """Print the figures, and write them to a file."""
    parser = argparse.ArgumentParser(description="Promises of the policies on every list of one night")
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), Size(members=args.members, items=args.items, days=60, training=3))
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
