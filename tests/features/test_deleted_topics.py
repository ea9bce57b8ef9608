"""Deleted topics: study of their items counts in nothing that models, mastery and reasons go by."""

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.histories import first_interactions
from features.interactions import Interactions, build_interactions
from features.profiles import build_profiles
from infra.policy.interests import topics_held
from recommender.content.mastery import topic_mastery

AS_OF = pd.Timestamp("2026-03-01T12:00Z")
TOPICS = ["safety", "history;safety", "chess", None]
LOGS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, len(TOPICS) - 1),
        st.sampled_from(["viewed", "completed", "failed"]),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=20,
)


def built(log: list[tuple[int, int, str, int]], deleted: list[str | None]) -> tuple[pd.DataFrame, Interactions]:
    """Return events and interactions of two members and four items."""
    nothing = np.full(len(log), np.nan)
    events = pd.DataFrame(
        {
            "member": np.array([row[0] for row in log], dtype="int32"),
            "item": np.array([row[1] for row in log], dtype="int32"),
            "verb": pd.Categorical([row[2] for row in log]),
            "occurred_at": np.array([AS_OF.value // 1_000 - row[3] * 86_400_000_000 for row in log]),
            "duration_seconds": nothing,
            "progress": nothing,
            "score": nothing,
            "session": np.zeros(len(log), dtype="uint64"),
        }
    )
    members: Any = pd.DataFrame(
        {"personalised": [None, None], "joined_on": pd.to_datetime([None, None], utc=True), "timezone": None},
        index=["a", "b"],
    ).assign(deleted_topics=deleted)
    items = pd.DataFrame({"topics": TOPICS, "format": None, "duration_seconds": np.nan}, index=["i0", "i1", "i2", "i3"])
    return events, build_interactions(events, members=members, items=items, as_of=AS_OF)


@given(LOGS)
@settings(max_examples=15)
def test_a_deleted_topic_vanishes_from_evidence_profiles_mastery_and_interests_of_its_member_alone(
    log: list[tuple[int, int, str, int]],
) -> None:
    events, interactions = built(log, ["history", None])
    _, before = built(log, [None, None])

    assert interactions.matrix(30.0)[0, 1] == 0
    firsts = first_interactions(interactions)
    assert not ((firsts.member == 0) & (firsts.item == 1)).any()
    profiles = build_profiles(events, interactions)
    assert profiles.get("topic_history", pd.Series(0.0, index=profiles.index)).loc["a"] == 0
    mastered = topic_mastery(interactions)
    assert not ((mastered["member"] == 0) & (mastered["topic"] == "history")).any()

    others = interactions.cells["item"] != 1
    others |= interactions.cells["member"] == 1
    pd.testing.assert_frame_equal(interactions.cells[others], before.cells[others])
    seen = ["finished", "progress", "last_at"]
    pd.testing.assert_frame_equal(interactions.cells[seen], before.cells[seen])


@given(st.lists(st.tuples(st.just(0), st.integers(0, 3), st.just("completed"), st.integers(1, 60)), max_size=9))
def test_the_topics_held_are_the_shares_of_what_was_studied(log: list[tuple[int, int, str, int]]) -> None:
    if not log:
        return
    _, interactions = built(log, ["chess", None])
    held = {interest["topic"]: interest for interest in topics_held(interactions)}

    assert "chess" not in held
    total = interactions.cells["weight"].sum()
    for topic, items in {"safety": ["i0", "i1"], "history": ["i1"]}.items():
        weight = interactions.cells["weight"][interactions.items.index[interactions.cells["item"]].isin(items)].sum()
        assert np.isclose(held[topic]["share"] if topic in held else 0, weight / total if total else 0)
        assert {*held.get(topic, {"items": []})["items"]} <= {*items}
