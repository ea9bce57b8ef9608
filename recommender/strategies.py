"""Strategies: the kind of list a member gets, by its history and its description."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.content.segments import groups_of
from recommender.registry import STRATEGIES


def strategies(interactions: Interactions) -> pd.Series:
    """Return the strategy behind every member's list: ``history``, ``segment`` or ``popular``.

    It is ``history`` for members with evidence, ``segment`` for others whose role or industry is known, and ``popular``
    for the rest and for all who switched personalisation off.
    """
    return interactions.memo("strategies", lambda: _strategies(interactions))


def fusion_weights(interactions: Interactions, rows: NDArray[np.intp], models: Sequence[str]) -> NDArray[np.float64]:
    """Return the weight of each model in rank fusion for the members at ``rows``: (members, models)."""
    weights = {
        strategy: np.array([by_model.get(name, 0.0) for name in models]) for strategy, by_model in STRATEGIES.items()
    }
    by_member = [weights[strategy] for strategy in strategies(interactions).to_numpy()[rows]]
    return np.array(by_member).reshape(len(rows), len(models))


def newcomers(interactions: Interactions, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which of the members at ``rows`` have no history but a known role or industry."""
    return np.asarray(strategies(interactions).to_numpy()[rows] == "segment")


def _strategies(interactions: Interactions) -> pd.Series:
    members = interactions.members
    evidence = np.bincount(interactions.cell("member"), weights=interactions.cell("weight"), minlength=len(members))
    which, groups = groups_of(interactions, np.arange(len(members)), "role", "industry")
    described = np.array([any(group) for group in groups], dtype=bool)[which]
    strategy = np.where(evidence > 0, "history", np.where(described, "segment", "popular"))
    return pd.Series(np.where(interactions.personalised, strategy, "popular"), index=members.index)
