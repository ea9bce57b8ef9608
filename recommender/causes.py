"""Causes of list entries: the member's own items without which entries would score less."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.histories import places
from features.interactions import Interactions, rows_of
from recommender.linalg.topk import Positions
from recommender.ranking.candidate_generation import Candidates

CITING: Final = ("history", "order")
"""Sources whose reasons name an item of the member's own."""
MAX_TRIED: Final = 20
"""Own items of a member that are left out in turn: those most related to the entries, and the latest."""
RECENT_HALF_LIFE_DAYS: Final = 7.0
LEAST_EFFECT: Final = 1e-6
"""Smallest difference in score that counts; scores are between 0 and 1."""
BLOCK_ENTRIES: Final = 5_000


class Ranking(Protocol):
    """Scores of a fitted pipeline."""

    def rescored(self, known: Interactions, wanted: csr_matrix) -> Iterator[tuple[Positions, Candidates]]:
        """Yield those candidates of all members that are wanted, in blocks."""

    def rank(self, known: Interactions, rows: Positions, candidates: Candidates) -> NDArray[np.float64]:
        """Return the score of each candidate."""


def causes_of(
    ranking: Ranking,
    relations: Sequence[csr_matrix],
    known: Interactions,
    members: Positions,
    items: Positions,
    sources: list[str],
) -> Positions:
    """Return for each entry the own item whose removal lowers its score most; -1 where none does.

    The lists' models score the entry again, as if the member had not studied the item. Tried are the
    :func:`items_to_try` for the member's entries of the sources :data:`CITING`; other entries get -1.

    Parameters
    ----------
    relations : sequence of csr_matrix (n_items, n_items)
        How much the item of a row speaks for that of a column, in one way each.
    members, items : array (n,)
        Positions of the entries' members and items in ``known``.
    sources : list of str
        Groups of features that contribute most to the entries' scores.
    """
    causes = np.full(len(members), -1, dtype=np.intp)
    citing = np.flatnonzero(np.isin(np.array(sources, dtype="str"), CITING))
    for start in range(0, len(citing), BLOCK_ENTRIES):
        block = citing[start : start + BLOCK_ENTRIES]
        causes[block] = _causes(ranking, relations, known, members[block], items[block])
    return causes


def _causes(
    ranking: Ranking, relations: Sequence[csr_matrix], known: Interactions, members: Positions, items: Positions
) -> Positions:
    rows, row_of = np.unique(members, return_inverse=True)
    listed = csr_matrix((np.ones(len(items)), (row_of, items)), shape=(len(rows), known.shape[1]))
    evidence, recent = (rows_of(known.matrix(half_life), rows) for half_life in (np.inf, RECENT_HALF_LIFE_DAYS))
    tried_row, tried = items_to_try(relations, evidence, recent, listed)
    causes = np.full(len(members), -1, dtype=np.intp)
    if not len(tried):
        return causes
    # Every member as it is, then without one item after the other.
    variant = np.concatenate([np.arange(len(rows)), tried_row])
    removed = np.concatenate([np.full(len(rows), -1), tried])
    scores = _scores_without(ranking, known, rows[variant], removed, listed[variant])
    counts = np.bincount(tried_row, minlength=len(rows))
    entry, place = _repeated(np.cumsum(counts)[row_of] - counts[row_of], counts[row_of])
    effect = np.asarray(scores[row_of, items]).ravel()[entry]
    effect -= np.asarray(scores[len(rows) + place, items[entry]]).ravel()
    order = np.lexsort((tried[place], -effect, entry))
    with_any, first = np.unique(entry[order], return_index=True)
    strongest = order[first]
    causes[with_any] = np.where(effect[strongest] > LEAST_EFFECT, tried[place[strongest]], -1)
    return causes


def items_to_try(
    relations: Sequence[csr_matrix],
    evidence: csr_matrix,
    recent: csr_matrix,
    listed: csr_matrix,
    *,
    most: int = MAX_TRIED,
) -> tuple[Positions, Positions]:
    """Return each member's own items to leave out in turn, sorted by member: rows of the evidence, and items.

    They are the first by the sum, over the member's entries, of each relation's share in an entry and of the share in
    the member's recent evidence: the removal of a late item also changes habits and what was studied last.

    Examples
    --------
    The first item is a quarter of what speaks for the entry. The second is three quarters, and a tenth of what is
    recent; the third is the rest of this.

    >>> relation = csr_matrix([[0, 0, 0, 0.2], [0, 0, 0, 0.6], [0, 0, 0, 0], [0, 0, 0, 0]])
    >>> evidence, recent = csr_matrix([[1.0, 1.0, 1.0, 0.0]]), csr_matrix([[0.0, 0.1, 0.9, 0.0]])
    >>> listed = csr_matrix([[0.0, 0.0, 0.0, 1.0]])
    >>> [array.tolist() for array in items_to_try([relation], evidence, recent, listed, most=2)]
    [[0, 0], [2, 1]]
    """
    counts = np.diff(evidence.indptr)
    row, own = np.repeat(np.arange(len(counts)), counts), evidence.indices.astype(np.intp)
    listed_row, item = listed.nonzero()
    entry, place = _repeated(evidence.indptr[listed_row], counts[listed_row])
    related = np.diff(listed.indptr)[row] * _shares(np.asarray(recent[row, own]).ravel(), row)
    for relation in relations:
        support = np.asarray(relation[own[place], item[entry]]).ravel()
        related += np.bincount(place, weights=_shares(support, entry), minlength=len(row))
    order = np.lexsort((own, -related, row))
    row, own = row[order], own[order]
    first = np.arange(len(row)) - np.searchsorted(row, row) < most
    return row[first], own[first]


def _shares(values: NDArray[np.float32], group: Positions) -> NDArray[np.float64]:
    """Return each value's share in the sum of its group, 0 where that is 0.

    >>> _shares(np.float32([1, 3, 0]), np.array([0, 0, 1])).tolist()
    [0.25, 0.75, 0.0]
    """
    total = np.bincount(group, weights=values)[group]
    return values / np.where(total > 0, total, 1.0)


def _scores_without(
    ranking: Ranking, known: Interactions, members: Positions, removed: Positions, listed: csr_matrix
) -> csr_matrix:
    """Return scores of listed items, each member being without the item removed: (n_variants, n_items)."""
    of_member = known.cell("member")
    starts = np.searchsorted(of_member, members)
    variant, cell = _repeated(starts, np.searchsorted(of_member, members, side="right") - starts)
    stays = known.cell("item")[cell] != removed[variant]
    variant, cell = variant[stays], cell[stays]
    ids = pd.Index([f"{number:09d}" for number in range(len(members))], name="member_id")
    without = Interactions(
        members=known.members.iloc[members].assign(position=places(known)[members]).set_axis(ids),
        items=known.items,
        cells=known.cells.iloc[cell].assign(member=variant.astype(np.int32)),
        as_of=known.as_of,
        rules=known.rules,
        item_cache=known.item_cache,
    )
    parts = [csr_matrix(listed.shape)]
    for rows, candidates in ranking.rescored(without, listed):
        scored = rows[candidates.row], candidates.item
        parts.append(csr_matrix((ranking.rank(without, rows, candidates), scored), shape=listed.shape))
    return csr_matrix(sum(parts[1:], parts[0]))


def _repeated(starts: Positions, counts: Positions) -> tuple[Positions, Positions]:
    """Return for ranges of places the number of the range and the place of each of their elements.

    >>> [array.tolist() for array in _repeated(np.array([7, 3]), np.array([2, 1]))]
    [[0, 0, 1], [7, 8, 3]]
    """
    number = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    return number, starts[number] + within
