"""Candidates: the models' best items of each member, with every model's score and rank of each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from content_catalog.prerequisites import PrerequisiteMask
from features.interactions import Interactions, rows_of
from recommender.linalg.parallel import parallel_map
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Eligibility, Model

CACHED_CELLS: Final = 2_000_000
"""Scores of one model held at once. Every model's are, in each thread: 8 MB of float32 times the models."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Proposals for some members, sorted by member and item.

    Attributes
    ----------
    row : array (n,)
        Place of the member in its block.
    item : array (n,)
    scores : array (n, n_models) of float32
        Each model's score divided by its best for the member, so that it means the same in a quiet and in a busy month;
        NaN where the model does not score the item.
    ranks : array (n, n_models) of float32
        Rank among the model's own proposals, from 1; NaN where it does not propose the item.
    """

    row: Positions
    item: Positions
    scores: Scores
    ranks: Scores

    def at(self, places: NDArray[np.intp]) -> "Candidates":
        """Return some of the candidates, by their places."""
        return Candidates(self.row[places], self.item[places], self.scores[places], self.ranks[places])


def propose(
    models: Mapping[str, Model],
    known: Interactions,
    rows: Positions,
    *,
    eligibility: Eligibility,
    depth: int,
    exclude_seen: bool = True,
) -> Iterator[tuple[Positions, Candidates]]:
    """Yield the union of the models' best ``depth`` eligible items of members, in blocks of members.

    Parameters
    ----------
    rows : array
        Positions of the members in ``known``.
    eligibility : Eligibility
        What each of them may be offered, in the same order.
    exclude_seen : bool
        Leave out what a member has seen besides.
    """
    size = max(1, CACHED_CELLS // known.shape[1])

    def made(start: int) -> tuple[Positions, Candidates]:
        block = rows[start : start + size]
        masks = eligibility.masks[eligibility.group_of[start : start + size]]
        mask = np.where(masks, np.float32(0.0), np.float32(-np.inf))
        if exclude_seen:
            seen = rows_of(known.seen, block)
            mask[np.repeat(np.arange(len(block)), np.diff(seen.indptr)), seen.indices] = -np.inf
        return block, _block(models, known, block, mask, depth)

    yield from parallel_map(made, range(0, len(rows), size))


def _block(models: Mapping[str, Model], known: Interactions, rows: Positions, mask: Scores, depth: int) -> Candidates:
    proposed = np.zeros(mask.shape, dtype=bool)
    scored = [model.top_scores(known, rows, mask, depth) for model in models.values()]
    for scores in scored:
        proposed[scores.row, scores.item] = True
    places_proposed = np.flatnonzero(proposed)
    row, item = np.divmod(places_proposed, mask.shape[1])
    places = np.empty(mask.shape, dtype=np.int32)
    places.ravel()[places_proposed] = np.arange(len(places_proposed))
    valued = np.empty((len(scored), len(row)), dtype=np.float32)
    ranks = np.full((len(scored), len(row)), np.nan, dtype=np.float32)
    best = np.full((len(scored), len(rows)), np.nan, dtype=np.float32)
    for column, scores in enumerate(scored):
        starts = np.searchsorted(scores.row, np.arange(len(rows) + 1))
        has = starts[1:] > starts[:-1]
        best[column, has] = scores.values[starts[:-1][has]]
        valued[column] = scores.at(row, item)
        ranks[column, places[scores.row, scores.item]] = np.arange(1, len(scores.row) + 1) - starts[scores.row]
    valued[~np.isfinite(valued)] = np.nan
    valued /= np.maximum(np.abs(best), np.float32(1e-30))[:, row]
    return Candidates(row, item, np.ascontiguousarray(valued.T), np.ascontiguousarray(ranks.T))


def reachable(interactions: Interactions, rows: Positions, eligibility: Eligibility) -> Eligibility:
    """Return the eligibility of members at ``rows`` without items whose prerequisites they have not finished."""
    needs = interactions.item_memo(
        ("prerequisites", interactions.as_of), lambda: PrerequisiteMask(interactions.items, interactions.as_of)
    )
    if not needs:
        return eligibility
    masks = eligibility.masks[eligibility.group_of]
    masks &= ~needs.blocked(rows_of(interactions.finished, rows))
    return Eligibility(np.arange(len(rows)), masks)
