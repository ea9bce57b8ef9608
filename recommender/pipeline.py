"""The pipeline: propose, rank, drop what a member must not be offered, explain."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.causes import causes_of
from recommender.explanations.earlier_roles import FITS_EARLIER, earlier_prevails
from recommender.explanations.reasons import MIN_GROUP_SIZE, Reasons, reason_of
from recommender.explanations.sources import grouping, largest
from recommender.linalg.topk import Positions, Scores, best_of
from recommender.models.base import Eligibility, Model, fit_all
from recommender.models.first_items import FirstItems
from recommender.models.item_knn import ItemKNN
from recommender.models.transitions import Transitions
from recommender.policy.policies import NO_POLICIES, MayBeOffered, Policies
from recommender.policy.ranked_lists import Listed, RankedLists
from recommender.profile_groups import audience_mask, profile_groups, representatives
from recommender.ranking.candidate_generation import Candidates, blend, eligible, offers, propose, rescore
from recommender.ranking.features import RankingFeatures
from recommender.ranking.newcomers import newcomer_bonus
from recommender.ranking.rank_fusion import fusion_parts, reciprocal_rank
from recommender.ranking.ranker import Ranker, features_of
from recommender.registry import names_of
from recommender.role_changes import settled_and_blended
from recommender.strategies import fusion_weights, newcomers, strategies

LIST_COLUMNS: Final = ["member_id", "item_id", "rank", "strategy", "source", "score"]
BLOCK_MEMBERS, INSERTED = 5_000, "policy"
"""Members ranked at once; source of items that a rule inserted."""


@dataclass(frozen=True)
class Pipeline:
    """Fixed stages from fitted models to lists.

    Attributes
    ----------
    models : dict
        A model under each registered name.
    roles, industries : Taxonomy
        What members' and items' codes mean.
    depth : int
        Candidates each model proposes for a member.
    ranker : Ranker, optional
        Fitted ranker; without one the models' ranks are fused.
    ranking_features : RankingFeatures
        Features beside the models' scores; made where none are given.
    min_group_size : int
        Fewest members that a reason speaks of.
    policies : Policies
        Rules that are applied to the ranked lists.
    transition_days : int
        Days over which lists of members go over from their earlier role and industry to the present ones.
    unfitted : dict, optional
        Collects the error of each model that cannot be fitted, by name: it proposes nothing then. Where there is none,
        as in a backtest, the error is raised.
    """

    models: dict[str, Model]
    roles: Taxonomy
    industries: Taxonomy
    depth: int = 60
    ranker: Ranker | None = None
    ranking_features: RankingFeatures | None = None
    min_group_size: int = MIN_GROUP_SIZE
    policies: Policies = NO_POLICIES
    transition_days: int = 0
    unfitted: dict[str, str] | None = None

    def __post_init__(self) -> None:
        """Make the ranking features."""
        if self.ranking_features is None:
            object.__setattr__(self, "ranking_features", RankingFeatures(self.roles, self.industries))

    @property
    def item_knn(self) -> ItemKNN:
        """The model whose similarities explain lists and serve as similar items."""
        return cast("ItemKNN", self.models["item_knn"])

    @property
    def transitions(self) -> Transitions:
        """The model whose shares say what is often studied after an item."""
        return cast("Transitions", self.models["transitions"])

    @property
    def first_items(self) -> FirstItems:
        """The model that knows which members just joined."""
        return cast("FirstItems", self.models["first_items"])

    def fit(self, interactions: Interactions) -> None:
        """Fit the models and the ranking features."""
        self.fit_models(interactions)
        cast("RankingFeatures", self.ranking_features).fit(interactions)

    def fit_models(self, interactions: Interactions) -> None:
        """Fit the models alone, for lists by each of them without a ranking."""
        fit_all(self.models, interactions, self.unfitted)

    def without_members(self, learned: Interactions) -> "Pipeline":
        """Return the fitted pipeline without what was learned from, so that it is small to keep and to load."""
        empty = learned.without_members()
        return replace(self, models={name: model.without_members(empty) for name, model in self.models.items()})

    def without_member(self, row: int) -> "Pipeline":
        """Return the fitted pipeline without what models keep of the member of a row of what they learned from."""
        return replace(self, models={name: model.without_member(row) for name, model in self.models.items()})

    def profile_groups(self, interactions: Interactions) -> Positions:
        """Return numbers of members, equal where without any history their lists would be the same."""
        return profile_groups(interactions, self.roles, self.industries, self.first_items, self.transition_days)

    def representatives(self, interactions: Interactions) -> pd.Series:
        """Return for every member the member whose list it shares: itself, or one without history like it."""
        own_lists = self.policies.own_lists(interactions)
        return representatives(interactions, self.profile_groups(interactions), own_lists)

    def recommend(self, interactions: Interactions, members: pd.Index, *, k: int) -> pd.DataFrame:
        """Return the lists of members: ``member_id, item_id, rank, strategy, source, score``.

        Left out are items that are hidden, unavailable or already studied, of a restricted audience a member is not
        part of, or with prerequisites it has not finished. Strategies: :func:`recommender.strategies.strategies`.
        """
        strategy_of = strategies(interactions).to_numpy()
        parts = []
        for block in self.listed(interactions, members, k=k):
            columns = {
                "member_id": interactions.members.index[block.member],
                "item_id": interactions.items.index[block.item],
                "rank": block.rank,
                "strategy": strategy_of[block.member],
                "source": np.array(block.source, dtype=object),
                "score": block.score,
            }
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=LIST_COLUMNS)

    def listed(self, interactions: Interactions, members: pd.Index, *, k: int) -> Iterator[Listed]:
        """Yield the lists of members as :meth:`recommend` does, in blocks."""
        for rows, candidates in self.proposals(interactions, members, k=k):
            features = self.features(interactions, rows, candidates) if self.ranker else None
            score = self.rank(interactions, rows, candidates, features)
            lists = self.ranked(interactions, rows, candidates, score, k=k)
            row, column = np.nonzero(lists.listed)
            place = lists.place[row, column]
            scored = np.flatnonzero(place >= 0)  # rules inserted the others
            best = place[scored]
            of_best = interactions, rows, candidates.at(best), features if features is None else features[best]
            parts = self.contributions(*of_best)
            source, score_of_entry = np.full(len(row), INSERTED, dtype=object), np.full(len(row), np.nan)
            source[scored], score_of_entry[scored] = largest(parts), score[best]
            reasons = [lists.reasons[number] if number >= 0 else None for number in lists.reason[row, column].tolist()]
            if candidates.earlier is not None:
                profiles = interactions, rows[row[scored]], self._parts(*of_best), parts, self.transition_days
                for entry in scored[earlier_prevails(*profiles)]:
                    reasons[entry] = reasons[entry] or reason_of(FITS_EARLIER)
            item, propensity = lists.item[row, column], lists.propensity[row, column]
            yield Listed(rows[row], item, column + 1, list(source), score_of_entry, reasons, propensity)

    def ranked(
        self, interactions: Interactions, rows: Positions, candidates: Candidates, score: NDArray[np.float64], *, k: int
    ) -> RankedLists:
        """Return the best ``k`` candidates of the members at ``rows`` by their score, after all policies."""
        row, best = best_of(candidates.row, score, self.policies.pool(interactions, k))
        lists = RankedLists.of(rows, row, candidates.item[best], score[best], best)
        return self.policies.apply(lists, interactions, k=k, may_be_offered=self.may_be_offered(interactions, rows))

    def may_be_offered(self, interactions: Interactions, rows: Positions) -> MayBeOffered:
        """Return the function that says which items members among those at ``rows`` may be offered, studied or not."""
        return offers(rows, partial(self._eligibility, interactions, rows))

    def _eligibility(self, interactions: Interactions, rows: Positions) -> Eligibility:
        """Return which items the members at ``rows`` may be offered, the studied ones included."""
        audience = audience_mask(interactions, self.roles, self.industries)
        if len(interactions.members) > 1:  # a list computed alone asks twice: for candidates, for what rules insert
            return eligible(interactions, rows, audience)
        return interactions.memo(("eligibility", audience, len(rows)), partial(eligible, interactions, rows, audience))

    def rank(
        self, interactions: Interactions, rows: Positions, candidates: Candidates, features: Scores | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each candidate of the members at ``rows``.

        It is the logistic function of the ranker's, role and industry added for newcomers. Without a ranker, and for
        members who switched personalisation off, ranks are fused by strategy. 0: not to be listed.
        """
        score = self._relevance(interactions, rows, candidates, features)
        score = blend(score, self._relevance, interactions, rows, candidates, self.transition_days)
        return np.where(self.are_ranked(interactions, rows, candidates), expit(score), score)

    def _relevance(
        self, interactions: Interactions, rows: Positions, candidates: Candidates, features: Scores | None = None
    ) -> NDArray[np.float64]:
        score = np.zeros(len(candidates.row))
        chosen = self.are_ranked(interactions, rows, candidates)
        if self.ranker and chosen.any():
            features = self.features(interactions, rows, candidates) if features is None else features
            bonus, _ = newcomer_bonus(candidates, newcomers(interactions, rows), tuple(self.models))
            score[chosen] = self.ranker.score(features[chosen]) + bonus[chosen]
        if not chosen.all():
            weights = fusion_weights(interactions, rows, tuple(self.models))[candidates.row[~chosen]]
            score[~chosen] = reciprocal_rank(candidates.ranks[~chosen], weights)
        return score

    def contributions(
        self, interactions: Interactions, rows: Positions, candidates: Candidates, features: Scores | None = None
    ) -> NDArray[np.float64]:
        """Return what each group of features and, last, the constant add to the score of each candidate.

        They add up to the score that orders the list: that of the ranker, before the logistic function, or the fused
        one (:meth:`rank`).
        """
        parts = self._parts(interactions, rows, candidates, features)
        return blend(parts, self._parts, interactions, rows, candidates, self.transition_days)

    def _parts(
        self, interactions: Interactions, rows: Positions, candidates: Candidates, features: Scores | None = None
    ) -> NDArray[np.float64]:
        groups = grouping(names_of(self.models))
        parts = np.zeros((len(candidates.row), groups.shape[1]))
        chosen = self.are_ranked(interactions, rows, candidates)
        if self.ranker and chosen.any():
            features = self.features(interactions, rows, candidates) if features is None else features
            bonus, model = newcomer_bonus(candidates, newcomers(interactions, rows), tuple(self.models))
            parts[chosen] = self.ranker.contributions(features[chosen], groups)
            parts[chosen] += bonus[chosen, None] * groups[model[chosen]]
        if not chosen.all():
            weights = fusion_weights(interactions, rows, tuple(self.models))[candidates.row[~chosen]]
            parts[~chosen] = fusion_parts(candidates.ranks[~chosen], weights) @ groups[: len(self.models)]
        return parts

    def are_ranked(self, interactions: Interactions, rows: Positions, candidates: Candidates) -> NDArray[np.bool_]:
        """Return the candidates that the ranker scores."""
        return interactions.personalised[rows][candidates.row] & (self.ranker is not None)

    def proposals(
        self, interactions: Interactions, members: pd.Index, *, k: int = 0, unrestricted: bool = False
    ) -> Iterator[tuple[Positions, Candidates]]:
        """Yield the candidates of members, in blocks: positions of the members in ``interactions``, and candidates.

        Each model proposes :attr:`depth` items, or ``k`` where lists are longer. ``unrestricted`` candidates include
        what a member must not be offered or has studied.
        """
        every = interactions.members.index.get_indexer(members)
        depth, unseen = max(self.depth, k), not unrestricted
        settled, blended = settled_and_blended(interactions, every, self.transition_days)
        for of_kind, both in ((settled, False), (blended, True)):
            for start in range(0, len(of_kind), BLOCK_MEMBERS):
                rows = of_kind[start : start + BLOCK_MEMBERS]
                everything = Eligibility.same(len(rows), np.ones(interactions.shape[1], dtype=bool))
                offered = everything if unrestricted else self._eligibility(interactions, rows)
                sides = {"both": both, "exclude_seen": unseen}
                yield from propose(self.models, interactions, rows, eligibility=offered, depth=depth, **sides)

    def rescored(self, interactions: Interactions, wanted: csr_matrix) -> Iterator[tuple[Positions, Candidates]]:
        """Yield those candidates of all members that are wanted: a matrix (members, items)."""
        settled, blended = settled_and_blended(interactions, np.arange(len(interactions.members)), self.transition_days)
        for rows, both in ((settled, False), (blended, True)):
            limits = {"eligibility": self._eligibility(interactions, rows), "depth": self.depth, "wanted": wanted[rows]}
            yield from rescore(self.models, interactions, rows, both=both, **limits)

    def features(self, interactions: Interactions, rows: Positions, candidates: Candidates) -> Scores:
        """Return what the ranker sees of candidates of the members at ``rows``."""
        columns = cast("RankingFeatures", self.ranking_features).of(interactions, rows, candidates.row, candidates.item)
        new = self.first_items.are_newcomers(interactions, rows)[candidates.row, None]
        return features_of(candidates, np.hstack([columns, new.astype(np.float32)]))

    def explain(
        self, interactions: Interactions, lists: pd.DataFrame, *, learned: Interactions | None = None
    ) -> pd.DataFrame:
        """Return the lists with a reason for every item: the column ``reason``.

        ``learned`` is what the models were fitted on, where ``interactions`` are newer.
        """
        members = interactions.members.index.get_indexer(lists["member_id"])
        items = interactions.items.index.get_indexer(lists["item_id"])
        ranks, sources, scores = lists["rank"].to_numpy(), lists["source"].tolist(), lists["score"].to_numpy()
        listed = Listed(members, items, ranks, sources, scores, [None] * len(lists), np.ones(len(lists)))
        reasons = self.reasons(learned or interactions)
        return lists.assign(reason=reasons.of(interactions, members, items, sources, self.causes(interactions, listed)))

    def causes(self, interactions: Interactions, listed: Listed) -> Positions:
        """Return the own item that puts each entry on its list (:func:`recommender.causes.causes_of`)."""
        return causes_of(self, (self.item_knn.similarity, self.transitions.shares), interactions, listed)

    def reasons(self, learned: Interactions) -> Reasons:
        """Return what can be said about lists, by what the models were fitted on."""
        return Reasons(learned, roles=self.roles, industries=self.industries, min_group_size=self.min_group_size)
