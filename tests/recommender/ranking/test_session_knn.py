"""Items similar to those of an anonymous session, worked out by hand."""

from recommender.ranking.session_knn import alike


def test_later_items_of_a_session_count_more_and_an_item_that_came_twice_by_its_last_time() -> None:
    similar = {"a": ["p"], "b": ["q"], "c": ["r", "a"]}

    # 1/61 from a, the last one; 2^(-1/3)/61 from c before it; 2^(-2/3)/61 from b; a itself was studied.
    assert alike(["a", "b", "c", "a"], similar) == [("p", "a"), ("r", "c"), ("q", "b")]


def test_the_cause_is_the_item_that_adds_most_and_equal_scores_go_by_id() -> None:
    # z: 2^(-1/3)/61 = 0.0130 from a, and 1/72 = 0.0139 from b, in which it is the twelfth.
    filled = [f"s{place:02d}" for place in range(11)]
    similar = {"a": ["z"], "b": [*filled, "z"]}

    listed = dict(alike(["a", "b"], similar))

    assert listed["z"] == "b"
    assert alike(["a"], {"a": []}) == []
    assert [item for item, _ in alike(["a", "a"], {"a": ["y", "x"]})] == ["y", "x"]
    assert alike([], similar) == []
