"""Breakdown of one member's ranking: each candidate's score, what groups of features add to it, and models' scores."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.explanations.sources import GROUPS, largest
from recommender.linalg.topk import Positions, Scores
from recommender.pipeline import Pipeline

CONSTANT: Final = "constant"
"""Part of a score that belongs to no group."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Candidates of one member, best first.

    Attributes
    ----------
    item : array (n,)
        Positions of items.
    parts : array (n, groups + 1)
        What each of :data:`recommender.explanations.sources.GROUPS` and the constant add to the score.
    scores, ranks : array (n, n_models) of float32
        Each model's score divided by its best for the member, and the rank among its proposals; NaN without.
    """

    item: Positions
    parts: NDArray[np.float64]
    models: tuple[str, ...]
    scores: Scores
    ranks: Scores

    def of_place(self, place: int) -> dict[str, Any]:
        """Return the breakdown of a candidate, by its place: ``score, source, contributions, models``."""
        parts = self.parts[place]
        contributions = dict(zip((*GROUPS, CONSTANT), parts.tolist(), strict=True))
        return {
            "score": float(sum(contributions.values())),
            "source": largest(parts[None])[0],
            "contributions": contributions,
            "models": [
                {"model": name, "score": _number(score), "rank": None if np.isnan(rank) else int(rank)}
                for name, score, rank in zip(self.models, self.scores[place], self.ranks[place], strict=True)
                if not np.isnan(score)
            ],
        }


def breakdown(
    pipeline: Pipeline, interactions: Interactions, member_id: str, *, k: int, unrestricted: bool = False
) -> Breakdown:
    """Return the ranking of a member's candidates.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    interactions : Interactions
        The member's, and maybe those of others.
    k : int
        Items of a list.
    unrestricted : bool
        Rank what the member must not be offered or has studied as well.
    """
    [(rows, candidates)] = pipeline.proposals(interactions, pd.Index([member_id]), k=k, unrestricted=unrestricted)
    score = pipeline.rank(interactions, rows, candidates)
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    best = candidates.at(order)
    parts = pipeline.contributions(interactions, rows, best)
    return Breakdown(best.item, parts, tuple(pipeline.models), best.scores, best.ranks)


def _number(score: np.float32) -> float | None:
    return float(score) if np.isfinite(score) else None
