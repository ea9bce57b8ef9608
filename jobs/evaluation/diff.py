"""Difference between two sets of lists: the items each member gains and loses."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from infra.policy.entry_texts import listed_items
from infra.runs.list_contents import RunLists
from infra.runs.store import ANYONE

Ranks = Mapping[str, int]
"""The rank of each item of a list."""


def between(before: RunLists, after: RunLists) -> list[dict[str, Any]]:
    """Return a row per member and item that is on one list only: ``member_id, item_id, change, rank``.

    ``change`` is ``gains`` or ``loses``, ``rank`` the place on the list that has the item; in order of member, change
    and rank. A member who has a list on one side only gains or loses all of it.
    """
    both = pd.concat({"before": before.hashes, "after": after.hashes}, axis=1).drop(index=ANYONE, errors="ignore")
    changed = both[both["before"].fillna("") != both["after"].fillna("")].sort_index()
    ranks = {key: _ranks(entries) for lists in (before, after) for key, entries in lists.entries.items()}
    return [
        row
        for member_id, then, now in changed.itertuples()
        for row in changes_of(member_id, ranks.get(then, {}), ranks.get(now, {}))
    ]


def changes_of(member_id: str, before: Ranks, after: Ranks) -> list[dict[str, Any]]:
    """Return the rows of a member, as :func:`between` has them.

    >>> [(row["item_id"], row["change"], row["rank"]) for row in changes_of("m1", {"a": 1, "b": 2}, {"b": 1, "c": 2})]
    [('c', 'gains', 2), ('a', 'loses', 1)]
    """
    return [
        {"member_id": member_id, "item_id": item_id, "change": change, "rank": rank}
        for change, has, lacks in (("gains", after, before), ("loses", before, after))
        for item_id, rank in has.items()
        if item_id not in lacks
    ]


def _ranks(entries: str) -> Ranks:
    return {item_id: rank for rank, item_id in enumerate(listed_items(entries), 1)}
