"""Rows: the entries of a list under titles, by the codes of their reasons."""

from collections.abc import Sequence
from typing import Final

ROWS: Final[dict[str, frozenset[str]]] = {
    "due": frozenset({"required", "overdue", "needed_for_required"}),
    "continue": frozenset({"continue", "next_in_series"}),
    "saved": frozenset({"saved"}),
    "review": frozenset({"review"}),
    "new": frozenset({"new", "new_on_topic", "starts_at"}),
    "for_you": frozenset(),
}
"""Rows in the order in which they are shown, and the reasons of their entries; the last takes all others."""


def rows_of(codes: Sequence[str]) -> dict[str, list[int]]:
    """Return the ranks, from 0, of the entries of each row that has any.

    >>> rows_of(["popular", "continue", "new", "popular"])
    {'continue': [1], 'new': [2], 'for_you': [0, 3]}
    """
    row_of = {code: row for row, codes_of_row in ROWS.items() for code in codes_of_row}
    *_, rest = ROWS
    rows: dict[str, list[int]] = {row: [] for row in ROWS}
    for rank, code in enumerate(codes):
        rows[row_of.get(code, rest)].append(rank)
    return {row: ranks for row, ranks in rows.items() if ranks}
