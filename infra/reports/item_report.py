"""Members whose served list holds an item, by strategy, and how often they were shown it, opened and completed it."""

from collections import Counter
from typing import Any, Final

import orjson
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import list_entries, lists
from infra.policy.curated_entries import NOTHING_CURATED, stored_curated
from infra.policy.entry_texts import listed_items
from infra.policy.required_entries import NOTHING_REQUIRED, stored_entries
from infra.reports import push_rates
from infra.reports.small_groups import Row, suppress, without_figures
from infra.runs import store as runs
from infra.runs.store import ANYONE

BESIDE: Final = ("required", "curated", "saved")
"""Columns of lists that hold what is shown beside the ranked entries."""


def item_report(
    session: Session, organisation_key: int, item_id: str, *, zone: str = "UTC", min_group_size: int
) -> dict[str, Any]:
    """Return how many members get an item in the served run, and its outcomes on push lists by month.

    Returns
    -------
    dict
        ``item_id``; ``run_id``; ``by_strategy``, members whose list holds the item, by the strategy of the list;
        ``members``, the sum of its rows that are not suppressed; ``months``, the counts and rates of
        :func:`infra.reports.analytics.rates` in each month; ``total``, those over all months, None where there is none.

    Raises
    ------
    NoPublishedRunError
    NotFoundError
    """
    catalog.check_item(session, organisation_key, item_id)
    run = runs.latest(session, organisation_key)
    by_strategy = _by_strategy(session, run, item_id, min_group_size)
    rates = push_rates.rates(session, organisation_key, by="item", zone=zone, min_group_size=min_group_size)
    months = [(month.isoformat(), row) for month, row in rates if row["value"] == item_id]
    return {
        "item_id": item_id,
        "run_id": run["run_id"],
        "members": sum(row["members"] or 0 for row in by_strategy),
        "by_strategy": by_strategy,
        "months": [push_rates.summed(month, [row]) for month, row in months],
        "total": push_rates.summed(item_id, [row for _, row in months]) if months else None,
    }


def _by_strategy(session: Session, run: Row, item_id: str, min_group_size: int) -> list[Row]:
    """Return the number of members whose list holds an item, by strategy; required and pinned ones of the run count.

    A row is suppressed too where few of the strategy's members are without the item: they would be known by
    subtraction from the members of the strategy.
    """
    of_run = runs.of_run(lists, run)
    name = orjson.dumps(item_id).decode()
    # What a run stored beside a list counts only where it names the item.
    beside = [case((lists.c[each].contains(name, autoescape=True), lists.c[each])).label(each) for each in BESIDE]
    groups = (
        select(lists.c.strategy, lists.c.entries_hash, *beside, func.count().label("members"))
        .where(of_run, lists.c.member_id != ANYONE)
        .group_by(lists.c.strategy, lists.c.entries_hash, *beside)
    )
    holding = _hashes_with(session, run["organisation_key"], item_id, select(lists.c.entries_hash).where(of_run))
    sizes, holders = Counter[str](), Counter[str]()
    for group in session.execute(groups):
        sizes[group.strategy] += group.members
        if _is_shown(item_id, group, ranked=group.entries_hash in holding):
            holders[group.strategy] += group.members
    rows = [{"value": strategy, "members": number} for strategy, number in sorted(holders.items()) if number]
    few_without = {value for value, size in sizes.items() if 0 < size - holders[value] < min_group_size}
    return [
        without_figures(row) if row["value"] in few_without else row
        for row in suppress(rows, min_group_size=min_group_size)
    ]


def _is_shown(item_id: str, stored: Any, *, ranked: bool) -> bool:
    """Return whether an item is on a list, by what a run stored beside it and whether the item is ranked there."""
    required = stored_entries(stored.required) if stored.required else NOTHING_REQUIRED
    choice = stored_curated(stored.curated) if stored.curated else NOTHING_CURATED
    if any(entry["item_id"] == item_id for entry in (*required.urgent, *required.waiting)):
        return True
    if item_id in required.owed or item_id in choice.banned:
        return False
    return ranked or item_id in choice.pinned or (stored.saved is not None and item_id in orjson.loads(stored.saved))


def _hashes_with(session: Session, organisation_key: int, item_id: str, hashes: Select[Any]) -> set[str]:
    """Return those hashes of stored entries whose entries hold an item.

    The database finds the texts that may hold it: another entry may name the item as its reason, and SQLite compares
    without regard to case.
    """
    text = orjson.dumps(item_id).decode()
    query = select(list_entries.c.entries_hash, list_entries.c.entries).where(
        list_entries.c.organisation_key == organisation_key,
        list_entries.c.entries_hash.in_(hashes),
        list_entries.c.entries.contains(text, autoescape=True),
    )
    return {
        stored_hash
        for part in bulk.read_frames(session, query)
        for stored_hash, entries in zip(part["entries_hash"], part["entries"], strict=True)
        if item_id in listed_items(entries)
    }
