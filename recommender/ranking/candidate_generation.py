"""Candidates: the models' best items of each member, with every model's score and rank of each of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.audience import AudienceMask, available
from content_catalog.prerequisites import PrerequisiteMask
from features.interactions import Interactions
from recommender.content.devices import has_device, items_by_device
from recommender.linalg.parallel import parallel_map
from recommender.linalg.ranges import cells_of, rows_of
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Eligibility, Model, ModelScores
from recommender.role_changes import blended, present_weight, with_earlier_profiles

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
    earlier : Candidates, optional
        The same pairs as the members' earlier role and industry rank them.
    """

    row: Positions
    item: Positions
    scores: Scores
    ranks: Scores
    earlier: "Candidates | None" = None

    def at(self, places: NDArray[np.intp]) -> "Candidates":
        """Return some of the candidates, by their places."""
        earlier = None if self.earlier is None else self.earlier.at(places)
        return Candidates(self.row[places], self.item[places], self.scores[places], self.ranks[places], earlier)


def propose(
    models: Mapping[str, Model],
    interactions: Interactions,
    rows: Positions,
    *,
    eligibility: Eligibility,
    depth: int,
    exclude_seen: bool = True,
    both: bool = False,
) -> Iterator[tuple[Positions, Candidates]]:
    """Yield the union of the models' best ``depth`` eligible items of members, in blocks of members.

    Parameters
    ----------
    rows : array
        Positions of the members in ``interactions``.
    eligibility : Eligibility
        What each of them may be offered, in the same order.
    exclude_seen : bool
        Leave out what a member has seen besides.
    both : bool
        Whether members' earlier role and industry propose, too.
    """

    def candidates_of(block: Positions, mask: Scores, _: slice) -> Candidates:
        if not both:
            return _best(models, interactions, block, mask, depth)
        profiles = _profiles(interactions, block, both=True)
        proposed = np.zeros(mask.shape, dtype=bool)
        for profile in profiles:
            candidates = _best(models, *profile, mask, depth)
            proposed[candidates.row, candidates.item] = True
        row, item = np.nonzero(proposed)
        present, earlier = (_of_pairs(models, *profile, mask, row, item, depth) for profile in profiles)
        return replace(present, earlier=earlier)

    return _by_block(interactions, rows, eligibility, candidates_of, exclude_seen=exclude_seen)


def rescore(
    models: Mapping[str, Model],
    interactions: Interactions,
    rows: Positions,
    *,
    eligibility: Eligibility,
    depth: int,
    wanted: csr_matrix,
    both: bool = False,
) -> Iterator[tuple[Positions, Candidates]]:
    """Yield those candidates of members that are wanted, as :func:`propose` does: without looking for the others.

    Parameters
    ----------
    wanted : csr_matrix (len(rows), n_items)
        Above 0 for items that are looked for; those that a member must not be offered are left out.
    both : bool
        Whether members' earlier role and industry propose, too.
    """

    def candidates_of(block: Positions, mask: Scores, part: slice) -> Candidates:
        row, item = wanted[part].nonzero()
        eligible = np.isfinite(mask[row, item])
        row, item = row[eligible].astype(np.intp), item[eligible].astype(np.intp)
        profiles = _profiles(interactions, block, both=both)
        sides = [_of_pairs(models, *profile, mask, row, item, depth) for profile in profiles]
        proposed = np.any([np.isfinite(side.ranks).any(axis=1) for side in sides], axis=0)
        return replace(sides[0], earlier=sides[1] if both else None).at(np.flatnonzero(proposed))

    return _by_block(interactions, rows, eligibility, candidates_of, exclude_seen=True)


def _by_block(
    interactions: Interactions,
    rows: Positions,
    eligibility: Eligibility,
    candidates_of: Callable[[Positions, Scores, slice], Candidates],
    *,
    exclude_seen: bool,
) -> Iterator[tuple[Positions, Candidates]]:
    """Yield members in blocks with their candidates, in threads.

    Parameters
    ----------
    candidates_of : callable
        Takes the members of a block, what is added to their scores (0 for items that they may be offered, ``-inf`` for
        all others) and the block's place in ``rows``.
    """
    size = max(1, CACHED_CELLS // interactions.shape[1])

    def computed(start: int) -> tuple[Positions, Candidates]:
        part = slice(start, start + size)
        block = rows[part]
        mask = np.where(eligibility.masks[eligibility.group_of[part]], np.float32(0.0), np.float32(-np.inf))
        if exclude_seen:
            mask[cells_of(rows_of(interactions.seen, block))] = -np.inf
        return block, candidates_of(block, mask, part)

    return parallel_map(computed, range(0, len(rows), size))


def _profiles(interactions: Interactions, rows: Positions, *, both: bool) -> list[tuple[Interactions, Positions]]:
    """Return members by their present role and industry, and by their earlier ones where both count."""
    present = [(interactions, rows)]
    return [*present, (with_earlier_profiles(interactions, rows), np.arange(len(rows)))] if both else present


def blend(
    present: NDArray[np.float64],
    compute: Callable[[Interactions, Positions, Candidates], NDArray[np.float64]],
    interactions: Interactions,
    rows: Positions,
    candidates: Candidates,
    transition_days: int,
) -> NDArray[np.float64]:
    """Return a value of each candidate; of those proposed by two profiles the weighted mean of both values.

    Parameters
    ----------
    present : array (n, ...)
        The values by the present profiles.
    compute : callable
        Computes values by other profiles.
    """
    if candidates.earlier is None:
        return present
    earlier = compute(with_earlier_profiles(interactions, rows), np.arange(len(rows)), candidates.earlier)
    weight = present_weight(interactions, transition_days)[rows][candidates.row]
    return blended(present, earlier, weight.reshape(-1, *(1,) * (present.ndim - 1)))


def _of_pairs(
    models: Mapping[str, Model],
    interactions: Interactions,
    rows: Positions,
    mask: Scores,
    row: Positions,
    item: Positions,
    depth: int,
) -> Candidates:
    """Return the given unmasked pairs of members and items with every model's score and rank."""
    pairs = _Pairs(row, item, mask.shape)
    # One model after the other: no two models' scores are held at once.
    return pairs.candidates(model.top_scores(interactions, rows, mask, depth) for model in models.values())


def _best(
    models: Mapping[str, Model], interactions: Interactions, rows: Positions, mask: Scores, depth: int
) -> Candidates:
    """Return the models' best items of members."""
    proposed = np.zeros(mask.shape, dtype=bool)
    scored = [model.top_scores(interactions, rows, mask, depth) for model in models.values()]
    for scores in scored:
        proposed[scores.row, scores.item] = True
    row, item = np.divmod(np.flatnonzero(proposed), mask.shape[1])
    return _Pairs(row, item, mask.shape).candidates(scored)


class _Pairs:
    """Pairs of members and unmasked items, sorted, whose scores and ranks are read from what models return.

    Parameters
    ----------
    shape : tuple of int
        Number of members and of items.
    """

    def __init__(self, row: Positions, item: Positions, shape: tuple[int, int]) -> None:
        self._row, self._item, self._n_members = row, item, shape[0]
        self._places = np.full(shape, -1, dtype=np.int32)
        self._places[row, item] = np.arange(len(row))

    def candidates(self, scored: Iterable[ModelScores]) -> Candidates:
        """Return the pairs with the normalised score and the rank by each model."""
        scores, ranks = (np.stack(column, axis=1) for column in zip(*map(self._score_and_rank, scored), strict=True))
        return Candidates(self._row, self._item, scores, ranks)

    def _score_and_rank(self, scores: ModelScores) -> tuple[Scores, Scores]:
        """Return the score of each pair divided by the member's best, and the rank where the model proposes it."""
        starts = np.searchsorted(scores.row, np.arange(self._n_members + 1))
        has = starts[1:] > starts[:-1]
        best = np.full(self._n_members, np.nan, dtype=np.float32)
        best[has] = scores.values[starts[:-1][has]]
        values = scores.at(self._row, self._item)
        values[~np.isfinite(values)] = np.nan
        values /= np.maximum(np.abs(best), np.float32(1e-30))[self._row]
        place = self._places[scores.row, scores.item]
        ranks = np.full(len(values), np.nan, dtype=np.float32)
        ranks[place[place >= 0]] = (np.arange(1, len(place) + 1) - starts[scores.row])[place >= 0]
        return values, ranks


def eligible(interactions: Interactions, rows: Positions, audience: AudienceMask) -> Eligibility:
    """Return the items that the members at ``rows`` may be offered, the studied ones included.

    They are available, the member is in their audience, has finished their prerequisites and has the device they need.
    """
    items, as_of = interactions.items, interactions.as_of
    offered = interactions.item_memo(("available", as_of), lambda: available(items, as_of))
    needs = interactions.item_memo(("prerequisites", as_of), lambda: PrerequisiteMask(items, as_of))
    group_of, masks = audience.groups(rows_of(interactions.members, rows))
    masks, by_device = masks & offered, items_by_device(interactions)
    if not needs and not by_device:
        return Eligibility(group_of, masks)
    masks = masks[group_of]
    if needs:
        masks &= ~needs.blocked(rows_of(interactions.finished, rows))
    for name, needing in by_device.items():
        masks[np.ix_(~has_device(interactions, rows, name), needing)] = False
    return Eligibility(np.arange(len(rows)), masks)


def offers(
    rows: Positions, eligibility: Callable[[], Eligibility]
) -> Callable[[Positions, Positions], NDArray[np.bool_]]:
    """Return the function that says for members among those at ``rows``, by position, whether each may have an item.

    Their eligibility is computed once, and only when it is asked for.
    """
    of_rows = cache(eligibility)
    order = np.argsort(rows)

    def may_be_offered(members: Positions, items: Positions) -> NDArray[np.bool_]:
        if not len(members):
            return np.zeros(0, dtype=bool)
        allowed = of_rows()
        group = allowed.group_of[order[np.searchsorted(rows, members, sorter=order)]]
        return np.asarray(allowed.masks[group, items])

    return may_be_offered
