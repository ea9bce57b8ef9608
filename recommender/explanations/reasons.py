"""Reasons of list entries: a code with arguments, by the group of features that contributes most to the score."""

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
MIN_GROUP_SIZE: Final = 10
"""Fewest members that a reason speaks of by default, so that no single study can be inferred from it."""

CACHED_REASONS: Final = 50_000
"""Reasons cached of items, and of segments and items: about 300 bytes each."""
NOT_STUDIED: Final = "not_studied_yet"
"""Code of the reason where nothing else can be said of an item to a member with history that counts."""
OWN_TOPICS: Final = frozenset({"topics", "habits"})
"""Sources whose reasons depend on what the member studied."""

FITS: Final = ("fits_role_and_industry", "fits_role", "fits_industry")
STUDIED_BY: Final = ("studied_in_segment", "studied_by_role", "studied_in_industry")
"""Codes of reasons by a role and industry, by a role alone, and by an industry alone."""

Reason = dict[str, Any]


def reason_of(code: str, **arguments: object) -> Reason:
    """Return a reason.

    >>> reason_of("fits_role", role="83")
    {'code': 'fits_role', 'arguments': {'role': '83'}}
    """
    return {"code": code, "arguments": arguments}


def reason_by(codes: tuple[str, str, str], segment: Segment) -> Reason:
    """Return the reason by a segment, of the codes by role and industry, by role and by industry.

    >>> reason_by(FITS, ("", "54"))
    {'code': 'fits_industry', 'arguments': {'industry': '54'}}
    """
    role, industry = segment
    code = codes[0 if role and industry else 1 if role else 2]
    return reason_of(code, **{name: value for name, value in (("role", role), ("industry", industry)) if value})


class Reasons:
    """Reasons that hold true, for entries of lists.

    Parameters
    ----------
    interactions : Interactions
        Training data of the models.
    roles, industries : Taxonomy
        Taxonomies of the segments.
    min_group_size : int
        Fewest members that a reason speaks of.
    """

    def __init__(
        self,
        interactions: Interactions,
        *,
        roles: Taxonomy,
        industries: Taxonomy,
        min_group_size: int = MIN_GROUP_SIZE,
    ) -> None:
        self._interactions = interactions
        self._min_group_size = min_group_size
        self._topics = [split_list(text) for text in interactions.items["topics"]]
        self._roles, self._industries = roles, industries
        self._segments = Segments(interactions.members, roles=roles, industries=industries)
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
        self._large = self._segments.of_at_least(min_group_size, evidence)
        published = interactions.items["published_at"]
        self._new = (published > interactions.as_of - pd.Timedelta(days=NEW_DAYS)).to_numpy(dtype=bool)
        self._make_caches()

    def without_members(self) -> "Reasons":
        """Return the reasons without the interactions of members; those of listed ones come with their lists."""
        reasons = copy(self)
        reasons.__dict__["_interactions"] = self._interactions.without_members()
        reasons.__setstate__({})  # the caches of the original would hold its interactions
        return reasons

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, without the caches."""
        return {name: value for name, value in self.__dict__.items() if name not in {"_of_segment", "_of_item"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_caches()

    def _make_caches(self) -> None:
        """Make empty caches of the reasons of segments and of items."""
        self._of_segment = lru_cache(CACHED_REASONS)(self._segment_reason)
        self._of_item = lru_cache(CACHED_REASONS)(self._item_reason)

    def of(
        self,
        interactions: Interactions,
        members: NDArray[np.intp],
        items: NDArray[np.intp],
        sources: list[str],
        causes: NDArray[np.intp],
    ) -> list[Reason]:
        """Return the reason of each entry, members and items by their positions in the interactions.

        Parameters
        ----------
        interactions : Interactions
            Study of the listed members themselves; what is said of others is of when the models learned.
        causes : array (n,)
            The own item that puts each entry on its list; -1 where there is none.
        """
        evidence = interactions.matrix(half_life_days=np.inf)
        finished = _finished(interactions, members, causes)
        segments = segments_of(interactions, roles=self._roles, industries=self._industries)
        chains = [tuple(segments.names[number] for number in steps) for steps in segments.chains]
        leaves = segments.leaf_of[members].tolist()
        own_topics = self._topics_of(evidence, members, sources)
        # All ids at once: an index of texts takes microseconds for each.
        ids = self._interactions.items.index.take(np.maximum(causes, 0)).tolist()
        cited = [item_id if cause >= 0 else None for item_id, cause in zip(ids, causes.tolist(), strict=True)]
        often = np.minimum(self._ever[items], self._ever[np.maximum(causes, 0)]) >= self._min_group_size
        named = ["history" if name == "order" and not both else name for name, both in zip(sources, often, strict=True)]
        columns = leaves, items.tolist(), cited, finished.tolist(), named, own_topics
        reasons = [self._reason(chains[leaf], *row) for leaf, *row in zip(*columns, strict=True)]
        with_history = (np.diff(evidence.indptr) > 0)[members].tolist()
        return [
            reason if has_history or reason["code"] != NOT_STUDIED else reason_of("in_catalogue")
            for reason, has_history in zip(reasons, with_history, strict=True)
        ]

    def _reason(
        self,
        chain: tuple[Segment, ...],
        item: int,
        cause: str | None,
        finished: bool,  # noqa: FBT001 - a row
        source: str,
        own_topics: frozenset[str] | None,
    ) -> Reason:
        if cause is not None:
            because = "because_finished" if finished else "because_studied"
            return reason_of("often_next_after" if source == "order" else because, item_id=cause)
        if source == "topics":
            return self._topics_reason(chain, item, own_topics or frozenset())
        if source in {"history", "order", "segment"}:
            return self._of_segment(chain, item)
        if source == "habits" and own_topics is not None:
            return reason_of("fits_your_habits")
        return self._of_item(item)

    def _topics_reason(self, chain: tuple[Segment, ...], item: int, own_topics: frozenset[str]) -> Reason:
        """Return the item's first topic among those the member studied, else the segment whose study it resembles."""
        topic = next((topic for topic in self._topics[item] if topic in own_topics), None)
        if topic is not None:
            return reason_of("fits_your_topics", topic=topic)
        _, *finer = chain
        for segment in reversed(finer):
            if segment in self._large:
                return reason_by(FITS, segment)
        return self._of_item(item)

    def _topics_of(
        self, evidence: csr_matrix, members: NDArray[np.intp], sources: list[str]
    ) -> list[frozenset[str] | None]:
        """Return the topics each member studied, for entries whose reason may speak of them; None without history."""
        topics: dict[int, frozenset[str] | None] = {}
        for member in {member for member, name in zip(members.tolist(), sources, strict=True) if name in OWN_TOPICS}:
            studied = evidence.indices[evidence.indptr[member] : evidence.indptr[member + 1]]
            own = (topic for item in studied.tolist() for topic in self._topics[item])
            topics[member] = frozenset(own) if len(studied) else None
        return [topics.get(member) for member in members.tolist()]

    def _segment_reason(self, chain: tuple[Segment, ...], item: int) -> Reason:
        """Return what the finest segment says in which enough members studied the item this week."""
        _, *finer = chain
        for segment in reversed(finer):
            number = self._segments.numbers.get(segment)
            if number is not None and self._lately[number, item] >= self._min_group_size:
                return reason_by(STUDIED_BY, segment)
        return self._of_item(item)

    def _item_reason(self, item: int) -> Reason:
        """Return what can be said of an item to anyone."""
        if self._lately[self._segments.numbers[EVERYONE], item] >= self._min_group_size:
            return reason_of("studied_this_week")
        topics = self._topics[item]
        if self._new[item]:
            return reason_of("new_on_topic", topic=topics[0]) if topics else reason_of("new")
        if self._ever[item] >= self._min_group_size:
            return reason_of("popular")
        return reason_of(NOT_STUDIED)


def _finished(interactions: Interactions, members: NDArray[np.intp], causes: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return whether the member of each entry finished its cause; False where there is none."""
    finished, cited = np.zeros(len(causes), dtype=bool), np.flatnonzero(causes >= 0)
    if len(cited):  # of no pairs SciPy returns a matrix
        finished[cited] = np.asarray(interactions.finished[members[cited], causes[cited]]).ravel() > 0
    return finished
