"""Search spaces: the settings of each model worth tuning, with their bounds."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of one setting, both included.

    Attributes
    ----------
    section, name : str
        Section and name of the setting.
    whole : bool
        Only whole numbers.
    """

    section: str
    name: str
    low: float
    high: float
    whole: bool = False


SPACES: Final[dict[str, tuple[Range, ...]]] = {
    "popularity": (Range("models", "popularity_half_life_days", 0.25, 60),),
    "segment": (Range("models", "segment_half_life_days", 1, 120), Range("models", "segment_shrinkage", 1, 300)),
    "item_knn": (
        Range("models", "neighbours_per_item", 20, 400, whole=True),
        Range("models", "neighbour_shrinkage", 0.5, 100),
    ),
    "als": (
        Range("models", "als_factors", 4, 64, whole=True),
        Range("models", "als_regularization", 0.1, 50),
        Range("models", "als_alpha", 0.5, 40),
    ),
    "ease": (Range("models", "ease_regularization", 5, 2_000),),
    "ranker": (
        Range("ranker", "max_iter", 30, 300, whole=True),
        Range("ranker", "max_leaf_nodes", 4, 63, whole=True),
        Range("ranker", "learning_rate", 0.02, 0.3),
        Range("ranker", "min_samples_leaf", 10, 500, whole=True),
        Range("ranker", "l2_regularization", 0.1, 50),
    ),
}
"""By model, and ``ranker`` for the learned ranking; all are searched on a logarithmic scale."""
