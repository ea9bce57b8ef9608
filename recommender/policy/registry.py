"""Registry of rules: their settings, and the one order in which they are applied."""

from dataclasses import dataclass
from typing import Final

from recommender.policy.policies import Policies
from recommender.policy.rules.advised_prerequisites import AdvisedPrerequisites
from recommender.policy.rules.continuing import Continuing
from recommender.policy.rules.difficulty import Difficulty
from recommender.policy.rules.exploration import TO_TRY, Exploration
from recommender.policy.rules.less_of_topics import LessOfTopics
from recommender.policy.rules.live_sessions import LiveSessions
from recommender.policy.rules.review import REVIEW, Review
from recommender.policy.rules.rotation import Rotation
from recommender.policy.rules.series import Series
from recommender.policy.rules.variety import Variety

REASONS: Final = frozenset({"better_after", "opens", "continue", "next_in_series", "starts_at", REVIEW, TO_TRY})
"""Codes of reasons that rules give."""


@dataclass(frozen=True)
class PolicyParameters:
    """Settings of the rules; see the rules for each."""

    advised_factor: float = 0.5
    difficulty: float = 0.0
    rotation: float = 0.0
    window: int = 5
    max_per_topic: int = 0
    max_per_provider: int = 0
    max_per_format: int = 0
    diversity: float = 0.0
    review_share: float = 0.0
    least_recall: float = 0.8
    longest_review_days: float = 365.0
    continue_items: int = 0
    continue_days: float = 30.0
    continue_rank: int = 3
    series_rank: int = 1
    exploration_share: float = 0.0
    exploration_places: int = 10


def make_policies(parameters: PolicyParameters, *, seed: int = 0) -> Policies:
    """Return the rules in their order, with their settings."""
    p = parameters
    variety = Variety(p.window, p.max_per_topic, p.max_per_provider, p.max_per_format, p.diversity)
    return Policies(
        (
            # rescore
            AdvisedPrerequisites(p.advised_factor),
            Difficulty(p.difficulty),
            # arrange
            Rotation(p.rotation, seed),
            LessOfTopics(),
            # insert
            Review(p.review_share, p.least_recall, p.longest_review_days),
            Continuing(p.continue_items, p.continue_days, p.continue_rank),
            Series(p.series_rank),
            # vary
            variety,
            # announce
            LiveSessions(),
            # explore
            Exploration(p.exploration_share, p.exploration_places, tuple(variety.limits), seed),
        )
    )
