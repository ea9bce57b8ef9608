"""Strategies: the kind of list a member gets, by what is known of it."""

import numpy as np
import pandas as pd

from features.interactions import Interactions
from recommender.content.segments import groups_of


def strategies(interactions: Interactions) -> pd.Series:
    """Return the strategy behind every member's list: ``history``, ``segment`` or ``popular``."""
    strategy: pd.Series = interactions.memo("strategies", lambda: _strategies(interactions))
    return strategy


def _strategies(interactions: Interactions) -> pd.Series:
    members = interactions.members
    evidence = np.bincount(interactions.cell("member"), weights=interactions.cell("weight"), minlength=len(members))
    which, groups = groups_of(interactions, np.arange(len(members)), "role", "industry")
    described = np.array([any(group) for group in groups], dtype=bool)[which]
    strategy = np.where(evidence > 0, "history", np.where(described, "segment", "popular"))
    return pd.Series(np.where(interactions.personalised, strategy, "popular"), index=members.index)
