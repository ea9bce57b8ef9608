"""Suppression of small groups (k-anonymity), and of groups whose figures would reveal a small one by subtraction."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from content_catalog.taxonomy import Taxonomy

Row = dict[str, Any]


def suppress(rows: list[Row], *, min_group_size: int) -> list[Row]:
    """Return rows without figures where they are of fewer than ``min_group_size`` members.

    Where all suppressed rows together are of fewer members, the next smallest row is suppressed as well: otherwise a
    total would reveal them. The flag ``suppressed`` is in each row.

    Examples
    --------
    >>> rows = [{"value": name, "members": n} for name, n in (("a", 9), ("b", 2), ("c", 6))]
    >>> [row["members"] for row in suppress(rows, min_group_size=5)]
    [9, None, None]
    """
    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["members"])
    hidden: set[int] = set()
    covered = 0
    for number in ranked:
        if rows[number]["members"] >= min_group_size and (not hidden or covered >= min_group_size):
            break
        hidden.add(number)
        covered += rows[number]["members"]
    return [
        without_figures(row) if number in hidden else {**row, "suppressed": False} for number, row in enumerate(rows)
    ]


def without_figures(row: Row) -> Row:
    """Return a suppressed row: its value without any figure."""
    return {**dict.fromkeys(row), "value": row["value"], "suppressed": True}


def folded(values: pd.Series, members: pd.Series, taxonomy: Taxonomy, *, min_group_size: int) -> pd.Series:
    """Return the values with each code of too few members replaced by the code above it, level by level.

    Examples
    --------
    >>> from content_catalog.taxonomy import shipped
    >>> codes, members = pd.Series(["83", "83", "81", "41"]), pd.Series(["a", "b", "c", "d"])
    >>> folded(codes, members, shipped("isco08"), min_group_size=2).tolist()
    ['83', '83', '8', '4']
    """
    paths = {code: taxonomy.path(code) for code in values.unique() if code in taxonomy}
    for level in range(max(map(len, paths.values()), default=1), 1, -1):
        sizes = members.groupby(values).nunique()
        small = {code for code, size in sizes.items() if size < min_group_size}
        above = {
            code: taxonomy.path(code)[-2] for code in small if code in taxonomy and len(taxonomy.path(code)) == level
        }
        values = values.replace(above)
    return values


def published(slices: Mapping[str, pd.Series], by: str, members: pd.Series, *, min_group_size: int) -> set[str]:
    """Return the values of a slice whose figures may be shown beside those of all other slices.

    Each entry has a member, and a value in each slice (several in a slice of sets: then its row is repeated). A value
    is shown if enough members have entries of it, and if what remains of it after subtracting the groups of another
    slice that lie wholly within it is of no member or of enough.

    Parameters
    ----------
    slices : mapping of str to Series
        Values of the entries by slice; the index says the entry.
    by : str
        The slice.
    members : Series
        Member of each entry.

    Examples
    --------
    Two members had the item v1, one had v2, which is a video as well, and one had the article w: the figures of videos
    less those of v1 would be of one member.

    >>> slices = {
    ...     "format": pd.Series(["video", "video", "video", "article"]),
    ...     "item": pd.Series(["v1", "v1", "v2", "w"]),
    ... }
    >>> members = pd.Series(["a", "b", "c", "d"])
    >>> published(slices, "item", members, min_group_size=2), published(slices, "format", members, min_group_size=2)
    ({'v1'}, set())
    """
    shown = {name: _large(values, members, min_group_size) for name, values in slices.items()}
    hidden: set[str] = set()
    for name, values in slices.items():
        if name != by:
            pairs = pd.DataFrame({"part": values}).join(slices[by].rename("whole")).join(members.rename("member"))
            within = pairs.groupby("part")["whole"].transform("nunique") == 1
            subtracted = within & pairs["part"].isin(shown[name])
            wholes = set(pairs.loc[subtracted, "whole"])
            remaining = pairs[~subtracted].groupby("whole")["member"].nunique()
            hidden |= {value for value, size in remaining.items() if value in wholes and size < min_group_size}
    return shown[by] - hidden


def _large(values: pd.Series, members: pd.Series, min_group_size: int) -> set[str]:
    """Return the values that :func:`suppress` leaves, by the number of their members."""
    sizes = members.reindex(values.index).groupby(values).nunique()
    rows = suppress([{"value": value, "members": size} for value, size in sizes.items()], min_group_size=min_group_size)
    return {row["value"] for row in rows if not row["suppressed"]}
