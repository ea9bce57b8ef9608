"""Difference between two runs: how much the lists of each group changed, and the items that came onto lists or left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from math import sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.schema import split_list
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.policy.entry_texts import listed_items
from infra.reports.small_groups import Row, folded, suppress
from infra.runs import list_contents
from infra.runs.store import ANYONE
from infra.training import examples
from recommender.evaluation.comparison import Difference, compare

SLICES: Final = ("strategy", "role", "industry", "unit", "tenure")
TENURE_DAYS: Final = (30.0, 365.0)
TENURES: Final = ("new", "first_year", "longer")
MAX_ITEMS: Final = 20
Z_95: Final = 1.96


def list_difference(
    session: Session, before: Mapping[str, Any], after: Mapping[str, Any], *, min_group_size: int
) -> dict[str, Any]:
    """Return how the lists of one run differ from those of another, over all members and by group.

    Returns
    -------
    dict
        ``members`` with a list in both runs; ``without_before`` and ``without_after``, those with a list in one only,
        None where they are few;
        ``slices``, by name of :data:`SLICES` (of the later run's time, over all members ``all``) rows of
        :func:`of_group` by ``value``, small groups suppressed, roles and industries folded into the code above;
        ``came`` and ``left``, the items that most members have in one run only: ``item_id``, ``title``, ``members``
        (None where they are few).
    """
    lists = _lists(session, before, after)
    names = ("before", "after")
    with_both = lists.dropna(subset=list(names))
    organisation_key = after["organisation_key"]
    changes = _changes(with_both, _items(session, organisation_key, with_both))
    of_lists = difference_of(session, organisation_key, changes, as_of=after["as_of"], min_group_size=min_group_size)
    return {
        f"without_{name}": _folded_count(int(lists[name].isna().sum()), min_group_size=min_group_size) for name in names
    } | of_lists


def difference_of(
    session: Session, organisation_key: int, changes: pd.DataFrame, *, as_of: datetime, min_group_size: int
) -> dict[str, Any]:
    """Return how the lists of some members changed, over all of them and by group.

    Parameters
    ----------
    changes : DataFrame
        Columns of :func:`changes_of`, and ``strategy``, by member.

    Returns
    -------
    dict
        ``members``, ``slices``, ``came`` and ``left`` of :func:`list_difference`.
    """
    groups = groups_of(session, organisation_key, changes, as_of=as_of, min_group_size=min_group_size)
    return {
        "members": len(changes),
        "slices": {name: _rows(changes, values, min_group_size=min_group_size) for name, values in groups.items()},
        **{
            name: _most(session, organisation_key, changes[name], min_group_size=min_group_size)
            for name in ("came", "left")
        },
    }


def changes_of(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]], index: pd.Index) -> pd.DataFrame:
    """Return the change of each list: items that ``came`` and ``left``, lengths, the share that is new.

    >>> changes = changes_of([["a", "b"]], [["b", "c"]], pd.Index(["m1"]))
    >>> changes[["came", "left", "new_share"]].to_dict("records")
    [{'came': frozenset({'c'}), 'left': frozenset({'a'}), 'new_share': 0.5}]
    """
    pairs = [*zip(before, after, strict=True)]
    outcome = pd.DataFrame(
        {
            "came": [frozenset(now).difference(then) if then != now else frozenset() for then, now in pairs],
            "left": [frozenset(then).difference(now) if then != now else frozenset() for then, now in pairs],
            "then": [len(then) for then, _ in pairs],
            "now": [len(now) for _, now in pairs],
            "changed": [[*then] != [*now] for then, now in pairs],
        },
        index=index,
    )
    outcome["new_share"] = outcome["came"].map(len) / np.maximum(outcome["now"], 1)
    return outcome


def of_group(changes: pd.DataFrame) -> Row:
    """Return the figures of a group's members: how many have another list, how much of it is new, how long it is.

    ``low`` and ``high`` bound the 95 % interval of ``new_share``, the mean share of a list that is new.

    Examples
    --------
    Of two lists one is new by half, so a quarter is new in the mean, give or take 1.96 standard errors of 0.25:

    >>> changes = pd.DataFrame({"new_share": [0.5, 0.0], "changed": [True, False], "then": [4, 4], "now": [4, 3]})
    >>> figures = of_group(changes)
    >>> figures["members"], figures["changed"], figures["new_share"], figures["low"], figures["high"]
    (2, 1, 0.25, 0.0, 0.74)
    >>> figures["length_before"], figures["length_after"]
    (4.0, 3.5)
    """
    share, n_members = changes["new_share"], len(changes)
    half = Z_95 * float(share.std(ddof=1)) / sqrt(n_members) if n_members > 1 else 0.0
    mean = float(share.mean())
    return {
        "members": n_members,
        "changed": int(changes["changed"].sum()),
        "new_share": mean,
        "low": max(0.0, mean - half),
        "high": min(1.0, mean + half),
        "length_before": float(changes["then"].mean()),
        "length_after": float(changes["now"].mean()),
    }


def ranking_difference(artefacts: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    """Return the difference in NDCG between two runs on their common lists of holdout nights.

    None without enough; runs by other objectives are not compared, nor those of versions that store no objective.
    """
    folder = examples.figures_folder(examples.folder_of(artefacts, before["organisation_key"]))
    figures = [examples.read(folder, run["run_id"]) for run in (after, before)]
    frames = [pd.DataFrame(columns) for columns in figures if columns and "objective" in columns]
    return compare(*frames) if len(frames) == len(figures) else None


def _lists(session: Session, before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return the hashes of each member's entries ``before`` and ``after``, and the strategy of the later list."""
    then, now = (list_contents.list_rows(session, dict(run)).set_index("member_id") for run in (before, after))
    columns = {"before": then["entries_hash"], "after": now["entries_hash"], "strategy": now["strategy"]}
    return pd.concat(columns, axis=1).drop(index=ANYONE, errors="ignore")


def _items(session: Session, organisation_key: int, lists: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the items of each hash of entries."""
    hashes = pd.concat([lists["before"], lists["after"]]).unique().tolist()
    texts = list_contents.entries_by_hash(session, organisation_key, hashes)
    return {name: tuple(listed_items(text)) for name, text in zip(texts.index.tolist(), texts.tolist(), strict=True)}


def _changes(lists: pd.DataFrame, items: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return each member's change, computed once for equal pairs of lists."""
    pairs = lists[["before", "after"]].drop_duplicates()
    then, now = ([items[content] for content in pairs[name].tolist()] for name in ("before", "after"))
    return lists.join(changes_of(then, now, pd.MultiIndex.from_frame(pairs)), on=["before", "after"])


def groups_of(
    session: Session, organisation_key: int, of_members: pd.DataFrame, *, as_of: datetime, min_group_size: int
) -> dict[str, pd.Series]:
    """Return the value of each member in each slice; a member of several units is repeated, without any is empty.

    Parameters
    ----------
    of_members : DataFrame
        ``strategy`` by member.
    """
    members = catalog.read(session, organisation_key, "members").reindex(of_members.index)
    groups = {"all": pd.Series("", index=of_members.index), "strategy": of_members["strategy"]}
    ids = pd.Series(of_members.index, index=of_members.index)
    for kind in ("role", "industry"):
        taxonomy = organisations.taxonomy(session, organisation_key, kind)
        groups[kind] = folded(members[kind].fillna(""), ids, taxonomy, min_group_size=min_group_size)
    groups["unit"] = members["units"].map(split_list).explode().fillna("")
    days = (as_of - members["joined_on"]) / pd.Timedelta(days=1)
    tenure = pd.cut(days, [-np.inf, *TENURE_DAYS, np.inf], labels=list(TENURES))
    groups["tenure"] = tenure.astype("object").fillna("")
    return groups


def _rows(changes: pd.DataFrame, values: pd.Series, *, min_group_size: int) -> list[Row]:
    """Return the figures of each value of a slice, those of most change first."""
    grouped = changes.loc[values.index, ["new_share", "changed", "then", "now"]].groupby(values.to_numpy(), sort=True)
    rows = [{"value": str(value) or None, **of_group(group)} for value, group in grouped]
    return sorted(suppress(rows, min_group_size=min_group_size), key=lambda row: -(row["new_share"] or 0.0))


def _most(session: Session, organisation_key: int, items: pd.Series, *, min_group_size: int) -> list[Row]:
    """Return the items that most members gained or lost."""
    most = Counter(chain.from_iterable(items)).most_common(MAX_ITEMS)
    display = catalog.display_items(session, organisation_key, [item_id for item_id, _ in most])
    return [
        {
            "item_id": item_id,
            "title": display[item_id]["title"] if item_id in display else None,
            "members": _folded_count(number, min_group_size=min_group_size),
        }
        for item_id, number in most
    ]


def _folded_count(number: int, *, min_group_size: int) -> int | None:
    return number if number >= min_group_size or not number else None
