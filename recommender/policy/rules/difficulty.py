"""Difficulty: items just above what a member masters stand higher."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from content_catalog.schema import DIFFICULTIES
from features.interactions import Interactions
from recommender.content.mastery import INTERCEPT, gained, topic_evidence, topics_of
from recommender.linalg.ranges import ranges
from recommender.linalg.topk import Positions
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists

TARGET: Final = 0.75
"""Probability of success that items should have (Klinkenberg, Straatemeier and van der Maas 2011)."""
LEVELS: Final = dict(zip(DIFFICULTIES, (-1.0, 0.0, 1.0), strict=True))
"""Log-odds of success that each difficulty takes; items without one count as of average difficulty."""


@dataclass(frozen=True)
class Difficulty(Rule):
    """Each score is multiplied by ``1 - weight · |p - .75| / .75``, p being the member's probability of success.

    So two entries can change places only where the scores differ by less than the weight. The probability follows from
    the mean mastery of the item's topics, in log-odds, less the level of its difficulty. Members without mastery of
    anything, and those who switched personalisation off, keep their lists. The target is that of Klinkenberg,
    Straatemeier and van der Maas (2011), doi:10.1016/j.compedu.2011.02.003.

    Attributes
    ----------
    weight : float
        0: difficulty does not count.
    """

    weight: float = 0.0

    def applies(self, interactions: Interactions) -> bool:
        """Return whether difficulty counts, and any item has one."""
        named = interactions.item_memo("difficulty", lambda: bool(interactions.items["difficulty"].notna().any()))
        return self.weight > 0 and named

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists by the changed scores."""
        del k, may_be_offered
        mastered, evident = _mastered(interactions, lists.member)
        row, rank = np.nonzero(lists.listed & evident[:, None])
        if not len(row):
            return lists
        item = lists.item[row, rank]
        levels = interactions.item_memo(
            "levels", lambda: interactions.items["difficulty"].map(LEVELS).fillna(0.0).to_numpy()
        )
        log_odds = INTERCEPT + _means(interactions, mastered, row, item)
        score = lists.score.copy()
        score[row, rank] *= 1.0 - self.weight * off_target(log_odds, levels[item])
        return lists.by_score(score)


def off_target(log_odds: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the probability of success is off the target, 0 to 1.

    Examples
    --------
    Mastery .9, log-odds 2.2: an advanced item is right with .77, a beginner's with .96.

    >>> off_target(np.array([2.2, 2.2]), np.array([1.0, -1.0])).round(2).tolist()
    [0.02, 0.28]
    """
    return np.abs(expit(log_odds - level) - TARGET) / TARGET


def _mastered(interactions: Interactions, members: Positions) -> tuple[NDArray[np.float64], Mask]:
    """Return what members' evidence adds to the log-odds of success in topics, and which members have any.

    Returns
    -------
    (array (n_members, n_topics + 1), array (n_members,))
        The last column is 0, for items of no topic.
    """
    of_topics = interactions.memo("evidence of topics", lambda: topic_evidence(interactions))
    first, end = (np.searchsorted(of_topics.member, members, side=side) for side in ("left", "right"))
    row, place = ranges(first, end - first)
    mastered = np.zeros((len(members), topics_of(interactions)[1].shape[1] + 1))
    mastered[row, of_topics.topic[place]] = gained(of_topics.successes[place], of_topics.failures[place])
    return mastered, end > first


def _means(
    interactions: Interactions, mastered: NDArray[np.float64], row: Positions, item: Positions
) -> NDArray[np.float64]:
    """Return the mean of members' mastery (:func:`_mastered`) over the topics of items."""

    def topics_of_items() -> tuple[Positions, NDArray[np.float64]]:
        """Return the topics of each item, padded with the number of topics, and how many they are."""
        _, topics = topics_of(interactions)
        counts = np.diff(topics.indptr)
        padded = np.full((len(counts), max(int(counts.max(initial=0)), 1)), topics.shape[1])
        padded[np.arange(padded.shape[1]) < counts[:, None]] = topics.indices
        return padded, np.maximum(counts, 1).astype(np.float64)

    padded, counts = interactions.item_memo("topics of items", topics_of_items)
    return np.asarray(mastered[row[:, None], padded[item]].sum(axis=1) / counts[item])
