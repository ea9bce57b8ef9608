"""Less of a topic: items of topics that a member wants less of come after all others."""

from dataclasses import dataclass

import numpy as np

from content_catalog.schema import split_list
from features.interactions import Interactions
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists


@dataclass(frozen=True)
class LessOfTopics(Rule):
    """Rule over ``less_topics`` of members; a list is shown in the same order between nights."""

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any member wants less of a topic."""
        return bool(interactions.members["less_topics"].notna().any())

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with those items last, in their order."""
        del k, may_be_offered
        later = np.where(lists.listed, unwanted(lists, interactions), 2)
        return lists.reordered(np.argsort(later, axis=1, kind="stable"))


def unwanted(lists: RankedLists, interactions: Interactions) -> Mask:
    """Return which entries are of a topic that their member wants less of: (n_lists, length)."""
    topics = interactions.item_memo(
        "topic sets", lambda: [frozenset(split_list(text)) for text in interactions.items["topics"]]
    )
    texts = interactions.members["less_topics"].to_numpy(dtype=object)[lists.member]
    entries = np.zeros(lists.item.shape, dtype=bool)
    for row, text in enumerate(texts):
        if less := frozenset(split_list(text)):
            entries[row] = [item >= 0 and not less.isdisjoint(topics[item]) for item in lists.item[row]]
    return entries
