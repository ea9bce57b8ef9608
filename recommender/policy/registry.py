"""Registry of rules: their settings, and the one order in which they are applied."""

from dataclasses import dataclass

from recommender.policy.policies import Policies
from recommender.policy.variety import Variety


@dataclass(frozen=True)
class PolicyParameters:
    """Settings of the rules; see the rules for each."""

    window: int = 5
    max_per_topic: int = 0
    max_per_provider: int = 0
    max_per_format: int = 0
    diversity: float = 0.0


def make_policies(parameters: PolicyParameters) -> Policies:
    """Return the rules in their order, with their settings."""
    p = parameters
    return Policies(
        (
            # arrange
            Variety(p.window, p.max_per_topic, p.max_per_provider, p.max_per_format, p.diversity),
        )
    )
