"""The gate: what must hold of a night's data and lists before they are published."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.audience import AudienceMask, Mask, available
from content_catalog.prerequisites import PrerequisiteMask
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.settings.sections import NightlySettings
from recommender.evaluation.comparison import Difference

SHOWN: Final = 3
FOUND: Final = "what was studied next is found as well as by the served ranking"
COMPARED: Final = pd.Timedelta(days=2)
"""Nights further apart may differ for good reasons: what they list is not compared."""

SLICE_MEMBERS: Final = 20
"""A slice of fewer members is not judged."""

TENURE_DAYS: Final = (30.0, 365.0)
BLOCK_MEMBERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """Lists of members who had one before as well.

    Attributes
    ----------
    pairs : DataFrame
        The content of each member's list ``now`` and ``then``.
    entries : Series
        The entries of the contents that differ, as JSON text by content.
    """

    pairs: pd.DataFrame
    entries: pd.Series


def check_data(
    items: pd.DataFrame,
    n_events: int,
    before: dict[str, Any] | None,
    limits: NightlySettings,
    *,
    as_of: pd.Timestamp,
) -> list[dict[str, Any]]:
    """Return the checks of what a night learns from, each with ``name, passed, detail``.

    ``before`` is the run that is served, None where there is none yet.
    """
    offered = int(available(items, as_of).sum())
    checks = [_told("the catalogue offers something", offered > 0, f"none of {len(items)} items; ingest some first")]
    expected = before["counts"].get("events") if before else None
    if before and expected and as_of >= before["as_of"]:
        lost = 1.0 - n_events / expected
        detail = f"{n_events:,} events, {lost:.0%} fewer than the {expected:,} of the night before"
        checks.append(_told("no events are missing", lost <= limits.max_event_loss, detail))
    return checks


def check(
    known: Interactions,
    lists: pd.DataFrame,
    shared: pd.Series,
    taxonomies: dict[str, Taxonomy],
    limits: NightlySettings,
) -> list[dict[str, Any]]:
    """Return the checks of a night's lists by themselves, each with ``name, passed, detail``.

    Parameters
    ----------
    lists : DataFrame
        ``member_id, item_id`` of the members whose lists others share.
    shared : Series
        For every member the one whose list it has.
    """
    members = known.members.index.get_indexer(lists["member_id"])
    items = known.items.index.get_indexer(lists["item_id"])
    offered: Mask = available(known.items, known.as_of)
    audience = AudienceMask(known.items, roles=taxonomies["role"], industries=taxonomies["industry"])
    groups, masks = audience.groups(known.members)
    without = np.flatnonzero(~shared.isin(lists["member_id"].unique()).to_numpy())
    listed_share = len(np.unique(items)) / max(1, int(offered.sum()))
    return [
        _none(
            "every member has a list",
            known.members.index[without[_unstudied(known, without, groups, masks & offered) > 0]],
        ),
        _none("only available items", lists["item_id"][~offered[items]].unique()),
        _none("no item outside its audience", lists["item_id"][~masks[groups[members], items]].unique()),
        _none("no item before its prerequisites", lists["item_id"][_too_early(known, members, items)].unique()),
        _told(
            "enough of the catalogue is listed",
            listed_share >= limits.min_coverage,
            f"{listed_share:.1%} of the offered items, less than {limits.min_coverage:.1%}",
        ),
        _none("no role, industry or tenure falls behind", _behind(known, lists, shared, limits.min_group_length)),
    ]


def check_change(
    change: Change | None,
    items: pd.Index,
    before: dict[str, Any] | None,
    limits: NightlySettings,
    *,
    as_of: pd.Timestamp,
) -> list[dict[str, Any]]:
    """Return the checks of a night's lists against those that are served, each with ``name, passed, detail``."""
    if change is None or before is None or abs(as_of - before["as_of"]) > COMPARED:
        return []
    turned = churn(change, items)
    detail = f"{turned:.0%} of a list is new against the night before, more than {limits.max_churn:.0%}"
    return [_told("lists do not turn over", turned <= limits.max_churn, detail)]


def check_quality(difference: Difference | None, limits: NightlySettings) -> list[dict[str, Any]]:
    """Return the check of a night's ranking beside the one that is served, with ``name, passed, detail``.

    It fails where the ranking is worse for certain: where even the upper end of the interval is below the margin.
    """
    if difference is None:
        return []
    margin = limits.max_quality_loss * difference.before
    detail = (
        f"NDCG {difference.before + difference.mean:.3f} on {difference.lists:,} lists, {difference.before:.3f} as"
        f" served; difference {difference.mean:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f},"
        f" more than {limits.max_quality_loss:.0%} lost"
    )
    return [_told(FOUND, difference.high >= -margin, detail)]


def churn(change: Change, index: pd.Index) -> float:
    """Return the mean share of a member's list that was not on its list before, over members who have both."""
    differ = change.pairs[change.pairs["now"] != change.pairs["then"]]
    if differ.empty:
        return 0.0
    items = _items(change.entries, index)
    ours, theirs = (items[change.entries.index.get_indexer(differ[name])] for name in ("now", "then"))
    stayed = np.asarray(ours.multiply(theirs).sum(axis=1)).ravel()
    length = np.maximum(np.asarray(ours.sum(axis=1)).ravel(), 1.0)
    return float((1.0 - stayed / length).sum() / len(change.pairs))


def _items(entries: pd.Series, index: pd.Index) -> csr_matrix:
    """Return which items each content holds: (contents, items) of ones; items that are not known are left out."""
    names = [[entry["item_id"] for entry in orjson.loads(text)] for text in entries]
    rows = np.repeat(np.arange(len(names)), [len(one) for one in names])
    columns = index.get_indexer(pd.Index([name for one in names for name in one], dtype=index.dtype))
    there = columns >= 0
    ones = np.ones(int(there.sum()), dtype=np.float32)
    return csr_matrix((ones, (rows[there], columns[there])), shape=(len(names), len(index)))


def _unstudied(
    known: Interactions, members: NDArray[np.intp], groups: NDArray[np.intp], may: Mask
) -> NDArray[np.int64]:
    """Return how many of the items that it may be offered each of some members has not studied yet."""
    open_to = may[groups[members]] & ~PrerequisiteMask(known.items, known.as_of).blocked(known.finished[members])
    seen = known.seen[members]
    open_to[np.repeat(np.arange(len(members)), np.diff(seen.indptr)), seen.indices] = False
    return np.asarray(open_to.sum(axis=1))


def _too_early(known: Interactions, members: NDArray[np.intp], items: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return for each member and item whether the member has not finished what the item needs."""
    early = np.zeros(len(members), dtype=bool)
    needing = np.flatnonzero(known.items["prerequisites"].notna().to_numpy()[items])
    asked, position = np.unique(members[needing], return_inverse=True)
    mask = PrerequisiteMask(known.items, known.as_of)
    for start in range(0, len(asked), BLOCK_MEMBERS):
        block = (position >= start) & (position < start + BLOCK_MEMBERS)
        closed = mask.blocked(known.finished[asked[start : start + BLOCK_MEMBERS]])
        early[needing[block]] = closed[position[block] - start, items[needing[block]]]
    return early


def _behind(known: Interactions, lists: pd.DataFrame, shared: pd.Series, floor: float) -> list[str]:
    """Return the slices of members whose lists are much shorter than those of all."""
    length = shared.map(lists["member_id"].value_counts()).fillna(0.0)
    joined = (known.as_of - known.members["joined_on"]) / pd.Timedelta(days=1)
    tenure = pd.cut(joined, [-np.inf, *TENURE_DAYS, np.inf], labels=["new", "first year", "longer"])
    least = floor * float(length.mean())
    behind = []
    kinds = {"role": known.members["role"], "industry": known.members["industry"], "tenure": tenure}
    for name, slices in kinds.items():
        means = length.groupby(slices, observed=True).agg(["size", "mean"])
        short = means[(means["size"] >= SLICE_MEMBERS) & (means["mean"] < least)]
        behind += [f"{name} {value} ({mean:.1f} items)" for value, mean in short["mean"].items()]
    return behind


def verdict(checks: list[dict[str, Any]]) -> str:
    """Return ``published`` where all checks passed, else ``held``."""
    return "published" if all(one["passed"] for one in checks) else "held"


def _told(name: str, passed: bool, detail: str) -> dict[str, Any]:  # noqa: FBT001 - a row
    return {"name": name, "passed": bool(passed), "detail": "" if passed else detail}


def _none(name: str, offending: Iterable[Any]) -> dict[str, Any]:
    found = list(offending)
    return _told(name, not found, f"{len(found)} fail, such as {', '.join(map(str, found[:SHOWN]))}")
