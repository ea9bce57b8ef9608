"""Policies: the rules that are switched on, in their one order.

```text
ranked candidates, which a member may be offered and can use
   │  rescore    what fits less or more
   │  arrange    equal scores, and what a member wants less of
   │  insert     what a member should come back to or must do; the later the rule, the higher its items
   │  vary       too much of one kind, around what was inserted
   │  announce   what begins soon
   │  explore    what the ranking would not show by itself, by chance
   ▼
list
```
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.policy.ranked_lists import Mask, RankedLists

POOL = 3
"""Candidates that rules choose from, as a multiple of the length of a list."""


MayBeOffered = Callable[[Positions, Positions], Mask]


class Rule(ABC):
    """A rule: it changes ranked lists, and says why where it puts an item on one."""

    @abstractmethod
    def applies(self, interactions: Interactions) -> bool:
        """Return whether the rule can change any list; one that cannot costs nothing."""

    @abstractmethod
    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the changed lists, of which the first ``k`` entries will be shown.

        Parameters
        ----------
        may_be_offered : callable
            Returns for positions of members and items whether each member may be offered its item; a rule inserts no
            other.
        """

    def own_lists(self, interactions: Interactions) -> Mask:
        """Return which members have a list of their own by this rule, whatever their history: by default none."""
        return np.zeros(len(interactions.members), dtype=bool)


@dataclass(frozen=True)
class Policies:
    """Rules in the order in which they are applied."""

    rules: tuple[Rule, ...] = ()

    def active(self, interactions: Interactions) -> tuple[Rule, ...]:
        """Return the rules that can change a list."""
        return interactions.memo(
            ("active rules", self), lambda: tuple(rule for rule in self.rules if rule.applies(interactions))
        )

    def pool(self, interactions: Interactions, k: int) -> int:
        """Return how many of the best candidates of each member the rules choose ``k`` from."""
        return POOL * k if self.active(interactions) else k

    def own_lists(self, interactions: Interactions) -> Mask:
        """Return which members have a list of their own by any rule, whatever their history."""
        masks = [rule.own_lists(interactions) for rule in self.active(interactions)]
        return np.logical_or.reduce([np.zeros(len(interactions.members), dtype=bool), *masks])

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists after all rules, at most ``k`` entries each."""
        for rule in self.active(interactions):
            lists = rule.apply(lists, interactions, k=k, may_be_offered=may_be_offered)
        return lists.first(k)


NO_POLICIES = Policies()
