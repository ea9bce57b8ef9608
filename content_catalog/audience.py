"""Which items a member may be offered: known codes, availability, audience."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from content_catalog.io.files import rejects_frame
from content_catalog.io.validation import joined_rejects
from content_catalog.schema import LIST_SEPARATOR, split_list
from content_catalog.taxonomy import Taxonomy

UNIT_SEPARATOR = "/"
Mask = NDArray[np.bool_]
Reach = Callable[[str], frozenset[str]]


def check_codes(frame: pd.DataFrame, taxonomies: dict[str, Taxonomy]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose codes are all known, and rejects that name the nearest known codes of the others.

    Parameters
    ----------
    frame : DataFrame
        Checked rows, indexed by line number.
    taxonomies : dict
        Column name → the taxonomy its codes come from; a column may hold a list of codes.
    """
    faults = []
    for name, taxonomy in taxonomies.items():
        given = frame[name].dropna()
        reasons = {value: _unknown(value, taxonomy) for value in given.unique()}
        wrong = given[given.map(reasons) != ""]
        faults.append(rejects_frame((int(line), name, value, reasons[value]) for line, value in wrong.items()))
    rejects = joined_rejects(faults)
    return frame.drop(index=rejects["line"].unique()), rejects


def _unknown(value: str, taxonomy: Taxonomy) -> str:
    for code in value.split(LIST_SEPARATOR):
        if code not in taxonomy:
            nearest = ", ".join(f"{near} ({taxonomy.name_of(near, 'en')})" for near in taxonomy.nearest(code))
            return f"unknown code {code!r} in {taxonomy.name}; nearest: {nearest}"
    return ""


class Repetitions:
    """Ids met so far in one file, to tell exact repetitions of a line from contradictions."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._contents: dict[str, int] = {}

    def split(self, chunk: pd.DataFrame) -> tuple[pd.DataFrame, int, pd.DataFrame]:
        """Return the rows that are new, the number of exact repetitions, and rejects for contradictions."""
        contents = pd.util.hash_pandas_object(chunk, index=False).tolist()
        new: list[int] = []
        same = 0
        faults: list[tuple[int, str, str, str]] = []
        for position, (line, key, content) in enumerate(zip(chunk.index, chunk[self._key], contents, strict=True)):
            if key not in self._contents:
                self._contents[key] = content
                new.append(position)
            elif self._contents[key] == content:
                same += 1
            else:
                faults.append((int(line), self._key, key, "an earlier line says something else of the same id"))
        return chunk.iloc[new], same, rejects_frame(faults)


def available(items: pd.DataFrame, as_of: pd.Timestamp) -> Mask:
    """Return which items can be offered at a moment: not hidden, published, within their time."""
    hidden = items["hidden"].fillna(value=False).to_numpy(dtype=bool)
    early = (items["available_from"] > as_of) | (items["published_at"] > as_of)
    late = items["available_until"] <= as_of
    return ~(hidden | early.to_numpy(dtype=bool) | late.to_numpy(dtype=bool))


def distinct(*columns: pd.Series) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return which of the distinct rows of some columns of texts each row is, and these, absent values being empty.

    >>> distinct(pd.Series(["83", None, "83"]), pd.Series(["G", "G", "G"]))
    (array([0, 1, 0]), [('83', 'G'), ('', 'G')])
    """
    numbers: dict[tuple[str, ...], int] = {}
    texts = ([one if isinstance(one, str) else "" for one in column.tolist()] for column in columns)
    rows = zip(*texts, strict=True)
    count = len(columns[0])
    which = np.fromiter((numbers.setdefault(row, len(numbers)) for row in rows), dtype=np.intp, count=count)
    return which, list(numbers)


class Targets:
    """What items are meant for: sets of codes, few of which differ.

    Parameters
    ----------
    given : Series
        The codes of each item as texts (:func:`content_catalog.schema.split_list`).

    Examples
    --------
    >>> Targets(pd.Series(["83", None, "83", "4;5"])).each(len, dtype=int)
    array([1, 0, 1, 2])
    """

    def __init__(self, given: pd.Series) -> None:
        self._which, texts = pd.factorize(given, use_na_sentinel=False)
        self._sets = [frozenset(split_list(text)) for text in texts]

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self._which)

    def each(self, told: Callable[[frozenset[str]], Any], *, dtype: DTypeLike) -> NDArray[Any]:
        """Return what is told of each item's set, asked once of all equal ones."""
        return np.array([told(one) for one in self._sets], dtype=dtype)[self._which]


class Audience:
    """Who may be offered items of a restricted audience.

    An item whose ``audience`` is ``restricted`` is for members within one of its target roles, and within one of its
    target industries, and within one of its target units, as far as it names any. A member of whom the role, industry
    or unit is not known is outside. Codes reach down: a target of ISCO-08 major group 8 takes in role 83.
    """

    def __init__(self, items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy) -> None:
        self._items = len(items)
        restricted = (items["audience"] == "restricted").to_numpy()
        self._positions = np.flatnonzero(restricted)
        targets = items[restricted]
        self._dimensions: list[tuple[str, Targets, Reach]] = [
            ("role", Targets(targets["target_roles"]), lambda code: _path(roles, code)),
            ("industry", Targets(targets["target_industries"]), lambda code: _path(industries, code)),
            ("units", Targets(targets["target_units"]), units_of),
        ]
        self._admitted: dict[tuple[str, str], Mask] = {}

    def groups(self, members: pd.DataFrame) -> tuple[NDArray[np.intp], Mask]:
        """Return each member's group and, per group, which items its members may be offered.

        Returns
        -------
        (array (n_members,), array (n_groups, n_items))
        """
        if not len(self._positions):
            return np.zeros(len(members), dtype=np.intp), np.ones((1, self._items), dtype=bool)
        group_of, found = distinct(*(members[name] for name, _, _ in self._dimensions))
        masks = np.ones((len(found), self._items), dtype=bool)
        for group, values in enumerate(found):
            masks[group, self._positions] = self._admits(values)
        return group_of, masks

    def _admits(self, values: tuple[str, ...]) -> Mask:
        admitted = np.ones(len(self._positions), dtype=bool)
        for (name, targets, reach), value in zip(self._dimensions, values, strict=True):
            if (name, value) not in self._admitted:
                self._admitted[name, value] = targets.each(partial(_admits, reach(value)), dtype=bool)
            admitted &= self._admitted[name, value]
        return admitted


def _admits(within: frozenset[str], target: frozenset[str]) -> bool:
    return not target or not target.isdisjoint(within)


def _path(taxonomy: Taxonomy, code: str) -> frozenset[str]:
    return frozenset(taxonomy.path(code)) if code in taxonomy else frozenset()


def units_of(value: str) -> frozenset[str]:
    """Return the units a member belongs to, those above them included.

    >>> sorted(units_of("North/Depot 3;Sales"))
    ['North', 'North/Depot 3', 'Sales']
    """
    above: set[str] = set()
    for unit in split_list(value):
        parts = unit.split(UNIT_SEPARATOR)
        above.update(UNIT_SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return frozenset(above)
