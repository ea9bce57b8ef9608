"""Causes of list entries: the member's own items without which entries would score less."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from recommender.linalg.ranges import places_within, ranges, rows_of
from recommender.linalg.topk import Positions
from recommender.member_rows import of_members
from recommender.policy.ranked_lists import Listed
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

    def rescored(self, interactions: Interactions, wanted: csr_matrix) -> Iterator[tuple[Positions, Candidates]]:
        """Yield those candidates of all members that are wanted, in blocks."""

    def rank(self, interactions: Interactions, rows: Positions, candidates: Candidates) -> NDArray[np.float64]:
        """Return the score of each candidate."""

    def profile_groups(self, interactions: Interactions) -> Positions:
        """Return numbers of members, equal where without any history their lists would be the same."""


def causes_of(
    ranking: Ranking, relations: Sequence[csr_matrix], interactions: Interactions, listed: Listed
) -> Positions:
    """Return for each entry the own item whose removal lowers its score most; -1 where none does.

    The lists' models score the entry again, as if the member had not studied the item, beside its score on the list.
    Tried are the :func:`items_to_try` for the member's entries of the sources :data:`CITING`; other entries get -1.

    Parameters
    ----------
    relations : sequence of csr_matrix (n_items, n_items)
        How much the item of a row speaks for that of a column, in one way each.
    listed : Listed
        Entries of lists.
    """
    causes = np.full(len(listed.item), -1, dtype=np.intp)
    citing = np.flatnonzero(np.isin(np.array(listed.source, dtype="str"), CITING))
    for start in range(0, len(citing), BLOCK_ENTRIES):
        block = citing[start : start + BLOCK_ENTRIES]
        entries = listed.member[block], listed.item[block], listed.score[block]
        causes[block] = _causes(ranking, relations, interactions, *entries)
    return causes


def _causes(
    ranking: Ranking,
    relations: Sequence[csr_matrix],
    interactions: Interactions,
    members: Positions,
    items: Positions,
    scores: NDArray[np.float64],
) -> Positions:
    """Return the causes of entries: a variant is a member without one of its items."""
    rows, row_of = np.unique(members, return_inverse=True)
    listed = csr_matrix((np.ones(len(items)), (row_of, items)), shape=(len(rows), interactions.shape[1]))
    evidence, recent = (rows_of(interactions.matrix(half_life), rows) for half_life in (np.inf, RECENT_HALF_LIFE_DAYS))
    variant_row, removed = items_to_try(relations, evidence, recent, listed)
    causes = np.full(len(members), -1, dtype=np.intp)
    if not len(removed):
        return causes
    scored, score_of = _distinct_variants(ranking, interactions, rows[variant_row])
    wanted = csr_matrix((np.ones(len(removed)), (score_of, variant_row)), shape=(len(scored), len(rows))) @ listed
    without = _scores_without(ranking, interactions, rows[variant_row[scored]], removed[scored], csr_matrix(wanted))
    # Each entry with each variant of its member, the strongest effect first.
    n_variants = np.bincount(variant_row, minlength=len(rows))
    first_variant = np.cumsum(n_variants) - n_variants
    entry, variant = ranges(first_variant[row_of], n_variants[row_of])
    effect = scores[entry] - np.asarray(without[score_of[variant], items[entry]]).ravel()
    order = np.lexsort((removed[variant], -effect, entry))
    strongest = order[places_within(entry[order]) == 0]
    causes[entry[strongest]] = np.where(effect[strongest] > LEAST_EFFECT, removed[variant[strongest]], -1)
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
    entry, place = ranges(evidence.indptr[listed_row], counts[listed_row])
    related = np.diff(listed.indptr)[row] * _shares(np.asarray(recent[row, own]).ravel(), row)
    for relation in relations:
        support = np.asarray(relation[own[place], item[entry]]).ravel()
        related += np.bincount(place, weights=_shares(support, entry), minlength=len(row))
    order = np.lexsort((own, -related, row))
    row, own = row[order], own[order]
    first = places_within(row) < most
    return row[first], own[first]


def _shares(values: NDArray[np.float32], group: Positions) -> NDArray[np.float64]:
    """Return each value's share in the sum of its group, 0 where that is 0.

    >>> _shares(np.float32([1, 3, 0]), np.array([0, 0, 1])).tolist()
    [0.25, 0.75, 0.0]
    """
    total = np.bincount(group, weights=values)[group]
    return values / np.where(total > 0, total, 1.0)


def _distinct_variants(ranking: Ranking, interactions: Interactions, members: Positions) -> tuple[Positions, Positions]:
    """Return which variants to score, each of a member without one of its items, and for each variant its place there.

    Members whose only item is left out score alike where their profiles are: one of them is scored for all.
    """
    first = np.arange(len(members))
    of_member = interactions.cell("member")
    n_cells = np.searchsorted(of_member, members, side="right") - np.searchsorted(of_member, members)
    alone = np.flatnonzero(n_cells == 1)
    if len(alone) > 1:
        groups = ranking.profile_groups(interactions)[members[alone]]
        _, of_group, group = np.unique(groups, return_index=True, return_inverse=True)
        first[alone] = alone[of_group[group]]
    return np.unique(first, return_inverse=True)


def _scores_without(
    ranking: Ranking, interactions: Interactions, members: Positions, removed: Positions, wanted: csr_matrix
) -> csr_matrix:
    """Return scores of wanted items, each member being without the item removed: (n_variants, n_items)."""
    ids = pd.Index([f"{number:09d}" for number in range(len(members))], name="member_id")
    every = of_members(interactions, members, interactions.members.iloc[members].set_axis(ids))
    cells = every.cells
    without = replace(every, cells=cells[cells["item"].to_numpy() != removed[cells["member"].to_numpy()]])
    parts = [csr_matrix(wanted.shape)]
    for rows, candidates in ranking.rescored(without, wanted):
        scored = rows[candidates.row], candidates.item
        parts.append(csr_matrix((ranking.rank(without, rows, candidates), scored), shape=wanted.shape))
    return csr_matrix(sum(parts[1:], parts[0]))
