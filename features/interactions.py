"""Interactions: the weight of each member and item, made from study events."""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from content_catalog.schema import split_lists
from features.events import BLOCK_EVENTS, by_members
from features.local_days import date_only_of, local_days
from features.study_time import DAY_MICROSECONDS, grouped, studied_seconds
from features.weights import (
    MAX_HALF_LIVES,
    VERB_STRENGTH,
    WeightingRules,
    decay,
    interaction_weight,
    latest_against,
    of_deleted_topics,
)

FINISHING_VERBS = ("completed", "passed")
FINISHED_PROGRESS = 0.95
GRADES = {"passed": 1.0, "failed": 0.0}
"""Scores of graded attempts that have none."""
SCORE_UNIT = 1e-6
OPINIONS = {"liked": 1, "disliked": -1, "dismissed": -1}
Value = TypeVar("Value")


@dataclass(frozen=True)
class Interactions:
    """The input of every model: members, items and a weight for each pair of them with any event.

    Attributes
    ----------
    members : DataFrame
        One row per member, indexed by ``member_id`` in ascending order: ``units, role, personalised, …``.
    items : DataFrame
        One row per item, indexed by ``item_id`` in ascending order.
    cells : DataFrame
        One row per member and item with any event: ``member`` and ``item`` (row numbers of the two frames above),
        ``weight, progress, study_seconds, finished``, ``successes, failures`` (sums of the scores of graded attempts
        and of what they lack of 1), ``finished_days`` (local days on which it was finished), ``first_at, last_at``
        (microseconds), ``first_day`` (local day since 1970), sorted by member and item.
    as_of : Timestamp
        The moment up to which events are known.
    rules : WeightingRules
        The bounds that were applied.
    item_cache : dict
        Values derived from the items alone; interactions over the same items share it.
    """

    members: pd.DataFrame
    items: pd.DataFrame
    cells: pd.DataFrame
    as_of: pd.Timestamp
    rules: WeightingRules
    item_cache: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)
    _cache: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def memo(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return a value derived from these interactions, computed once for each key."""
        if key not in self._cache:
            self._cache[key] = compute()
        value: Value = self._cache[key]
        return value

    def forget(self) -> None:
        """Drop the derived values, which take more memory than the cells; what is asked for is computed again."""
        self._cache.clear()

    def item_memo(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return a value derived from the items alone, computed once for each key and all that share the items."""
        if key not in self.item_cache:
            self.item_cache[key] = compute()
        value: Value = self.item_cache[key]
        return value

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, without the memos: they can be computed again."""
        return {**self.__dict__, "_cache": {}, "item_cache": {}}

    def without_members(self) -> "Interactions":
        """Return interactions without members over the same items."""
        return replace(self, members=self.members.iloc[:0], cells=self.cells.iloc[:0])

    def cell(self, name: str) -> np.ndarray:
        """Return a column of the cells."""
        return self.memo(("cell", name), lambda: np.asarray(self.cells[name]))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of members and of items."""
        return len(self.members), len(self.items)

    def matrix(self, half_life_days: float) -> csr_matrix:
        """Return decayed weights as a sparse (members, items) matrix of float32.

        Members who switched personalisation off have empty rows, and no row sums to more than ``member_cap``.
        """
        return self.memo(("matrix", half_life_days), lambda: self._matrix(half_life_days))

    def _matrix(self, half_life_days: float) -> csr_matrix:
        age_days = (self.as_of.value // 1_000 - self.cell("last_at")) / DAY_MICROSECONDS
        # In a log that ended long ago all ages are counted from half-way down the range of float32: only ratios matter.
        most = MAX_HALF_LIVES / 2 * half_life_days
        if len(age_days) and age_days.min() > most:
            age_days -= age_days.min() - most
        weight = self.cell("weight") * decay(age_days, half_life_days)
        rows = self.cell("member")
        total = np.bincount(rows, weights=weight, minlength=len(self.members))
        scale = np.minimum(1.0, self.rules.member_cap / np.maximum(total, 1e-12))
        return self._of_personalised((weight * scale[rows]).astype(np.float32))

    @cached_property
    def seen(self) -> csr_matrix:
        """Items each personalised member has any event of, as a sparse (members, items) matrix of ones."""
        return self._of_personalised(np.ones(len(self.cells), dtype=np.float32))

    @cached_property
    def finished(self) -> csr_matrix:
        """Items each personalised member has finished, as a sparse (members, items) matrix of ones."""
        return self._of_personalised(self.cell("finished").astype(np.float32))

    @cached_property
    def personalised(self) -> np.ndarray:
        """Mask of the members who have not switched personalisation off."""
        flag = self.members["personalised"].to_numpy(dtype=object)
        return np.where(pd.isna(flag), True, flag).astype(bool)

    @cached_property
    def in_deleted_topics(self) -> np.ndarray:
        """Mask of the cells of items of topics that the member deleted: they are no evidence of what it likes."""
        topics = self.parts_of_members("deleted_topics")
        if not topics:
            return np.zeros(len(self.cells), dtype=bool)
        return of_deleted_topics(self.items["topics"], topics, self.cell("item"), self.cell("member"))

    def parts_of_members(self, column: str) -> dict[int, tuple[str, ...]]:
        """Return the lists in a column of members, if there is one, by row number, of those members that have any."""
        return self.memo(("parts", column), lambda: split_lists(self.members.get(column, ())))

    def _of_personalised(self, values: np.ndarray) -> csr_matrix:
        matrix = self._sparse(values * self.personalised[self.cell("member")])
        matrix.eliminate_zeros()
        return matrix

    def _sparse(self, values: np.ndarray) -> csr_matrix:
        counts = np.bincount(self.cell("member"), minlength=len(self.members))
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return csr_matrix((values, self.cell("item").astype(np.int32), start), shape=self.shape)

    def digest(self) -> str:
        """Return the SHA-256 of members, items, weights and cut-off, in hexadecimal."""
        sha = hashlib.sha256(str(self.as_of.value).encode())
        for frame in (self.members.reset_index(), self.items.reset_index(), self.cells):
            for name in frame.columns:
                sha.update(name.encode())
                sha.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
        return sha.hexdigest()


def build_interactions(
    events: pd.DataFrame,
    *,
    members: pd.DataFrame,
    items: pd.DataFrame,
    as_of: pd.Timestamp,
    rules: WeightingRules | None = None,
    item_cache: dict[Hashable, Any] | None = None,
    block_events: int = BLOCK_EVENTS,
) -> Interactions:
    """Return the interactions of study events, in whatever order these come.

    Parameters
    ----------
    events : DataFrame
        Events that count (no voided ones, none later than ``as_of``): ``member, item`` (row numbers), ``verb,
        occurred_at`` (microseconds), ``duration_seconds, progress, score`` (NaN: unknown), ``session`` (0: none), and
        optionally ``date_only``.
    members, items : DataFrame
        Indexed by id in ascending order. Study of items of a member's ``deleted_topics``, where there is this column,
        weighs nothing.
    item_cache : dict, optional
        That of interactions over the same items.
    """
    rules = rules or WeightingRules()
    cache = {} if item_cache is None else item_cache
    if "seconds" not in cache:
        cache["seconds"] = items["duration_seconds"].to_numpy(dtype=np.float64, na_value=np.nan)
    zones = members.get("timezone", pd.Series(None, index=members.index, dtype="str"))
    blocks = by_members(events, len(members), block_events)
    parts = [_cells(block, zones, cache["seconds"], rules) for block in blocks]
    cells = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0] if parts else _no_cells()
    built = Interactions(members=members, items=items, cells=cells, as_of=as_of, rules=rules, item_cache=cache)
    if not built.in_deleted_topics.any():
        return built
    unused = {name: built.cells[name].mask(built.in_deleted_topics, 0) for name in ("weight", "successes", "failures")}
    return replace(built, cells=built.cells.assign(**unused))


def _cells(events: pd.DataFrame, zones: pd.Series, item_seconds: np.ndarray, rules: WeightingRules) -> pd.DataFrame:
    """Return the cells of events, whose columns :class:`Interactions` describes."""
    verbs = events["verb"].astype("category").array
    at, item, member = (events[name].to_numpy() for name in ("occurred_at", "item", "member"))
    order = np.lexsort((at, item, member))
    at, item, member, code = at[order], item[order], member[order], np.asarray(verbs.codes)[order]
    length, session, reached, grade = (
        events[name].to_numpy()[order] for name in ("duration_seconds", "session", "progress", "score")
    )
    date_only = date_only_of(events)[order]
    studied = studied_seconds(member, item, at, length, session, date_only)
    day = local_days(at, date_only, zones, member, default=rules.timezone)
    _, first, cell = grouped(item, member)
    last = np.append(first[1:], len(order)) - 1

    def by_verb(values: Mapping[str, float]) -> np.ndarray:
        """Return the value of each event's verb; NaN where it has none, or there is no verb: its code is -1."""
        return np.array([*(values.get(verb, np.nan) for verb in verbs.categories), np.nan])[code]

    finishing = (by_verb(dict.fromkeys(FINISHING_VERBS, 1)) > 0) | (reached >= FINISHED_PROGRESS)
    days, finished_days = _days(cell, day, finishing)
    strength, progress, score = (np.fmax.reduceat(values, first) for values in (by_verb(VERB_STRENGTH), reached, grade))
    grade = np.where(np.isnan(grade), by_verb(GRADES), grade)
    against = latest_against(by_verb(OPINIONS), at, cell, len(first))
    member, item = member[first].astype(np.int64), item[first].astype(np.int64)
    seconds, share = _study_time(studied, member, item, item_seconds, rules)
    weight = interaction_weight(strength=strength, progress=progress, time_share=share, score=score, days=days)
    return pd.DataFrame(
        {
            "member": member.astype(np.int32),
            "item": item.astype(np.int32),
            "weight": np.where(against, 0.0, weight).astype(np.float32),
            "progress": progress,
            "study_seconds": seconds,
            "finished": finished_days > 0,
            "successes": _sums(grade, first),
            "failures": _sums(1.0 - grade, first),
            "finished_days": finished_days.astype(np.int32),
            "first_at": at[first],
            "last_at": at[last],
            "first_day": day[first].astype(np.int32),
        }
    )


def _days(cell: np.ndarray, day: np.ndarray, finishing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of days of each cell, and of those with an event that finishes the item.

    >>> cell, day = np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6])
    >>> _days(cell, day, np.array([True, True, False, False]))
    (array([2, 1]), array([1, 0]))
    """
    order, first, _ = grouped(day, cell)
    of_day, finished = cell[order[first]], np.logical_or.reduceat(finishing[order], first)
    days = np.bincount(of_day)
    return days, np.bincount(of_day[finished], minlength=len(days))


def _study_time(
    studied: tuple[np.ndarray, np.ndarray, np.ndarray],
    member: np.ndarray,
    item: np.ndarray,
    item_seconds: np.ndarray,
    rules: WeightingRules,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the study time of each cell in seconds, bounded, and as a share of the item's duration, NaN where unknown.

    ``studied`` are member, item and seconds of the cells with any study time.
    """
    timed_member, timed_item, timed_seconds = studied
    seconds, n_items = np.zeros(len(member)), len(item_seconds)
    seconds[np.searchsorted(member * n_items + item, timed_member * n_items + timed_item)] = timed_seconds
    duration = item_seconds[item]
    has_duration = duration > 0
    bound = np.where(has_duration, duration * rules.item_time_cap, rules.unknown_item_cap_seconds)
    seconds = np.minimum(seconds, bound)
    return seconds, np.divide(seconds, duration, out=np.full(len(seconds), np.nan), where=has_duration)


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the sum of the values that are known in each cell, exact whatever order they come in."""
    whole = np.rint(np.nan_to_num(values) / SCORE_UNIT).astype(np.int64)
    return np.asarray(np.add.reduceat(whole, starts) * SCORE_UNIT)


def _no_cells() -> pd.DataFrame:
    kinds = {"member": "int32", "item": "int32", "weight": "float32", "progress": "float64", "study_seconds": "float64"}
    kinds |= {"finished": "bool", "successes": "float64", "failures": "float64", "finished_days": "int32"}
    kinds |= {"first_at": "int64", "last_at": "int64", "first_day": "int32"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
