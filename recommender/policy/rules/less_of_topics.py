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
        return bool(interactions.parts_of_members("less_topics"))

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with those items last, in their order."""
        del k, may_be_offered
        later = np.where(lists.listed, unwanted(lists, interactions), 2)
        return lists.reordered(np.argsort(later, axis=1, kind="stable"))


def unwanted(lists: RankedLists, interactions: Interactions) -> Mask:
    """Return which entries are of a topic that their member wants less of: (n_lists, length)."""
    entries, less_topics = np.zeros(lists.item.shape, dtype=bool), interactions.parts_of_members("less_topics")
    if not less_topics:
        return entries
    topics = interactions.item_memo(
        "topic sets", lambda: [frozenset(split_list(text)) for text in interactions.items["topics"]]
    )
    for row, member in enumerate(lists.member.tolist()):
        if less := less_topics.get(member):
            entries[row] = [item >= 0 and not topics[item].isdisjoint(less) for item in lists.item[row].tolist()]
    return entries
