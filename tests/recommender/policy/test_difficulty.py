"""Difficulty: worked by hand, and how far it may change an order."""

from hypothesis import given
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.policy.rules.difficulty import Difficulty
from tests.recommender.builders import Study, anything, make_interactions, ranked

ITEMS = {
    "easy": {"topics": "safety", "difficulty": "beginner"},
    "middle": {"topics": "safety", "difficulty": "intermediate"},
    "hard": {"topics": "safety", "difficulty": "advanced"},
    "plain": {},
}
MEMBERS = {"able": {}, "weak": {}, "new": {}, "off": {"personalised": "false"}}
STUDIED = [
    *(Study("able", f"quiz{number}", "passed", 3.0) for number in range(20)),
    *(Study("weak", f"quiz{number}", "failed", 3.0) for number in range(3)),
    *(Study("off", f"quiz{number}", "passed", 3.0) for number in range(20)),
]
INTERACTIONS = make_interactions(
    STUDIED, members=MEMBERS, items=ITEMS | {f"quiz{n}": {"topics": "safety"} for n in range(20)}
)


def ordered(
    weight: float, member: str, scores: dict[str, float], interactions: Interactions = INTERACTIONS
) -> list[str]:
    """Return the items of a member's list after the rule."""
    lists = ranked(interactions, member, scores)
    changed = Difficulty(weight).apply(lists, interactions, k=20, may_be_offered=anything)
    return [str(interactions.items.index[each]) for each in changed.item[0]]


def test_who_masters_a_topic_gets_its_hard_items_first_and_who_fails_its_easy_ones() -> None:
    equal = {"easy": 0.5, "hard": 0.5, "middle": 0.5}

    # Able: .73 + .58 ln 21 = 2.50: right with .97, .92 and .82. Weak: .73 - .68 ln 4 = -.21: .69, .45 and .23.
    assert ordered(0.1, "able", equal) == ["hard", "middle", "easy"]
    assert ordered(0.1, "weak", equal) == ["easy", "middle", "hard"]


def test_members_without_evidence_and_those_without_personalisation_keep_their_lists() -> None:
    scores = {"easy": 0.5, "middle": 0.5, "hard": 0.5}

    assert ordered(0.5, "new", scores) == [*scores]
    assert ordered(0.5, "off", scores) == [*scores]


def test_the_factor_is_the_distance_from_the_target() -> None:
    # Able: the easy item is right with .9707: 1 - .3 · .2943 = .9117; the hard one with .8175: 1 - .3 · .09 = .973.
    assert ordered(0.3, "able", {"easy": 1.0, "hard": 0.936}) == ["easy", "hard"]
    assert ordered(0.3, "able", {"easy": 1.0, "hard": 0.938}) == ["hard", "easy"]


def test_it_costs_nothing_where_no_item_has_a_difficulty() -> None:
    assert not Difficulty(0.1).applies(make_interactions([Study("m", "a")]))
    assert not Difficulty(0.0).applies(INTERACTIONS)
    assert Difficulty(0.1).applies(INTERACTIONS)


@given(st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4), st.floats(0.01, 0.9), st.sampled_from(["able", "weak"]))
def test_only_entries_whose_scores_differ_by_less_than_the_weight_change_places(
    scores: list[float], weight: float, member: str
) -> None:
    by_item = dict(zip(["easy", "middle", "hard", "plain"], sorted(scores, reverse=True), strict=True))

    names = ordered(weight, member, by_item)

    assert sorted(names) == sorted(by_item)
    for place, name in enumerate(names):
        assert all(by_item[later] * (1 - weight) <= by_item[name] + 1e-12 for later in names[place:])
