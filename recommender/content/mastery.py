"""Mastery of topics and recall of items, from graded attempts and completions of members.

Mastery follows performance factors analysis (Pavlik, Cen and Koedinger 2009, doi:10.3233/978-1-60750-028-5-531) on
logarithms of the counts, so that a hundred answers do not weigh like a hundred exams: the log-odds of success are
linear in ``ln(1 + successes)`` and ``ln(1 + failures)`` of a topic. Recall is the same for one item, less a power law
of the time since: its odds fall with ``days ** -DECAY`` (Wixted and Carpenter 2007,
doi:10.1111/j.1467-9280.2007.01862.x). Both depend on a member's own events alone, in any order, so a night and the
service agree. ``python -m benchmarks.mastery`` fits the constants and evaluates them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from content_catalog.schema import split_list
from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.linalg.ranges import ranges
from recommender.linalg.topk import Positions

Floats = NDArray[np.float64]

INTERCEPT: Final = 0.73
SUCCESS: Final = 0.58
FAILURE: Final = -0.68
"""Log-odds of success at the first attempt, and what successes and failures in a topic add."""

RECALL_INTERCEPT: Final = 1.81
RECALL_SUCCESS: Final = 0.74
RECALL_FAILURE: Final = -1.43
DECAY: Final = 0.25
"""The same for recall of an item after one day, and the exponent by which its odds fall with the days since."""

MIN_DAYS: Final = 0.5

GRADED: Final = "graded"
COMPLETED: Final = "completed"
"""Bases of mastery: graded attempts, or completions alone, which say that a member studied and not how well."""

MASTERY_COLUMNS: Final = ["member", "topic", "successes", "failures", "mastery", "basis"]


def mastery(successes: Floats, failures: Floats) -> Floats:
    """Return the probability of success at an attempt of average difficulty.

    Examples
    --------
    Nothing known: 1 / (1 + e^-.73) = .675. One success: .73 + .58 ln 2 = 1.13 in log-odds, .756. One failure:
    .73 - .68 ln 2 = .26, .564.

    >>> mastery(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])).round(3).tolist()
    [0.675, 0.756, 0.564]
    """
    return np.asarray(expit(INTERCEPT + gained(successes, failures)))


def gained(successes: Floats, failures: Floats) -> Floats:
    """Return what successes and failures in a topic add to the log-odds of success."""
    return np.asarray(SUCCESS * np.log1p(successes) + FAILURE * np.log1p(failures))


def recall(successes: Floats, failures: Floats, days: Floats) -> Floats:
    """Return the probability that what was studied some days ago is still known.

    Examples
    --------
    One success, a day ago: 1.81 + .74 ln 2 = 2.32 in log-odds, .911. Thirty days ago: 2.32 - .25 ln 30 = 1.47, .813.
    Two successes, thirty days ago: 1.81 + .74 ln 3 - .85 = 1.77, .855.

    >>> recall(np.array([1.0, 1.0, 2.0]), np.zeros(3), np.array([1.0, 30.0, 30.0])).round(3).tolist()
    [0.911, 0.813, 0.855]

    One failure, a day ago: 1.81 - 1.43 ln 2 = .82, .694. Nothing known and no time since, which counts as half a day:
    1.81 + .25 ln 2 = 1.98, .879.

    >>> recall(np.zeros(2), np.array([1.0, 0.0]), np.array([1.0, 0.0])).round(3).tolist()
    [0.694, 0.879]
    """
    learned = RECALL_INTERCEPT + RECALL_SUCCESS * np.log1p(successes) + RECALL_FAILURE * np.log1p(failures)
    return np.asarray(expit(learned - DECAY * np.log(np.maximum(days, MIN_DAYS))))


def item_recall(interactions: Interactions) -> Floats:
    """Return the recall of the item of each cell at the cut-off; NaN of items that were not finished.

    Each local day on which the item was finished counts as a success where no attempt can have been graded on it.
    Graded attempts are at most one success a day: to pass an item five times in an evening is not to know it for years
    (https://github.com/open-spaced-repetition/fsrs4anki/issues/707).
    """
    days = (interactions.as_of.value // 1_000 - interactions.cell("last_at")) / DAY_MICROSECONDS
    finished_days = interactions.cell("finished_days").astype(np.float64)
    graded, failures = interactions.cell("successes"), interactions.cell("failures")
    ungraded_days = np.maximum(finished_days - np.rint(graded + failures), 0.0)
    values = recall(np.minimum(graded + ungraded_days, finished_days), failures, days)
    return np.where(interactions.cell("finished"), values, np.nan)


@dataclass(frozen=True, slots=True)
class TopicEvidence:
    """Evidence of members of topics, sorted by member and topic: arrays of one length.

    Attributes
    ----------
    member : array of int
        Row numbers of members.
    topic : array of int
        Places in :func:`topics_of`.
    successes, failures : array of float
        Of graded attempts; where there are none, finished items and 0.
    graded : array of bool
    """

    member: Positions
    topic: Positions
    successes: Floats
    failures: Floats
    graded: NDArray[np.bool_]


def topics_of(interactions: Interactions) -> tuple[list[str], csr_matrix]:
    """Return the :func:`topics_of_items` of the catalogue."""
    return interactions.item_memo("topics", lambda: topics_of_items(interactions.items))


def topics_of_items(items: pd.DataFrame) -> tuple[list[str], csr_matrix]:
    """Return the topics of items, and which of them each item has: (items, topics) of ones.

    >>> names, has = topics_of_items(pd.DataFrame({"topics": ["safety;history", None, "safety"]}))
    >>> names, has.toarray().tolist()
    (['history', 'safety'], [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    """
    parts = [tuple(dict.fromkeys(split_list(text))) for text in items["topics"]]
    names = sorted({topic for of_item in parts for topic in of_item})
    numbers = {topic: place for place, topic in enumerate(names)}
    starts = np.concatenate([[0], np.cumsum([len(of_item) for of_item in parts])])
    columns = np.array([numbers[topic] for of_item in parts for topic in of_item], dtype=np.intp)
    return names, csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(parts), max(len(names), 1)))


def topic_evidence(interactions: Interactions) -> TopicEvidence:
    """Return what graded attempts and finished items say of topics, of members with personalisation."""
    _, topics = topics_of(interactions)
    graded = interactions.cell("successes") + interactions.cell("failures") > 0
    counted = interactions.personalised[interactions.cell("member")] & ~interactions.in_deleted_topics
    used = np.flatnonzero((graded | interactions.cell("finished")) & counted)
    item = interactions.cell("item")[used]
    number, place = ranges(topics.indptr[item], np.diff(topics.indptr)[item])
    cell, topic = used[number], topics.indices[place]
    pairs, pair = np.unique(
        interactions.cell("member")[cell].astype(np.int64) * topics.shape[1] + topic, return_inverse=True
    )
    sums = {
        name: np.bincount(pair, weights=interactions.cell(name)[cell], minlength=len(pairs))
        for name in ("successes", "failures", "finished")
    }
    any_graded = np.bincount(pair, weights=graded[cell], minlength=len(pairs)) > 0
    successes = np.where(any_graded, sums["successes"], sums["finished"])
    failures = np.asarray(sums["failures"], dtype=np.float64)
    return TopicEvidence(pairs // topics.shape[1], pairs % topics.shape[1], successes, failures, any_graded)


def topic_mastery(interactions: Interactions) -> pd.DataFrame:
    """Return the mastery of each member of each topic that it has evidence of: :data:`MASTERY_COLUMNS`.

    ``basis`` is ``graded`` where any attempt in the topic was graded; those alone count then. Else it is ``completed``,
    and each finished item counts as a success. Members who switched personalisation off have none.
    """
    names, _ = topics_of(interactions)
    of_topics = topic_evidence(interactions)
    columns = {
        "member": of_topics.member,
        "topic": [names[topic] for topic in of_topics.topic.tolist()],
        "successes": of_topics.successes,
        "failures": of_topics.failures,
        "mastery": mastery(of_topics.successes, of_topics.failures),
        "basis": np.where(of_topics.graded, GRADED, COMPLETED),
    }
    return pd.DataFrame(columns, columns=MASTERY_COLUMNS)
