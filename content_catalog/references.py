"""Checks of rows against other data: codes of taxonomies, units, and earlier lines of the same file."""

from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.audience import NOT_A_PATH, is_unit_path
from content_catalog.io.files import rejects_frame
from content_catalog.io.validation import MAX_HINTS, joined_rejects
from content_catalog.schema import split_list
from content_catalog.taxonomy import SHIPPED, SPELLED_CODE, Taxonomy

SINGLE: Final = ("role", "industry", "unit")
"""Columns whose values are one code or unit; those of all others are lists."""


def check_codes(frame: pd.DataFrame, taxonomies: dict[str, Taxonomy]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose codes are all known, and rejects that name the nearest known codes of the others.

    Parameters
    ----------
    frame : DataFrame
        Checked rows, indexed by line number.
    taxonomies : dict
        Column name → the taxonomy its codes come from; a column may hold a list of codes.
    """
    rejects = joined_rejects(
        [
            _rejects(frame, name, partial(_unknown_code, taxonomy), partial(_nearest_codes, taxonomy))
            for name, taxonomy in taxonomies.items()
        ]
    )
    return frame.drop(index=rejects["line"].unique()), rejects


def _unknown_code(taxonomy: Taxonomy, code: str) -> str:
    return "" if code in taxonomy else f"unknown code {code!r} in {taxonomy.name}"


def _nearest_codes(taxonomy: Taxonomy, code: str) -> str:
    nearest = ", ".join(f"{near} ({taxonomy.name_of(near, 'en')})" for near in taxonomy.nearest(code))
    digits = SPELLED_CODE.fullmatch(code[:10].lower())
    group = digits[1][:2] if digits and taxonomy.name in SHIPPED else ""
    is_longer = len(group) == 2 and group in taxonomy
    return f"nearest: {nearest}; give two digits only: {group}" if is_longer else f"nearest: {nearest}"


def check_units(frame: pd.DataFrame, units: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose target units all exist, and rejects that name the nearest existing ones of the others."""
    return check_lists(
        frame,
        "target_units",
        lambda unit: "" if unit in units else f"unknown unit {unit!r}",
        partial(_nearest_units, units),
    )


def check_unit_paths(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose unit, or list of ``units``, are paths, and the rejects of the others."""
    return check_lists(frame, name, lambda unit: "" if is_unit_path(unit) else NOT_A_PATH)


def check_lists(
    frame: pd.DataFrame, name: str, fault: Callable[[str], str], hint: Callable[[str], str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of whose column no part has a fault, and the rejects of the others; some with a hint."""
    rejects = _rejects(frame, name, fault, hint)
    return frame.drop(index=rejects["line"]), rejects


def _rejects(
    frame: pd.DataFrame, name: str, fault: Callable[[str], str], hint: Callable[[str], str] | None = None
) -> pd.DataFrame:
    """Return the rejects of rows of whose column a part has a fault, with that of the first."""
    values = frame[name].dropna()
    reasons: dict[str, str] = {}
    hints = 0
    for value in values.unique():
        parts = [value] if name in SINGLE else split_list(value)
        wrong, reason = next(((part, said) for part in parts if (said := fault(part))), ("", ""))
        if reason and hint and hints < MAX_HINTS:
            reason, hints = f"{reason}; {hint(wrong)}", hints + 1
        reasons[value] = reason
    refused = values[values.map(reasons) != ""]
    return rejects_frame((int(line), name, value, reasons[value]) for line, value in refused.items())


def _nearest_units(units: Collection[str], unit: str) -> str:
    near = get_close_matches(unit, units, n=3)
    return f"nearest: {', '.join(near)}" if near else "import its members, or the unit itself, first"


def column_groups(present: pd.DataFrame) -> Iterator[tuple[list[str], NDArray[np.bool_]]]:
    """Yield each set of columns that rows name, and the mask of these rows.

    >>> present = pd.DataFrame({"a": [True, True, True], "b": [False, True, False]})
    >>> [(columns, mask.tolist()) for columns, mask in column_groups(present)]
    [(['a'], [True, False, True]), (['a', 'b'], [False, True, False])]
    """
    named, group_of = np.unique(present.to_numpy(dtype=bool), axis=0, return_inverse=True)
    for number, columns in enumerate(named):
        yield present.columns[columns].tolist(), group_of == number


class Deduplicator:
    """Ids of one file so far: separates exact repetitions of a line from contradictions."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._hashes: dict[str, int] = {}

    def split(self, chunk: pd.DataFrame, present: pd.DataFrame) -> tuple[pd.DataFrame, int, pd.DataFrame]:
        """Return the rows that are new, the number of exact repetitions, and rejects for contradictions.

        Parameters
        ----------
        present : DataFrame of bool
            Values that the lines name: an empty value and none at all are two things.
        """
        named = present.loc[chunk.index].add_suffix(" named")
        hashes = pd.util.hash_pandas_object(pd.concat([chunk, named], axis="columns"), index=False).tolist()
        new: list[int] = []
        repetitions = 0
        faults: list[tuple[int, str, str, str]] = []
        for position, (line, key, content) in enumerate(zip(chunk.index, chunk[self._key], hashes, strict=True)):
            if key not in self._hashes:
                self._hashes[key] = content
                new.append(position)
            elif self._hashes[key] == content:
                repetitions += 1
            else:
                faults.append((int(line), self._key, key, "an earlier line has other values for the same id"))
        return chunk.iloc[new], repetitions, rejects_frame(faults)
