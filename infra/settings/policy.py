"""Settings of the rules that are applied to ranked lists."""

from typing import Final

from pydantic import Field

from infra.settings.sections import Days, Places, SettingsSection, Share

LIST_RULES: Final = ("required_share", "required_margin", "saved_share", "fatigue_shown", "fatigue_days")
"""Settings that hold at the moment a list is shown; all others hold when it is computed."""
PIPELINE_RULES: Final = ("transition_days",)
"""Settings of rules that the ranking itself follows."""


class PolicySettings(SettingsSection):
    """Rules that are applied to ranked lists."""

    advised_factor: Share = 0.5
    """The score of an item is multiplied by this until its advised prerequisites are finished."""
    difficulty: Share = 0.0
    """Entries whose scores differ by a smaller share change places for a difficulty just above mastery."""
    rotation: Share = 0.0
    """Entries whose scores differ by a smaller share change places from night to night; 0: none do."""
    window: int = Field(default=5, ge=2, le=100)
    """Successive entries of a list that variety looks at."""
    max_per_topic: int = Field(default=0, ge=0, le=100)
    """Most entries of one topic in such a window; 0: any number."""
    max_per_provider: int = Field(default=0, ge=0, le=100)
    """Most entries of one provider in such a window; 0: any number."""
    max_per_format: int = Field(default=0, ge=0, le=100)
    """Most entries of one format in such a window; 0: any number."""
    diversity: Share = 0.0
    """0: lists by relevance alone; 1: by unlikeness of successive topics alone."""
    review_share: Share = 0.0
    """Largest share of finished items that return for review; 0: none do."""
    least_recall: Share = 0.8
    """A finished item returns once its predicted recall is smaller."""
    longest_review_days: Days = 365.0
    """Days since the last study after which a finished item returns whatever its recall."""
    continue_items: int = Field(default=0, ge=0, le=20)
    """Most items on a list that the member began and did not finish."""
    continue_days: Days = 30.0
    """Days since the last study within which such an item returns."""
    continue_rank: Places = 3
    """Rank of the first of them."""
    series_rank: Places = 1
    """Rank of the next item of a series that the member follows."""
    exploration_share: Share = 0.0
    """Share of lists of which one entry, drawn by chance, is tried in another's place; 0: none."""
    exploration_places: Places = 10
    """Places of a list, from the top, of which one may get such an entry."""
    required_share: Share = 0.3
    """Largest share of required items on a list while none of them is urgent."""
    required_margin: float = Field(default=0.6, ge=0, le=0.95)
    """Share of a member's pace that required study does not count on: the larger, the earlier it comes to the top."""
    saved_share: float = Field(default=0.2, gt=0, le=1)
    """Largest share, in any beginning of a list, of items that the member saved for later."""
    transition_days: int = Field(default=0, ge=0, le=365)
    """Days over which the list of a member who changed role or industry goes over to the new one; 0: at once."""
    fatigue_shown: int = Field(default=0, ge=0, le=1_000)
    """Times that an item is shown to a member without a reaction before it rests; 0: none rests."""
    fatigue_days: float = Field(default=14.0, gt=0, le=3_650)
    """Days from the last time that such an item was shown until it returns."""
