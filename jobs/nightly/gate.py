"""Gate: checks of a run's data and lists, all of which must pass before the lists are published.

Each check compares like with like: what could have been listed or counted, without what was removed on purpose.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from content_catalog.audience import Mask, available
from features.interactions import Interactions
from infra.policy.entry_texts import listed_items
from infra.settings.sections import NightlySettings
from jobs.nightly.training_data import TrainingData
from recommender.content.open_items import OpenItems
from recommender.evaluation.comparison import Difference
from recommender.linalg.ranges import cells_of

EXAMPLES: Final = 3
QUALITY: Final = "what was studied next is found as well as by the served ranking"
MAX_AGE: Final = pd.Timedelta(days=2)
"""Runs further apart differ for good reasons: what they list is not compared."""

MIN_GROUP_MEMBERS: Final = 20
"""A smaller role, industry or tenure is not checked."""

TENURE_DAYS: Final = (30.0, 365.0)
GROWTH: Final = 1.25
"""Growth of the events since the served run from which on lists differ for a good reason, or loss on purpose."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The checks of a run, each with ``name, passed, detail``, and the number of items on any list.

    ``passed`` is None of a check that warns. The numbers in ``detail`` are ``facts``.
    """

    checks: list[dict[str, Any]]
    listed_items: int = 0

    def __len__(self) -> int:
        """Return the number of checks."""
        return len(self.checks)

    @property
    def status(self) -> str:
        """``held`` where a check failed, else ``published``."""
        return "held" if any(check["passed"] is False for check in self.checks) else "published"


@dataclass(frozen=True, slots=True)
class ListChange:
    """Lists of a run beside those of the served one.

    Attributes
    ----------
    hashes : DataFrame
        The entries' hash ``now`` of every member with a list, and ``then`` for those with history at both runs.
    entries : Series
        The entries of all hashes, as JSON by hash.
    """

    hashes: pd.DataFrame
    entries: pd.Series


def check_data(data: TrainingData, before: dict[str, Any] | None, limits: NightlySettings) -> list[dict[str, Any]]:
    """Return the checks of a run's data, each with ``name, passed, detail``.

    ``before`` is the served run, None where there is none yet. Voided events and those that retention has aggregated
    count as there.
    """
    checks = [
        _check(
            "the catalogue offers something",
            data.n_offered > 0,
            "none of {items} items is available now; ingest some, or open some",
            items=len(data.items),
        )
    ]
    n_members = len(data.members) - 1  # without the one that stands for members to come
    checks.append(_check("the organisation has members", n_members > 0, "it has none; ingest some first"))
    expected = before["counts"].get("events") if before else None
    if before and expected and data.as_of >= before["as_of"]:
        lost = 1.0 - data.n_events / expected
        detail = (
            "{events:,} events, {lost:.0%} fewer than the {expected:,} of the served run;"
            " `nightly.max_event_loss` is {limit}"
        )
        facts = {"events": data.n_events, "lost": lost, "expected": expected, "limit": limits.max_event_loss}
        checks.append(_check("no events are missing", lost <= limits.max_event_loss, detail, **facts))
    return checks


def check_lists(
    open_items: OpenItems, lists: pd.DataFrame, owners: pd.Series, limits: NightlySettings, *, length: int
) -> list[dict[str, Any]]:
    """Return the checks of computed lists by themselves, each with ``name, passed, detail``.

    Parameters
    ----------
    lists : DataFrame
        ``member_id, item_id`` of the members whose lists were computed.
    owners : Series
        The member whose list a member has, by member.
    length : int
        Items of a full list.
    """
    interactions, item_ids = open_items.interactions, lists["item_id"]
    members = interactions.members.index.get_indexer(lists["member_id"])
    items = interactions.items.index.get_indexer(item_ids)
    listed = owners.map(lists["member_id"].value_counts()).astype("float64").fillna(0.0)
    left = np.minimum(open_items.n_left(interactions.members.index.get_indexer(owners.index)), length)
    without = owners.index[(listed.to_numpy() == 0) & (left > 0)]
    return [
        _check_none("every member has a list", without),
        _check_none("only available items", item_ids[~open_items.offered[items]].unique()),
        _check_none("no item outside its audience", item_ids[open_items.outside(members, items)].unique()),
        _check_none("no item before its prerequisites", item_ids[open_items.locked(members, items)].unique()),
        _check_none("no item without its device", item_ids[open_items.without_device(members, items)].unique()),
        _check_none(
            "no role, industry or tenure falls behind",
            _short_groups(interactions, listed, pd.Series(left, index=owners.index), limits.min_group_length),
        ),
    ]


def check_change(
    change: ListChange,
    open_items: OpenItems,
    items: pd.DataFrame,
    n_events: int,
    before: dict[str, Any] | None,
    limits: NightlySettings,
    *,
    as_of: pd.Timestamp,
) -> tuple[list[dict[str, Any]], int]:
    """Return the checks of a run's lists against those that are served, and how many items are on any list."""
    offered: Mask = available(items, as_of)
    available_items = items.index[offered]
    holds = _items_of(change.entries, available_items)
    row_of = pd.Series(np.arange(len(change.entries)), index=change.entries.index)
    used = row_of[change.hashes["now"].unique()].to_numpy()
    n_listed = int((np.asarray(holds[used].sum(axis=0)).ravel() > 0).sum())
    checks = [_check_coverage(n_listed, int(offered.sum()), before, limits)]
    if before is not None and _comparable(n_events, before, as_of):
        share = churn(change.hashes.dropna(), holds, row_of, open_items, available_items)
        detail, limit = "{share:.0%} of a list is new, more than `nightly.max_churn` = {limit:.0%}", limits.max_churn
        checks.append(_check("lists do not turn over", share <= limit, detail, share=share, limit=limit))
    return checks, n_listed


def _check_coverage(
    n_listed: int, n_offered: int, before: dict[str, Any] | None, limits: NightlySettings
) -> dict[str, Any]:
    share = n_listed / max(1, n_offered)
    before_listed = before["counts"].get("listed_items", 0) if before else 0
    return _check(
        "enough of the catalogue is listed",
        share >= limits.min_coverage or n_listed >= before_listed / 2,
        "{share:.1%} of the available items, less than `nightly.min_coverage` = {limit:.1%}, and"
        " {listed:,} items where the served run lists {before:,}",
        share=share,
        limit=limits.min_coverage,
        listed=n_listed,
        before=before_listed,
    )


def _comparable(n_events: int, before: dict[str, Any], as_of: pd.Timestamp) -> bool:
    """Return whether lists should be much like those of the run before: no days and not many events lie between."""
    few_days, counts = abs(as_of - before["as_of"]) <= MAX_AGE, before["counts"]
    stayed = counts.get("events", n_events)
    return few_days and max(n_events, stayed + counts.get("removed_events", 0)) <= GROWTH * stayed


def check_quality(difference: Difference | None, limits: NightlySettings) -> list[dict[str, Any]]:
    """Return the check of a run's ranking beside the served one, with ``name, passed, detail``.

    It fails where the ranking is worse for certain: where even the upper end of the interval is below the margin.
    """
    if difference is None:
        return []
    margin = limits.max_quality_loss * difference.before
    detail = (
        "NDCG {after:.3f} on {lists:,} lists, {before:.3f} as served; difference {mean:+.3f}, 95 % interval {low:+.3f}"
        " to {high:+.3f}, more than `nightly.max_quality_loss` = {limit:.0%} lost"
    )
    facts = {"after": difference.before + difference.mean, "limit": limits.max_quality_loss, **asdict(difference)}
    return [_check(QUALITY, difference.high >= -margin, detail, **facts)]


def churn(
    hashes: pd.DataFrame, holds: csr_matrix, row_of: pd.Series, open_items: OpenItems, item_ids: pd.Index
) -> float:
    """Return the mean share of a list that is new, over members of whose earlier list something could still be listed.

    Parameters
    ----------
    hashes : DataFrame
        The hashes ``now`` and ``then`` of each member.
    holds : csr_matrix
        Which of the available items each hash holds: (hashes, items) of ones.
    row_of : Series
        The row of each hash.
    item_ids : Index
        The available items.
    """
    now, then = (holds[row_of[hashes[name]].to_numpy()] for name in ("now", "then"))
    rows, columns = cells_of(then)
    members = open_items.interactions.members.index.get_indexer(hashes.index)[rows]
    items = open_items.interactions.items.index.get_indexer(item_ids)[columns]
    computed = np.flatnonzero((members >= 0) & (items >= 0))  # what nothing changed of was not computed again
    then.data[computed[open_items.closed(members[computed], items[computed])]] = 0.0
    now_size, then_size, stayed = (np.asarray(matrix.sum(axis=1)).ravel() for matrix in (now, then, now.multiply(then)))
    comparable = then_size > 0
    if not comparable.any():
        return 0.0
    # A list that has shrunk, as its items have gone, has not turned over.
    shares = stayed[comparable] / np.maximum(np.minimum(now_size, then_size)[comparable], 1.0)
    return float(1.0 - shares.mean())


def _items_of(entries: pd.Series, index: pd.Index) -> csr_matrix:
    """Return which items each entries hold: (entries, items) of ones; other items are left out."""
    ids = [listed_items(text) for text in entries]
    rows = np.repeat(np.arange(len(ids)), [len(of_list) for of_list in ids])
    columns = index.get_indexer(pd.Index([item_id for of_list in ids for item_id in of_list], dtype=index.dtype))
    listed = columns >= 0
    ones = np.ones(int(listed.sum()), dtype=np.float32)
    return csr_matrix((ones, (rows[listed], columns[listed])), shape=(len(ids), len(index)))


def _short_groups(interactions: Interactions, listed: pd.Series, left: pd.Series, floor: float) -> list[str]:
    """Return the groups whose lists hold a much smaller share of what they could than those of all members."""
    could = left > 0
    share = (listed[could] / left[could]).clip(upper=1.0)
    members = interactions.members.loc[share.index]
    joined = (interactions.as_of - members["joined_on"]) / pd.Timedelta(days=1)
    tenure = pd.cut(joined, [-np.inf, *TENURE_DAYS, np.inf], labels=["new", "first year", "longer"])
    least = floor * float(share.mean()) if len(share) else 0.0
    short = []
    for name, groups in {"role": members["role"], "industry": members["industry"], "tenure": tenure}.items():
        means = share.groupby(groups, observed=True).agg(["size", "mean"])
        behind = means[(means["size"] >= MIN_GROUP_MEMBERS) & (means["mean"] < least)]
        short += [f"{name} {value} ({mean:.0%} of what could be listed)" for value, mean in behind["mean"].items()]
    return short


def _check(name: str, passed: bool, detail: str, **facts: Any) -> dict[str, Any]:  # noqa: FBT001 - a row
    if passed:
        return {"name": name, "passed": True, "detail": ""}
    return {"name": name, "passed": False, "detail": detail.format(**facts), "facts": facts}


def _check_none(name: str, offending: Iterable[Any]) -> dict[str, Any]:
    failed = list(offending)
    check = _check(name, not failed, "{failed} fail", failed=len(failed))
    # Facts name no member; erasure and the API take the examples off the detail.
    return check | {
        "detail": check["detail"] and f"{check['detail']}, such as {', '.join(map(str, failed[:EXAMPLES]))}"
    }
