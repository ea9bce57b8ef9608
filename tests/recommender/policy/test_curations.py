"""Curations: whom and when they hold for, and how boosts move entries."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recommender.policy.curations import Curation, bans_by_item, boosts, lifted, pinned

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def curation(action: str, *items: str, places: int = 3) -> Curation:
    return Curation("c", action, items, NOON + DAY, places=places)


def test_it_holds_from_its_start_and_before_its_end() -> None:
    ban = Curation("c", "ban", ("a",), NOON + DAY, starts_at=NOON)
    moments = [NOON - timedelta(microseconds=1), NOON, NOON + DAY - timedelta(microseconds=1), NOON + DAY]
    assert [ban.holds_for((), moment) for moment in moments] == [False, True, True, False]


def test_a_member_has_to_be_within_one_of_each_kind_of_target() -> None:
    targets = (frozenset({"8"}), frozenset[str](), frozenset({"North"}), frozenset({"CN"}))
    ban = Curation("c", "ban", ("a",), NOON + DAY, targets)
    within = (frozenset({"8", "83"}), frozenset[str](), frozenset({"North", "North/Depot"}), frozenset({"CN"}))
    assert ban.holds_for(within, NOON)
    for place in (0, 2, 3):
        assert not ban.holds_for((*within[:place], frozenset(), *within[place + 1 :]), NOON)


def test_of_several_curations_pins_follow_each_other_and_the_largest_boost_holds() -> None:
    rules = [curation("pin", "a", "b"), curation("boost", "a", places=2), curation("ban", "x", "y")]
    more = [curation("pin", "b", "c"), curation("boost", "a", "d", places=1), curation("ban", "y")]
    assert pinned(rules + more) == ("a", "b", "c")
    assert boosts(rules + more) == {"a": 2, "d": 1}
    assert {item_id: len(bans) for item_id, bans in bans_by_item(rules + more).items()} == {"x": 1, "y": 2}


@given(st.lists(st.integers(min_value=0, max_value=12), max_size=20))
def test_a_boost_lifts_by_no_more_than_its_places_and_equal_ones_keep_their_order(places: list[int]) -> None:
    ranks = lifted(range(len(places)), places)
    assert sorted(ranks) == list(range(len(places)))
    for rank, before in enumerate(ranks):
        assert before - rank <= places[before]
    for number in set(places):
        same = [entry for entry in ranks if places[entry] == number]
        assert same == sorted(same)


@given(st.integers(min_value=1, max_value=20), st.data())
def test_a_single_boost_lifts_by_exactly_its_places_or_to_the_top(length: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(min_value=0, max_value=length - 1))
    places = data.draw(st.integers(min_value=1, max_value=100))
    moved = lifted(range(length), [places if entry == rank else 0 for entry in range(length)])
    assert moved.index(rank) == max(rank - places, 0)
    assert [entry for entry in moved if entry != rank] == [entry for entry in range(length) if entry != rank]
