"""Weight of role and industry in the ranking of members without history."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.linalg.topk import Positions
from recommender.ranking.candidate_generation import Candidates
from recommender.ranking.linear import rank_value

NEWCOMER_WEIGHT: Final = 4.0
"""Added to the ranker's score for a first rank in ``content``, or the best score of ``segment``.

Chosen by backtest on MARS and a simulated organisation: what is popular outweighs role and industry otherwise.
"""


def newcomer_bonus(
    candidates: Candidates, newcomers: NDArray[np.bool_], models: Sequence[str]
) -> tuple[NDArray[np.float64], Positions]:
    """Return what role and industry add to the score of each candidate, and the place of the model that says so.

    It is ``content``'s by its rank, and for items that ``content`` does not score ``segment``'s by its score.

    Parameters
    ----------
    newcomers : array (n_members,) of bool
        Members without history whose role or industry is known; the candidates of all others get 0.
    models : sequence of str
        Names of the candidates' models.

    Examples
    --------
    The first item is scored by content and is its first; the second is not, and has a quarter of the segment's best.

    >>> scores, ranks = np.float32([[1, 1], [np.nan, 0.25]]), np.float32([[1, 1], [np.nan, 2]])
    >>> candidates = Candidates(np.array([0, 0]), np.array([3, 5]), scores, ranks)
    >>> bonus, model = newcomer_bonus(candidates, np.array([True]), ["content", "segment"])
    >>> bonus.tolist(), model.tolist()
    ([4.0, 1.0], [0, 1])
    """
    bonus, model = np.zeros(len(candidates.row)), np.zeros(len(candidates.row), dtype=np.intp)
    left = newcomers[candidates.row]
    for name in ("content", "segment"):
        if name in models:
            place = list(models).index(name)
            scored = np.isfinite(candidates.scores[:, place])
            share = np.clip(candidates.scores[:, place].astype(np.float64), 0.0, 1.0)
            value = rank_value(np.log(candidates.ranks[:, place])) if name == "content" else share
            chosen = left & scored
            bonus[chosen], model[chosen] = NEWCOMER_WEIGHT * value[chosen], place
            left &= ~scored
    return bonus, model
