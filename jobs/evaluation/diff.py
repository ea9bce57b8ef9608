"""Difference between two sets of lists: the items each member gains and loses."""

from typing import Any

import orjson
import pandas as pd

from infra.runs.list_contents import RunLists
from infra.runs.store import ANYONE


def between(before: RunLists, after: RunLists) -> list[dict[str, Any]]:
    """Return a row per member and item that is on one list only: ``member_id, item_id, change, rank``.

    ``change`` is ``gains`` or ``loses``, ``rank`` the place on the list that has the item; in order of member, change
    and rank. A member who has a list on one side only gains or loses all of it.
    """
    both = pd.concat({"before": before.hashes, "after": after.hashes}, axis=1).drop(index=ANYONE, errors="ignore")
    changed = both[both["before"].fillna("") != both["after"].fillna("")].sort_index()
    ranks: dict[str, dict[str, int]] = {}
    for text in (before.entries, after.entries):
        ranks |= {content: _ranks(entries) for content, entries in text.items()}
    rows = []
    for member_id, then, now in changed.itertuples():
        old, new = ranks.get(then, {}), ranks.get(now, {})
        for change, has, lacks in (("gains", new, old), ("loses", old, new)):
            rows += [
                {"member_id": member_id, "item_id": item_id, "change": change, "rank": rank}
                for item_id, rank in has.items()
                if item_id not in lacks
            ]
    return rows


def _ranks(entries: str) -> dict[str, int]:
    return {entry["item_id"]: rank for rank, entry in enumerate(orjson.loads(entries), 1)}
