"""Choice and study of items: members pick them one by one, by appeal and trend, and finish them or not."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from content_catalog.schema import FORMATS
from simulator.behaviour.sessions import Attempts
from simulator.behaviour.trend import PopularityTrend
from simulator.columns import rows_of, stacked
from simulator.organisation.catalogue import Catalogue, Flags, Floats, Ints

Singles = npt.NDArray[np.float32]

CELLS_AT_ONCE: Final = 1 << 18
"""Members times items weighed at once: small enough to stay in the cache of the processor."""
WHOLE: Final = 1 << 20
"""Weights are counted in whole numbers of this part of one: sums are exact, and seven times faster than in floats."""
RESUMING: Final = 0.4
"""Share of an item's appeal left after each attempt that did not finish it."""
FINISHING: Final = {
    "article": 1.1, "video": 0.4, "short_video": 1.6, "live": -0.5, "quiz": 1.2,
    "discussion": 0.7, "course": -0.7, "vr": 0.9, "ar": 0.8,
}  # fmt: skip
"""Log-odds of finishing an item of a format in one attempt, for an item of average appeal."""
PASS_MARK: Final = 0.6
SCORE_DEVIATION: Final = 0.16
REACTION_SECONDS: Final = 60
"""Likes, ratings and the like come within this time after an attempt."""


@dataclass(frozen=True, slots=True)
class Studies:
    """Items taken up, as parallel arrays; instants in seconds since 1970, progress between 0 and 1.

    ``liking`` is the appeal of the item to the member, in logits; ``score`` counts for quizzes only.
    """

    member: Ints
    item: Ints
    started_at: Ints
    ended_at: Ints
    before: Floats
    after: Floats
    finished: Flags
    dismissed: Flags
    score: Floats
    liking: Floats


@dataclass(frozen=True, slots=True)
class ProfileChanges:
    """Changes of members while they study.

    Attributes
    ----------
    rows : array (n,)
        The members.
    at : array (n,)
        Moments of the changes, in seconds since 1970.
    members : array (n, width)
        Vectors of the members from then on.
    admitted : array (n, closed items)
        Which of the closed items they may see from then on.
    """

    rows: Ints
    at: Ints
    members: Singles
    admitted: Flags


class StudyModel:
    """A block of members at study. ``appeal`` changes as they go: what is done is gone, next parts open up.

    Parameters
    ----------
    catalogue, trend
        What can be studied, and its popularity over time.
    members, items : arrays of shape (members, width) and (items, width)
        Vectors whose product is the appeal in logits.
    """

    def __init__(self, catalogue: Catalogue, trend: PopularityTrend, *, members: Singles, items: Singles) -> None:
        self._trend = trend
        self._members = members
        self._items = items
        self._is_later_part = catalogue.previous >= 0
        self._following = catalogue.following
        self._durations = catalogue.duration_seconds
        self._finishing = np.array([FINISHING[name] for name in FORMATS])[catalogue.format]
        self._is_quiz = catalogue.format == FORMATS.index("quiz")
        self.appeal: Singles = np.exp(members @ items.T)
        self.appeal[:, self._is_later_part] = 0.0
        self._progress = np.zeros_like(self.appeal)
        self._free_at = np.zeros(len(members), dtype=np.int64)
        self.restrict(np.zeros(0, dtype=np.intp), np.zeros((len(members), 0), dtype=np.bool_))

    def restrict(self, items: npt.NDArray[np.intp], admitted: Flags) -> None:
        """Close items to members; ``admitted`` has shape (members, closed items)."""
        self.appeal[:, items] *= admitted
        self._closed, self._admitted = items, admitted.copy()

    def change(self, changes: ProfileChanges) -> None:
        """Give members other vectors and another audience; what is gone or damped for them stays so."""
        rows, admitted = changes.rows, changes.admitted
        left = self.appeal[rows] / np.exp(self._members[rows] @ self._items.T)
        opened = admitted & ~self._admitted[rows] & ~self._is_later_part[self._closed]
        left[:, self._closed] = np.where(opened, np.float32(1), left[:, self._closed] * admitted)
        self._members[rows], self._admitted[rows] = changes.members, admitted
        self.appeal[rows] = np.exp(changes.members @ self._items.T) * left

    def interest(self) -> Singles:
        """Return the chance of each item to be a member's next at the end; rows sum to 1, or 0 if nothing is left."""
        weight: Singles = self.appeal * self._trend.popularity[-1]
        total = weight.sum(axis=1, keepdims=True)
        np.divide(weight, total, out=weight, where=total > 0)
        return weight

    def pass_chance(self) -> Floats:
        """Return the chance of each member to pass each item as a quiz at the end, shape (members, items)."""
        return pass_chance((self._members @ self._items.T).astype(np.float64))

    def expected_seconds(self) -> Floats:
        """Return the seconds of content that each member is expected to finish in an attempt at the end."""
        finishes = _end_chance(self._finishing, (self._members @ self._items.T).astype(np.float64))
        finishes *= np.where(self._is_quiz, self.pass_chance(), 1.0)
        return np.asarray((self.interest() * finishes) @ self._durations)

    def run(self, attempts: Attempts, rng: np.random.Generator, changes: ProfileChanges | None = None) -> Studies:
        """Return what the members do in their attempts, turn by turn; attempts that find nothing are left out.

        ``changes`` are made before the first attempt after each, or else at the end.
        """
        chances = rng.random((5, len(attempts.member)))
        normals = rng.normal(size=(2, len(attempts.member)))
        by_turn = np.lexsort((attempts.member, attempts.turn))
        parts = []
        for chosen in np.split(by_turn, np.cumsum(np.bincount(attempts.turn))):
            member = attempts.member[chosen]
            pause = (5 + 120 * chances[0, chosen]).astype(np.int64)
            started_at = np.maximum(attempts.opened_at[chosen], self._free_at[member] + pause)
            in_time = started_at < self._trend.span.until
            draws = chosen[in_time]
            if changes is not None:
                due = np.isin(changes.rows, member[in_time])
                due[due] = changes.at[due] <= started_at[in_time][np.searchsorted(member[in_time], changes.rows[due])]
                self.change(rows_of(changes, due))
                changes = rows_of(changes, ~due)
            parts.append(
                self._turn(member[in_time], started_at[in_time], chances=chances[1:, draws], normals=normals[:, draws])
            )
        if changes is not None:
            self.change(changes)
        return stacked(parts)

    def _turn(self, member: Ints, started_at: Ints, *, chances: Floats, normals: Floats) -> Studies:
        """Return one attempt of each of some distinct members."""
        item = _picked(self.appeal, self._trend, member, started_at, chance=chances[0])
        chosen = item >= 0
        member, item, started_at = member[chosen], item[chosen], started_at[chosen]
        (finish_chance, cover_chance, dismiss_chance), (pace, form) = chances[1:, chosen], normals[:, chosen]
        liking = self._liking(member, item)
        ends_it = finish_chance < _end_chance(self._finishing[item], liking)
        before = self._progress[member, item].astype(np.float64)
        covered = np.where(ends_it, 1.0, 0.02 + 0.9 * cover_chance**1.5) * (1 - before)
        seconds = np.maximum(self._durations[item] * covered * np.exp(0.2 * pace), 3)
        ended_at = started_at + np.ceil(seconds).astype(np.int64)
        score = np.clip(_mean_score(liking) + SCORE_DEVIATION * form, 0, 1).round(2)
        in_time = ended_at + REACTION_SECONDS <= self._trend.span.until
        studies = Studies(
            member=member,
            item=item,
            started_at=started_at,
            ended_at=ended_at,
            before=before,
            after=before + covered,
            finished=ends_it & in_time & (~self._is_quiz[item] | (score >= PASS_MARK)),
            dismissed=(covered < 0.1) & (dismiss_chance < 0.2) & in_time & ~ends_it,
            score=score,
            liking=liking,
        )
        self._update(studies)
        return studies

    def _update(self, studies: Studies) -> None:
        """Remove the appeal of finished and dismissed items, lower that of others, and open next parts of series."""
        member, item = studies.member, studies.item
        gone = studies.finished | studies.dismissed
        self.appeal[member, item] *= np.where(gone, np.float32(0), np.float32(RESUMING))
        self._progress[member, item] = np.where(self._is_quiz[item], 0.0, studies.after)
        self._free_at[member] = studies.ended_at
        opens = studies.finished & (self._following[item] >= 0)
        member, item = member[opens], self._following[item[opens]]
        self.appeal[member, item] = np.exp(self._liking(member, item))

    def _liking(self, member: Ints, item: Ints) -> Floats:
        liking: Floats = np.einsum("nk,nk->n", self._members[member], self._items[item]).astype(np.float64)
        return liking


def _end_chance(finishing: Floats, liking: Floats) -> Floats:
    """Return the chance to come to the end of an item in one attempt."""
    return np.asarray(1 / (1 + np.exp(-finishing - 0.35 * (liking - 2))))


def pass_chance(liking: Floats) -> Floats:
    """Return the chance to pass a quiz by its appeal.

    Examples
    --------
    At an appeal of 2 the mean score is .72. Scores are rounded to hundredths, so .595 passes: .125 / .16 = .78 standard
    deviations below the mean.

    >>> pass_chance(np.array([2.0, 0.0])).round(3).tolist()
    [0.783, 0.562]
    """
    return np.asarray(ndtr((_mean_score(liking) - PASS_MARK + 0.005) / SCORE_DEVIATION))


def _mean_score(liking: Floats) -> Floats:
    """Return the mean score of a quiz."""
    return 0.72 + 0.05 * (liking - 2)


def _picked(appeal: Singles, trend: PopularityTrend, member: Ints, started_at: Ints, *, chance: Floats) -> Ints:
    """Return one item per row, drawn by appeal times trend; -1 where nothing can be studied."""
    item = np.full(len(member), -1)
    slots = trend.slots(started_at)
    rows = max(CELLS_AT_ONCE // appeal.shape[1], 1)
    for first in range(0, len(member), rows):
        part = slice(first, first + rows)
        weight = appeal[member[part]] * np.float32(WHOLE)
        weight *= trend.popularity[slots[part]]
        heap = np.cumsum(weight.astype(np.int64), axis=1)
        total = heap[:, -1]
        mark = (chance[part] * total).astype(np.int64)  # below the total, as the chance is below 1
        reached = (heap > mark[:, np.newaxis]).argmax(axis=1)
        item[part] = np.where(total > 0, reached, -1)
    return item
