"""Difficulty: items just above what a member masters stand higher."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from content_catalog.schema import DIFFICULTIES
from features.interactions import Interactions
from recommender.content.mastery import INTERCEPT, gained, topic_evidence, topics_of
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists

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

    def applies(self, known: Interactions) -> bool:
        """Return whether difficulty counts, and any item has one."""
        return self.weight > 0 and bool(known.items["difficulty"].notna().any())

    def apply(self, lists: RankedLists, known: Interactions, *, k: int, may_be_offered: MayBeOffered) -> RankedLists:
        """Return the lists by the changed scores."""
        del k, may_be_offered
        mastered = known.memo("mastery of topics", lambda: _mastered(known))
        row, rank = np.nonzero(lists.listed & (np.diff(mastered.indptr) > 0)[lists.member][:, None])
        if not len(row):
            return lists
        item = lists.item[row, rank]
        levels = known.item_memo("levels", lambda: known.items["difficulty"].map(LEVELS).fillna(0.0).to_numpy())
        log_odds = (
            INTERCEPT + np.asarray(mastered[lists.member[row]].multiply(_shares(known)[item]).sum(axis=1)).ravel()
        )
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


def _mastered(known: Interactions) -> csr_matrix:
    """Return what members' evidence adds to the log-odds of success in topics: (members, topics)."""
    of_topics = topic_evidence(known)
    shape = (len(known.members), topics_of(known)[1].shape[1])
    values = gained(of_topics.successes, of_topics.failures)
    return csr_matrix((values, (of_topics.member, of_topics.topic)), shape=shape)


def _shares(known: Interactions) -> csr_matrix:
    """Return the share of each topic in each item: (items, topics), rows of items with topics summing to 1."""

    def shares() -> csr_matrix:
        _, topics = topics_of(known)
        counts = np.diff(topics.indptr)
        return csr_matrix((np.repeat(1.0 / np.maximum(counts, 1), counts), topics.indices, topics.indptr), topics.shape)

    return known.item_memo("topics as shares", shares)
