"""Base class of all models: fit on interactions, recommend the best items to members."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from features.interactions import Interactions
from recommender.errors import ModelError, NotFittedYetError
from recommender.linalg.ranges import cells_of, places_within
from recommender.linalg.topk import Best, Positions, Scores, first_unmasked, top_k

BLOCK_CELLS: Final = 16_000_000
"""Scores held at once: 64 MB of float32."""

REQUIRED: Final = frozenset({"item_knn", "transitions", "first_items"})
"""Models that reasons and ranking features are made from beside their scores."""

CANDIDATE_COLUMNS: Final = ["member_id", "item_id", "score", "rank"]


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Items each of some members may be offered, by group of members.

    Attributes
    ----------
    group_of : array (n_members,)
        The group of each member, in the order of the request.
    masks : array (n_groups, n_items) of bool
        Items a group may be offered.
    """

    group_of: NDArray[np.intp]
    masks: NDArray[np.bool_]

    @classmethod
    def same(cls, n_members: int, mask: NDArray[np.bool_]) -> "Eligibility":
        """Return the eligibility of members who all may be offered the same items."""
        return cls(np.zeros(n_members, dtype=np.intp), mask[None, :])


@dataclass(frozen=True, slots=True)
class ModelScores:
    """A model's best items for some members, and its scores for any other item.

    Attributes
    ----------
    row, item : array (n,)
        The best items of each member: place of the member, and item, best first within each row.
    values : array (n,) of float32
        Their scores.
    at : callable
        Returns the scores of pairs of members and unmasked items, sorted by member; not finite where there is none.
    """

    row: Positions
    item: Positions
    values: Scores
    at: Callable[[Positions, Positions], Scores]


Allowed = Collection[str] | Eligibility | None


class Model(BaseEstimator, ABC):
    """Model that scores items for members.

    A subclass writes ``_fit(interactions)``, which learns, and ``_score(interactions, rows)``, which scores every item
    for some members (``-inf``: not scored) by their interactions. Blocks, exclusion, ties and ids are handled here.

    Attributes
    ----------
    search_space : mapping
        Of an analyst's own model: lowest and highest value of each parameter that ``xuelu tune`` searches, above 0.
    block_cells : int
        Scores held at once.
    """

    search_space: ClassVar[Mapping[str, tuple[float, float]]] = {}
    block_cells: int = BLOCK_CELLS

    def fit(self, interactions: Interactions) -> Self:
        """Learn from interactions, forgetting everything learned before."""
        if interactions.shape[0] == 0 or interactions.shape[1] == 0:
            raise ModelError("there are no members or no items to learn from; ingest some first")
        self._interactions = interactions
        self._fit(interactions)
        return self

    def without_members(self, empty: Interactions) -> Self:
        """Return the fitted model without the interactions it was fitted on; ``empty`` has their items only."""
        model = copy(self)
        model.__dict__["_interactions"] = empty
        return model

    def without_member(self, row: int) -> Self:
        """Return the fitted model without data of one member alone; here there is none: weights are sums over many."""
        del row
        return self

    def recommend(
        self,
        members: Sequence[str],
        *,
        k: int,
        allowed: Allowed = None,
        exclude_seen: bool = True,
        interactions: Interactions | None = None,
    ) -> pd.DataFrame:
        """Return the best items of members: ``member_id, item_id, score, rank`` (rank from 1).

        A member gets fewer than ``k`` rows where fewer items are eligible, and none where the model cannot serve it.

        Parameters
        ----------
        members : sequence of str
            Ids; unknown ones get nothing.
        k : int
            Rows per member, at least 1.
        allowed : collection of item ids, or Eligibility, optional
            Items that may be returned; by default all.
        exclude_seen : bool
            Leave out the items the member has interacted with.
        interactions : Interactions, optional
            Newer interactions of the members, over the same items, to score them by (online inference); by default
            those the model was fitted on.

        Raises
        ------
        NotFittedYetError
            Before :meth:`fit`.
        ModelError
            ``k`` is below 1.
        """
        self._check_fitted()
        if k < 1:
            raise ModelError(f"k = {k}; ask for at least 1 item")
        interactions = interactions or self._interactions
        rows = interactions.members.index.get_indexer(pd.Index(members, dtype="str"))
        eligibility = self._eligibility(allowed, len(rows))
        parts = []
        for block in self._blocks(rows):
            block_eligibility = Eligibility(eligibility.group_of[block], eligibility.masks)
            seen = interactions.seen[rows[block]] if exclude_seen else None
            served, items, values = self._best(interactions, rows[block], block_eligibility, seen, k)
            parts.append((block[served], items, values))
        return self._frame(np.asarray(members, dtype=object), parts)

    @abstractmethod
    def _fit(self, interactions: Interactions) -> None:
        """Learn."""

    @abstractmethod
    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        """Return a new array of scores (len(rows), n_items); ``-inf`` where the model has none.

        ``rows`` are positions among the members of ``interactions``.
        """

    def _best(
        self, interactions: Interactions, rows: Positions, eligibility: Eligibility, seen: csr_matrix | None, k: int
    ) -> Best:
        """Return the best ``k`` eligible and unseen items of members, as :func:`top_k` does."""
        scores = self._score(interactions, rows)
        np.copyto(scores, -np.inf, where=~eligibility.masks[eligibility.group_of])
        if seen is not None:
            scores[cells_of(seen)] = -np.inf
        return top_k(scores, k)

    def scores(self, interactions: Interactions, rows: Positions) -> Scores:
        """Return the scores that :meth:`recommend` ranks by: a new array (len(rows), n_items), ``-inf``: not scored.

        Raises
        ------
        NotFittedYetError
            Before :meth:`fit`.
        """
        self._check_fitted()
        return self._score(interactions, rows)

    def top_scores(self, interactions: Interactions, rows: Positions, mask: Scores, depth: int) -> ModelScores:
        """Return the model's scores of the unmasked items, and its best of them.

        Parameters
        ----------
        rows : array
            Positions of the members in ``interactions``.
        mask : array (len(rows), n_items) of float32
            ``-inf`` for items that a member must not be offered or has seen, 0 for all others.
        depth : int
            Best items to return for each member.
        """
        scores = self.scores(interactions, rows)
        scores += mask
        return ModelScores(*top_k(scores, depth), lambda row, item: scores[row, item])

    def _check_fitted(self) -> None:
        if not hasattr(self, "_interactions"):
            raise NotFittedYetError(f"{type(self).__name__} has not been fitted; call fit(interactions) first")

    def _eligibility(self, allowed: Allowed, n_members: int) -> Eligibility:
        if isinstance(allowed, Eligibility):
            return allowed
        items = self._interactions.items.index
        mask = np.ones(len(items), dtype=bool) if allowed is None else items.isin(list(allowed))
        return Eligibility.same(n_members, mask)

    def _blocks(self, rows: Positions) -> Iterator[Positions]:
        """Yield positions of known members, few enough at a time for their scores to fit into memory."""
        served = np.flatnonzero(rows >= 0)
        size = max(1, self.block_cells // self._interactions.shape[1])
        for start in range(0, len(served), size):
            yield served[start : start + size]

    def _frame(self, members: NDArray[np.object_], parts: list[Best]) -> pd.DataFrame:
        served, items, values = (
            (np.concatenate(column) for column in zip(*parts, strict=True))
            if parts
            else (np.zeros(0, dtype=np.intp),) * 3
        )
        return pd.DataFrame(
            {
                "member_id": pd.Series(members[served], dtype="str"),
                "item_id": self._interactions.items.index[items].astype("str"),
                "score": values.astype(np.float32),
                "rank": places_within(served) + 1,
            }
        )


class NonPersonalisedModel(Model):
    """Model with the same scores for every member, which ``_fit`` leaves in ``item_scores``.

    Attributes
    ----------
    item_scores : array (n_items,)
        Scores; ``-inf`` where there is none.
    """

    item_scores: Scores

    def fit(self, interactions: Interactions) -> Self:
        """Learn, as every model does."""
        self.__dict__.pop("order", None)
        return super().fit(interactions)

    @cached_property
    def order(self) -> Positions:
        """The scored items, best first."""
        order = np.argsort(-self.item_scores, kind="stable")
        return order[np.isfinite(self.item_scores[order])]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what can be derived from it."""
        return {name: value for name, value in super().__getstate__().items() if name != "order"}

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        del interactions
        return np.tile(self.item_scores, (len(rows), 1))

    def top_scores(self, interactions: Interactions, rows: Positions, mask: Scores, depth: int) -> ModelScores:
        """Return the same as :meth:`Model.top_scores`, without a copy of the scores for each member."""
        del interactions, rows
        row, item = first_unmasked(self.order, mask, depth)
        return ModelScores(row, item, self.item_scores[item], lambda _row, item: self.item_scores[item])


class NoScores(NonPersonalisedModel):
    """Model without any scores, in the place of one that could not be fitted: it proposes nothing."""

    def _fit(self, interactions: Interactions) -> None:
        self.item_scores = np.full(interactions.shape[1], -np.inf, dtype=np.float32)


def fit_all(models: dict[str, Model], interactions: Interactions, unfitted: dict[str, str] | None) -> None:
    """Fit models; one that fails is replaced by :class:`NoScores`, and its error added to ``unfitted`` by its name.

    The error is raised where ``unfitted`` is None, and for :data:`REQUIRED` models.
    """
    for name, model in list(models.items()):
        try:
            model.fit(interactions)
        except Exception as error:
            if unfitted is None or name in REQUIRED:
                raise
            unfitted[name] = f"{type(error).__name__}: {error}"
            models[name] = NoScores().fit(interactions)
