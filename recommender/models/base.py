"""What every model is: fitted on interactions, asked for the best items of members."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from features.interactions import Interactions
from recommender.errors import ModelError, NotFittedYetError
from recommender.linalg.topk import Positions, Scores, first_open, top_k

BLOCK_CELLS: Final = 16_000_000
"""Scores held at once: 64 MB of float32."""

CANDIDATE_COLUMNS: Final = ["member_id", "item_id", "score", "rank"]


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which items each of some members may be offered, by group of members.

    Attributes
    ----------
    group_of : array (n_members,)
        The group of each member, in the order the members are asked for.
    masks : array (n_groups, n_items) of bool
        What a group may be offered.
    """

    group_of: NDArray[np.intp]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model thinks of items for some members.

    Attributes
    ----------
    row, item : array (n,)
        Its best items of each member: place of the member, and item, best first within each row.
    values : array (n,) of float32
        Their scores.
    at : callable
        Returns its scores for members and items that are open to them, sorted by member; not finite: no opinion.
    """

    row: Positions
    item: Positions
    values: Scores
    at: Callable[[Positions, Positions], Scores]


Allowed = Collection[str] | Eligibility | None


class Model(BaseEstimator, ABC):
    """A model that proposes items.

    A model writes ``_fit(interactions)``, which learns, and ``_score(known, rows)``, which scores every item for some
    members (``-inf``: no opinion) from what is known of them. Blocks, exclusion, ties and ids are handled here, once.
    """

    def fit(self, interactions: Interactions) -> Self:
        """Learn from interactions, forgetting everything learned before."""
        if interactions.shape[0] == 0 or interactions.shape[1] == 0:
            raise ModelError("there are no members or no items to learn from; ingest some first")
        self._interactions = interactions
        self._fit(interactions)
        return self

    def without_members(self, nobody: Interactions) -> Self:
        """Return the fitted model without the interactions it was fitted on; ``nobody`` has their items only."""
        made = copy(self)
        made.__dict__["_interactions"] = nobody
        return made

    def recommend(
        self,
        members: Sequence[str],
        *,
        k: int,
        allowed: Allowed = None,
        exclude_seen: bool = True,
        known: Interactions | None = None,
    ) -> pd.DataFrame:
        """Return the best items of members: ``member_id, item_id, score, rank`` (rank from 1).

        A member gets fewer than ``k`` rows where fewer items are eligible, and none where the model cannot serve it.

        Parameters
        ----------
        members : sequence of str
            Unknown ones get nothing.
        k : int
            Rows per member, at least 1.
        allowed : collection of item ids, or Eligibility, optional
            Items that may be returned; by default all.
        exclude_seen : bool
            Leave out what the member has had anything to do with.
        known : Interactions, optional
            What is known of members now, over the same items; by default what the model learned from. With newer events
            of a member its list is made anew from the fitted model.

        Raises
        ------
        NotFittedYetError
            Before :meth:`fit`.
        ModelError
            ``k`` is below 1.
        """
        if not hasattr(self, "_interactions"):
            raise NotFittedYetError(f"{type(self).__name__} has not been fitted; call fit(interactions) first")
        if k < 1:
            raise ModelError(f"k = {k}; ask for at least 1 item")
        known = known or self._interactions
        rows = known.members.index.get_indexer(pd.Index(members, dtype="str"))
        eligibility = self._eligibility(allowed, len(rows))
        parts = []
        for block in self._blocks(rows):
            open_to = Eligibility(eligibility.group_of[block], eligibility.masks)
            seen = known.seen[rows[block]] if exclude_seen else None
            asked, items, values = self._best(known, rows[block], open_to, seen, k)
            parts.append((block[asked], items, values))
        return self._frame(np.asarray(members, dtype=object), parts)

    @abstractmethod
    def _fit(self, interactions: Interactions) -> None:
        """Learn."""

    @abstractmethod
    def _score(self, known: Interactions, rows: Positions) -> Scores:
        """Return a new array of scores (len(rows), n_items); ``-inf`` where the model has no opinion.

        ``rows`` are positions among the members of ``known``.
        """

    def _best(
        self, known: Interactions, rows: Positions, eligibility: Eligibility, seen: csr_matrix | None, k: int
    ) -> tuple[Positions, Positions, Scores]:
        """Return the best ``k`` of what members may be offered and have not seen, as :func:`top_k` does."""
        scores = self._score(known, rows)
        np.copyto(scores, -np.inf, where=~eligibility.masks[eligibility.group_of])
        if seen is not None:
            scores[np.repeat(np.arange(len(rows)), np.diff(seen.indptr)), seen.indices] = -np.inf
        return top_k(scores, k)

    def scores(self, known: Interactions, rows: Positions) -> Scores:
        """Return what :meth:`recommend` ranks: a new array of scores (len(rows), n_items), ``-inf``: no opinion.

        Raises
        ------
        NotFittedYetError
            Before :meth:`fit`.
        """
        if not hasattr(self, "_interactions"):
            raise NotFittedYetError(f"{type(self).__name__} has not been fitted; call fit(interactions) first")
        return self._score(known, rows)

    def opinion(self, known: Interactions, rows: Positions, closed: Scores, depth: int) -> Opinion:
        """Return what the model thinks of the items that are open to members.

        Parameters
        ----------
        rows : array
            Positions of the members in ``known``.
        closed : array (len(rows), n_items) of float32
            ``-inf`` for what they must not be offered, also what they have studied, and 0 for all else.
        depth : int
            How many of the best items are wanted for each.
        """
        scores = self.scores(known, rows)
        scores += closed
        return Opinion(*top_k(scores, depth), lambda row, item: scores[row, item])

    def _eligibility(self, allowed: Allowed, n_members: int) -> Eligibility:
        if isinstance(allowed, Eligibility):
            return allowed
        items = self._interactions.items.index
        mask = np.ones(len(items), dtype=bool) if allowed is None else items.isin(list(allowed))
        return Eligibility(np.zeros(n_members, dtype=np.intp), mask[None, :])

    def _blocks(self, rows: Positions) -> Iterator[Positions]:
        """Yield positions of known members, few enough at a time for their scores to fit into memory."""
        asked = np.flatnonzero(rows >= 0)
        size = max(1, BLOCK_CELLS // self._interactions.shape[1])
        for start in range(0, len(asked), size):
            yield asked[start : start + size]

    def _frame(self, members: NDArray[np.object_], parts: list[tuple[Positions, Positions, Scores]]) -> pd.DataFrame:
        asked, items, values = (
            (np.concatenate(column) for column in zip(*parts, strict=True))
            if parts
            else (np.zeros(0, dtype=np.intp),) * 3
        )
        first = np.searchsorted(asked, asked)
        return pd.DataFrame(
            {
                "member_id": pd.Series(members[asked], dtype="str"),
                "item_id": self._interactions.items.index[items].astype("str"),
                "score": values.astype(np.float32),
                "rank": np.arange(len(asked)) - first + 1,
            }
        )


class NonPersonalisedModel(Model):
    """A model with one opinion for everybody, which ``_fit`` leaves in ``common``.

    Attributes
    ----------
    common : array (n_items,)
        Scores; ``-inf`` where there is no opinion.
    """

    common: Scores

    def fit(self, interactions: Interactions) -> Self:
        """Learn, as every model does."""
        self.__dict__.pop("order", None)
        return super().fit(interactions)

    @cached_property
    def order(self) -> Positions:
        """The items it has an opinion on, the best first."""
        order = np.argsort(-self.common, kind="stable")
        return order[np.isfinite(self.common[order])]

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept where models are stored: not what can be made of it again."""
        return {name: value for name, value in super().__getstate__().items() if name != "order"}

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        del known
        return np.tile(self.common, (len(rows), 1))

    def opinion(self, known: Interactions, rows: Positions, closed: Scores, depth: int) -> Opinion:
        """See :meth:`Model.opinion`."""
        del known, rows
        row, item = first_open(self.order, closed, depth)
        return Opinion(row, item, self.common[item], lambda _row, item: self.common[item])
