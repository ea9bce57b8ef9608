"""Promises of entries beside each other: none twice, variety in each window of a list, and less of topics last."""

from collections import Counter
from itertools import chain
from typing import Any

from benchmarks.promise_facts import Facts, Member
from benchmarks.promise_requirements import REQUIRED
from content_catalog.schema import split_list
from recommender.policy.rules.variety import PLACED


def nothing_twice(_facts: Facts, _member: Member, entries: list[dict[str, Any]]) -> bool:
    """Return whether no item is on the list more than once."""
    return len({entry["item_id"] for entry in entries}) == len(entries)


def various(facts: Facts, member: Member, entries: list[dict[str, Any]]) -> bool:
    """Return whether no limit is broken by an entry before others that would keep it, but those that a rule placed."""
    most = facts.policy.max_per_topic, facts.policy.max_per_provider, facts.policy.max_per_format
    limits = {name: limit for name, limit in zip(("topics", "provider", "format"), most, strict=True) if limit}
    kinds = [
        [(name, kind) for name in limits for kind in (split_list(row[name]) if name == "topics" else [row[name]])]
        for row in (facts.items[entry["item_id"]] for entry in entries)
    ]
    free = [
        entry["reason"]["code"] not in PLACED
        and member.less_topics.isdisjoint(split_list(facts.items[entry["item_id"]]["topics"]))
        for entry in entries
    ]

    def keeps(rank: int, recent: Counter[tuple[str, str]]) -> bool:
        return all(kind is None or recent[name, kind] < limits[name] for name, kind in kinds[rank])

    for rank in filter(free.__getitem__, range(len(entries))):
        recent = Counter(chain.from_iterable(kinds[max(0, rank - facts.policy.window + 1) : rank]))
        if not keeps(rank, recent) and any(free[later] and keeps(later, recent) for later in range(rank, len(entries))):
            return False
    return True


def less_of_topics_last(facts: Facts, member: Member, entries: list[dict[str, Any]]) -> bool:
    """Return whether entries of topics that the member wants less of come after all others that are ranked."""
    ranked = [entry["item_id"] for entry in entries if entry["reason"]["code"] not in {*REQUIRED, "saved", "pinned"}]
    less = [not member.less_topics.isdisjoint(split_list(facts.items[name]["topics"])) for name in ranked]
    return less == sorted(less)
