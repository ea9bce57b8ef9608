"""Newest first."""

from recommender.models.newest import Newest
from tests.recommender.builders import items_of, make_interactions

ITEMS = {
    "a-undated": {},
    "b-january": {"published_at": "2026-01-05T23:00:00Z"},
    "c-same-day": {"published_at": "2026-02-03T23:59:59Z"},
    "d-same-day": {"published_at": "2026-02-03T00:00:00Z"},
    "e-february": {"published_at": "2026-02-04"},
}
NEWEST_FIRST = ["e-february", "c-same-day", "d-same-day", "b-january", "a-undated"]


def test_items_come_by_day_of_publication_and_undated_ones_last() -> None:
    interactions = make_interactions([], members={"m": {}}, items=ITEMS)

    assert items_of(Newest().fit(interactions).recommend(["m"], k=10), "m") == NEWEST_FIRST


def test_seen_items_are_left_out_and_the_others_keep_their_order() -> None:
    interactions = make_interactions([("m", "d-same-day"), ("m", "e-february")], items=ITEMS)

    assert items_of(Newest().fit(interactions).recommend(["m"], k=10), "m") == ["c-same-day", "b-january", "a-undated"]


def test_a_catalogue_without_any_date_comes_by_id() -> None:
    interactions = make_interactions([], members={"m": {}}, items={"y": {}, "x": {}, "z": {}})

    assert items_of(Newest().fit(interactions).recommend(["m"], k=2), "m") == ["x", "y"]
