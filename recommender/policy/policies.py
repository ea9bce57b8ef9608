"""Policies: the rules that are switched on, in their one order.

```text
ranked candidates
   │  drop       what a member cannot use
   │  rescore    what fits less or more
   │  arrange    equal scores, and too much of one kind
   │  insert     what a member should come back to or must do; the later the rule, the higher its items
   ▼
list
```
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from features.interactions import Interactions
from recommender.policy.ranked_lists import RankedLists

POOL = 3
"""Candidates that rules choose from, as a multiple of the length of a list."""


class Rule(ABC):
    """A rule: it changes ranked lists, and says why where it puts an item on one.

    Attributes
    ----------
    inputs : tuple of str
        Frames of :attr:`features.interactions.Interactions.policy_inputs` that it reads.
    """

    inputs: tuple[str, ...] = ()

    @abstractmethod
    def applies(self, known: Interactions) -> bool:
        """Return whether the rule can change any list; one that cannot costs nothing."""

    @abstractmethod
    def apply(self, lists: RankedLists, known: Interactions, *, k: int) -> RankedLists:
        """Return the changed lists, of which the first ``k`` entries will be shown."""


@dataclass(frozen=True)
class Policies:
    """Rules in the order in which they are applied."""

    rules: tuple[Rule, ...] = ()

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the frames that the rules read beside members, items and interactions."""
        return frozenset(name for rule in self.rules for name in rule.inputs)

    def active(self, known: Interactions) -> tuple[Rule, ...]:
        """Return the rules that can change a list."""
        rules: tuple[Rule, ...] = known.memo(
            ("active rules", self), lambda: tuple(rule for rule in self.rules if rule.applies(known))
        )
        return rules

    def pool(self, known: Interactions, k: int) -> int:
        """Return how many of the best candidates of each member the rules choose ``k`` from."""
        return POOL * k if self.active(known) else k

    def apply(self, lists: RankedLists, known: Interactions, *, k: int) -> RankedLists:
        """Return the lists after all rules, at most ``k`` entries each."""
        for rule in self.active(known):
            lists = rule.apply(lists, known, k=k)
        return lists.first(k)


NO_POLICIES = Policies()


def personalised(lists: RankedLists, known: Interactions) -> np.ndarray:
    """Return which lists are of members who have not switched personalisation off: (n_lists,) of bool."""
    mask: np.ndarray = known.personalised[lists.member]
    return mask
