"""Reasons: why an item is on a list, as a code with arguments that hold true."""

from copy import copy
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.content.segments import EVERYONE, Segment, Segments, segments_of

WEEK_DAYS: Final = 7
NEW_DAYS: Final = 30
FEWEST_MEMBERS: Final = 3
"""A reason never speaks of fewer members than this: nobody's study can be told from it."""

BLOCK_ROWS: Final = 20_000
CACHED_REASONS: Final = 50_000
"""Reasons cached of items, and of segments and items: about 300 bytes each."""
BY_LIKENESS: Final = frozenset(
    {
        "item_knn",
        "als",
        "ease",
        "ease_recent",
        "transitions",
        "next_day",
        "same_day",
        "user_knn",
        "user_knn_recent",
    }
)
"""Sources whose proposals come from what the member studied."""

Reason = dict[str, Any]


class Reasons:
    """What can truthfully be said about lists.

    Parameters
    ----------
    interactions : Interactions
        What the models learned from; tells what others study.
    similarity : csr_matrix (n_items, n_items)
        Similarities of items; tells which studied item speaks for a listed one.
    roles, industries : Taxonomy
        What segments are made of.
    """

    def __init__(
        self, interactions: Interactions, *, similarity: csr_matrix, roles: Taxonomy, industries: Taxonomy
    ) -> None:
        self._interactions = interactions
        self._similarity = similarity.sorted_indices()
        self._roles, self._industries = roles, industries
        self._segments = Segments(interactions.members, roles=roles, industries=industries)
        self._numbers = {segment: number for number, segment in enumerate(self._segments.names)}
        evidence = interactions.matrix(half_life_days=np.inf)
        cells = interactions.cells
        now = interactions.as_of.value // 1_000
        studied = (evidence > 0).astype(np.float32)
        lately = csr_matrix(evidence.shape, dtype=np.float32)
        recent = cells[(cells["last_at"] >= now - WEEK_DAYS * DAY_MICROSECONDS).to_numpy()]
        if len(recent):
            ones = np.ones(len(recent), dtype=np.float32)
            lately = csr_matrix((ones, (recent["member"], recent["item"])), shape=evidence.shape).multiply(studied)
        self._lately = self._segments.totals(lately.tocsr())
        self._ever = np.asarray(studied.sum(axis=0)).ravel()
        published = interactions.items["published_at"]
        self._new = (published > interactions.as_of - pd.Timedelta(days=NEW_DAYS)).to_numpy(dtype=bool)
        self._remember()

    def without_members(self) -> "Reasons":
        """Return the same without what members did one by one: it can be told of lists of members given with them."""
        made = copy(self)
        made.__dict__["_interactions"] = self._interactions.without_members()
        made.__setstate__({})  # the caches of the original would hold its interactions
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept where reasons are stored: not what was asked for before."""
        return {name: value for name, value in self.__dict__.items() if name not in {"_of_segment", "_of_item"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()

    def _remember(self) -> None:
        """Begin to remember what is said of segments and items."""
        self._of_segment = lru_cache(CACHED_REASONS)(self._segment_reason)
        self._of_item = lru_cache(CACHED_REASONS)(self._item_reason)

    def of(self, lists: pd.DataFrame, known: Interactions | None = None) -> list[Reason]:
        """Return the reason of each row of ``member_id, item_id, strategy, source``.

        ``known`` tells what the listed members themselves studied, by default until the models learned; what is said
        of others stays that of then.
        """
        known = known or self._interactions
        members = known.members.index.get_indexer(lists["member_id"])
        items = known.items.index.get_indexer(lists["item_id"])
        return self.told(known, members, items, lists["source"].tolist())

    def told(
        self, known: Interactions, members: NDArray[np.intp], items: NDArray[np.intp], sources: list[str]
    ) -> list[Reason]:
        """Return the reason of each place of lists, members and items by their positions in what is known."""
        evidence = known.matrix(half_life_days=np.inf)
        causes = np.full(len(members), -1)
        by_likeness = np.flatnonzero([source in BY_LIKENESS for source in sources])
        for start in range(0, len(by_likeness), BLOCK_ROWS):
            rows = by_likeness[start : start + BLOCK_ROWS]
            causes[rows] = self._causes(evidence, members[rows], items[rows])
        finished = _finished(known, members, causes)
        segments = segments_of(known, roles=self._roles, industries=self._industries)
        chains = [tuple(segments.names[number] for number in steps) for steps in segments.chains]
        leaves = segments.leaf_of[members].tolist()
        columns = leaves, items.tolist(), causes.tolist(), finished.tolist(), sources
        return [self._reason(chains[leaf], *row) for leaf, *row in zip(*columns, strict=True)]

    def _reason(self, chain: tuple[Segment, ...], item: int, cause: int, finished: bool, source: str) -> Reason:  # noqa: FBT001 - a row
        if cause >= 0:
            code = "because_finished" if finished else "because_studied"
            return {"code": code, "arguments": {"item_id": str(self._interactions.items.index[cause])}}
        if source == "segment" or source in BY_LIKENESS:
            return self._of_segment(chain, item)
        return self._of_item(item)

    def _causes(self, evidence: csr_matrix, members: NDArray[np.intp], items: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return for each member and item the studied item that speaks most for it, -1 where none does."""
        counts = np.diff(evidence.indptr)[members]
        row_of = np.repeat(np.arange(len(members)), counts)
        within = np.arange(len(row_of)) - np.repeat(np.cumsum(counts) - counts, counts)
        position = evidence.indptr[members][row_of] + within
        studied = evidence.indices[position].astype(np.int64)
        support = evidence.data[position] * self._similarities(studied, items[row_of])
        best = np.lexsort((studied, -support, row_of))
        rows, first = np.unique(row_of[best], return_index=True)
        causes = np.full(len(members), -1)
        speaks = support[best][first] > 0
        causes[rows[speaks]] = studied[best][first][speaks]
        return causes

    def _similarities(self, items: NDArray[np.int64], others: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the similarity of each pair of items."""
        if not len(items):
            return np.zeros(0)
        return np.asarray(self._similarity[items, others], dtype=np.float64).ravel()

    def _segment_reason(self, chain: tuple[Segment, ...], item: int) -> Reason:
        """Return what the finest segment says in which enough members studied the item this week."""
        _, *finer = chain
        for segment in reversed(finer):
            role, industry = segment
            if segment in self._numbers and self._lately[self._numbers[segment], item] >= FEWEST_MEMBERS:
                code = (
                    "studied_in_segment" if role and industry else "studied_by_role" if role else "studied_in_industry"
                )
                arguments = {name: value for name, value in (("role", role), ("industry", industry)) if value}
                return {"code": code, "arguments": arguments}
        return self._of_item(item)

    def _item_reason(self, item: int) -> Reason:
        """Return what can be said of an item to anyone."""
        if self._lately[self._numbers[EVERYONE], item] >= FEWEST_MEMBERS:
            return {"code": "studied_this_week", "arguments": {}}
        topics = split_list(self._interactions.items["topics"].iloc[item])
        if self._new[item]:
            return (
                {"code": "new_on_topic", "arguments": {"topic": topics[0]}}
                if topics
                else {"code": "new", "arguments": {}}
            )
        if self._ever[item] >= FEWEST_MEMBERS:
            return {"code": "popular", "arguments": {}}
        return {"code": "not_studied_yet", "arguments": {}}


def _finished(known: Interactions, members: NDArray[np.intp], causes: NDArray[np.intp]) -> NDArray[np.bool_]:
    n_items = len(known.items)
    keys = known.cell("member").astype(np.int64) * n_items + known.cell("item")
    finished = keys[known.cell("finished")]
    return np.isin(members * n_items + causes, finished) & (causes >= 0)
