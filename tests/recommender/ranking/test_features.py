"""Features of candidates, worked out by hand."""

from math import log2, nan

import numpy as np
import pytest

from recommender.ranking.features import FEATURES, RankingFeatures
from tests.recommender.builders import INDUSTRIES, ROLES, make_interactions

NOTHING = (nan,) * 5
ANN = (2.25, 9.5, 3, 2, 2)
"""Last studied and joined so many days ago; three items on two days, two of them on the last one."""
BOB = (3.5, 3.5, 1, 1, 1)
SUNDAY = 6
EXPECTED = {
    ("ann", "lorry"): (9.5, 3.5, 10, 10, *ANN, SUNDAY, 1, 1, 1, 1 / 2, log2(11 / 21)),
    ("ann", "desk"): (2.5, 2.5, nan, 30, *ANN, SUNDAY, 0, nan, 0, 1 / 2, log2(31 / 21)),
    ("ann", "bare"): (2.25, 2.25, nan, nan, *ANN, SUNDAY, nan, nan, nan, nan, nan),
    ("bob", "desk"): (2.5, 2.5, nan, 30, *BOB, SUNDAY, 1, nan, 1, 0, log2(31 / 11)),
    ("bob", "lorry"): (9.5, 3.5, 10, 10, *BOB, SUNDAY, 0, 0, 0, 1, log2(11 / 11)),
    ("bob", "old"): (nan, nan, 1_000, nan, *BOB, SUNDAY, 1, nan, 0, 1, nan),
    ("new", "lorry"): (9.5, 3.5, 10, 10, *NOTHING, SUNDAY, nan, nan, nan, nan, nan),
}
"""``log2`` of the item's minutes and one over the mean of the member's and one: ann's mean is 20, bob's 10."""
PLACES = {"ann": 0, "bob": 1, "new": 2}


@pytest.fixture
def features() -> dict[tuple[str, str], list[float]]:
    """Return the features of each candidate of a driver, a clerk and a newcomer."""
    interactions = make_interactions(
        [
            ("ann", "lorry", "completed", 9.5),
            ("ann", "desk", "completed", 2.5),
            ("ann", "bare", "completed", 2.25),
            ("bob", "lorry", "completed", 3.5),
        ],
        members={
            "ann": {"role": "83", "industry": "54", "language": "en"},
            "bob": {"role": "41", "industry": "60", "language": "zh-CN"},
            "new": {},
        },
        items={
            "lorry": {
                "duration_seconds": "600", "format": "video", "language": "en", "target_roles": "8",
                "target_industries": "54", "published_at": "2026-02-19T00:00:00Z",
            },
            "desk": {"duration_seconds": "1800", "format": "article", "language": "zh-CN", "target_roles": "41"},
            "bare": {},
            "old": {"format": "video", "language": "fr", "target_roles": "41", "published_at": "2020-01-01T00:00:00Z"},
        },
    )  # fmt: skip
    rows = interactions.members.index.get_indexer(list(PLACES))
    row = np.array([PLACES[member] for member, _ in EXPECTED])
    item = interactions.items.index.get_indexer([item for _, item in EXPECTED])
    values = RankingFeatures(ROLES, INDUSTRIES).fit(interactions).of(interactions, rows, row, item)
    return dict(zip(EXPECTED, values.tolist(), strict=True))


@pytest.mark.parametrize("candidate", EXPECTED)
def test_each_feature_is_what_its_name_says(
    features: dict[tuple[str, str], list[float]], candidate: tuple[str, str]
) -> None:
    named = dict(zip(FEATURES, features[candidate], strict=True))

    assert named == pytest.approx(dict(zip(FEATURES, EXPECTED[candidate], strict=True)), nan_ok=True)
