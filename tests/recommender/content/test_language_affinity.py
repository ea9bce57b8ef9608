"""Affinity between languages of members and of items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.content.language_affinity import LanguageAffinity
from tests.recommender.builders import make_interactions

ITEMS = {"a": {"language": "en"}, "b": {"language": "fr"}, "c": {}}


def test_members_are_expected_to_study_their_own_language() -> None:
    members = {f"m{number}": {"language": "en" if number < 40 else "fr"} for number in range(80)}
    studied = [(name, "a" if member["language"] == "en" else "b", "viewed", 1.0) for name, member in members.items()]
    languages = LanguageAffinity(make_interactions(studied, members=members, items=ITEMS))

    english, french, untold = languages.of("en")

    assert english == pytest.approx((40 + 20) / (20 + 20))
    assert french == pytest.approx((0 + 20) / (20 + 20))
    assert untold == 1.0


@settings(deadline=None, max_examples=20)
@given(speaks=st.lists(st.sampled_from(["en", "fr", "de", ""]), min_size=1, max_size=8), asked=st.text(max_size=3))
def test_every_item_may_be_studied_by_everybody(speaks: list[str], asked: str) -> None:
    members = {f"m{number}": {"language": language} if language else {} for number, language in enumerate(speaks)}
    studied = [(name, "abc"[number % 3], "viewed", 1.0) for number, name in enumerate(members)]
    languages = LanguageAffinity(make_interactions(studied, members=members, items=ITEMS))

    for language in {*speaks, asked}:
        assert np.all(languages.of(language) > 0)
    assert languages.of("").tolist() == [1.0, 1.0, 1.0]
