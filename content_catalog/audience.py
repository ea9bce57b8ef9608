"""Eligibility of items: availability at a moment, and the audience of restricted items."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from content_catalog.schema import AUDIENCES, LIST_SEPARATOR, MAX_KEY_BYTES, split_list
from content_catalog.taxonomy import Taxonomy

UNIT_SEPARATOR = "/"
NOT_A_PATH = "not a path of a unit: names joined by /, without ; and not . or .., at most 1,000 characters"
MAX_PATH_CHARACTERS = 1_000
RESTRICTED = AUDIENCES[1]
TARGETS = ("target_roles", "target_industries", "target_units")
Mask = NDArray[np.bool_]
Ancestors = Callable[[str], frozenset[str]]
Codes = tuple[frozenset[str], ...]
"""Codes of roles and of industries, units and regions."""


def available(items: pd.DataFrame, as_of: pd.Timestamp) -> Mask:
    """Return which items are available at a moment: not hidden, published, and inside their period of availability."""
    early = (items["available_from"] > as_of) | (items["published_at"] > as_of)
    return ~(withdrawn(items, as_of) | early.to_numpy(dtype=bool))


def withdrawn(items: pd.DataFrame, as_of: pd.Timestamp) -> Mask:
    """Return which items are hidden, past their period of availability, or sessions that have ended, at a moment."""
    hidden = items["hidden"].fillna(value=False).to_numpy(dtype=bool)
    late: Mask = ((items["available_until"] <= as_of) | (items["ends_at"] <= as_of)).to_numpy(dtype=bool)
    return hidden | late


def factorize_rows(*columns: pd.Series) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return the index of each row's values among the distinct ones, and these; missing values are empty texts.

    >>> factorize_rows(pd.Series(["83", None, "83"]), pd.Series(["G", "G", "G"]))
    (array([0, 1, 0]), [('83', 'G'), ('', 'G')])
    """
    numbers: dict[tuple[str, ...], int] = {}
    texts = ([value if isinstance(value, str) else "" for value in column.tolist()] for column in columns)
    rows = zip(*texts, strict=True)
    indices = (numbers.setdefault(row, len(numbers)) for row in rows)
    return np.fromiter(indices, dtype=np.intp, count=len(columns[0])), list(numbers)


class TargetCodes:
    """The set of target codes of each item; equal sets are evaluated once.

    Parameters
    ----------
    codes : Series
        The codes of each item as text (:func:`content_catalog.schema.split_list`).

    Examples
    --------
    >>> TargetCodes(pd.Series(["83", None, "83", "4;5"])).map(len, dtype=int)
    array([1, 0, 1, 2])
    """

    def __init__(self, codes: pd.Series) -> None:
        self._set_of_item, texts = pd.factorize(codes, use_na_sentinel=False)
        self._sets = [frozenset(split_list(text)) for text in texts]

    def map(self, function: Callable[[frozenset[str]], Any], *, dtype: DTypeLike) -> NDArray[Any]:
        """Return a function's value for the set of each item."""
        return np.array([function(codes) for codes in self._sets], dtype=dtype)[self._set_of_item]


class AudienceMask:
    """Mask of the items that a member's role, industry and units admit it to.

    An item whose ``audience`` is ``restricted`` is for members within one of its target roles, and within one of its
    target industries, and within one of its target units, as far as it names any. A member without a role, industry or
    unit is outside. A target covers the codes below it: ISCO-08 major group 8 covers role 83. A restricted item
    without any target is for no one.
    """

    def __init__(self, items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy) -> None:
        self._items = len(items)
        restricted = (items["audience"] == RESTRICTED).to_numpy()
        self._positions = np.flatnonzero(restricted)
        targets = items[restricted]
        self._targeted = targets[list(TARGETS)].notna().any(axis="columns").to_numpy()
        self._dimensions: list[tuple[str, TargetCodes, Ancestors]] = [
            ("role", TargetCodes(targets["target_roles"]), lambda code: _ancestors(roles, code)),
            ("industry", TargetCodes(targets["target_industries"]), lambda code: _ancestors(industries, code)),
            ("units", TargetCodes(targets["target_units"]), units_of),
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
        group_of, groups = factorize_rows(*(members[name] for name, _, _ in self._dimensions))
        masks = np.ones((len(groups), self._items), dtype=bool)
        for group, values in enumerate(groups):
            masks[group, self._positions] = self._admits(values)
        return group_of, masks

    def _admits(self, values: tuple[str, ...]) -> Mask:
        admitted = self._targeted.copy()
        for (name, targets, ancestors), value in zip(self._dimensions, values, strict=True):
            if (name, value) not in self._admitted:
                self._admitted[name, value] = targets.map(partial(_admits, ancestors(value)), dtype=bool)
            admitted &= self._admitted[name, value]
        return admitted


def _admits(codes: frozenset[str], targets: frozenset[str]) -> bool:
    return not targets or not targets.isdisjoint(codes)


def _ancestors(taxonomy: Taxonomy, code: str) -> frozenset[str]:
    return frozenset(taxonomy.path(code)) if code in taxonomy else frozenset()


def is_unit_path(text: str) -> bool:
    """Return whether a text is a path of a unit: stripped names joined by the separator.

    >>> [is_unit_path(text) for text in ("North/Depot 3", "North//Depot", "North/..", "a;b", "")]
    [True, False, False, False, False]
    """
    names = text.split(UNIT_SEPARATOR)
    # Browsers drop dots alone from addresses.
    sound = all(name not in {"", ".", ".."} and name == name.strip() and name.isprintable() for name in names)
    return (
        sound
        and LIST_SEPARATOR not in text
        and len(text) <= MAX_PATH_CHARACTERS
        and len(text.encode()) <= MAX_KEY_BYTES
    )


def in_audience(within: Codes, targets: Codes) -> bool:
    """Return whether a member who is within some codes is in an audience; an empty set of targets is no condition.

    >>> in_audience((frozenset({"8", "83"}),), (frozenset({"8"}),)), in_audience((frozenset({"4"}),), (frozenset(),))
    (True, True)
    """
    return all(map(_admits, within, targets))


def units_of(value: str) -> frozenset[str]:
    """Return the units a member belongs to, with those above them.

    >>> sorted(units_of("North/Depot 3;Sales"))
    ['North', 'North/Depot 3', 'Sales']
    """
    above: set[str] = set()
    for unit in split_list(value):
        parts = unit.split(UNIT_SEPARATOR)
        above.update(UNIT_SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return frozenset(above)
