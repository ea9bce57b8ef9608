"""Each rule on lists small enough to work out by hand, and the promises that hold for any lists."""

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.policy.policies import Rule
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.registry import REASONS, PolicyParameters, make_policies
from recommender.policy.rules.advised_prerequisites import AdvisedPrerequisites
from recommender.policy.rules.continuing import Continuing
from recommender.policy.rules.less_of_topics import LessOfTopics
from recommender.policy.rules.live_sessions import LiveSessions
from recommender.policy.rules.review import REVIEW
from recommender.policy.rules.rotation import Rotation
from recommender.policy.rules.series import Series
from tests.recommender.builders import NOW, Study, anything, fitted_pipeline, make_interactions, ranked

ITEMS = {
    "a": {"topics": "safety", "series": "Induction", "series_position": "1"},
    "b": {"topics": "safety;history", "series": "Induction", "series_position": "2"},
    "c": {"series": "Induction", "series_position": "3", "hidden": "true"},
    "d": {"prerequisites": "a", "series": "Induction"},
    "e": {"advised_prerequisites": "b;a", "topics": "office"},
    "live": {"starts_at": "2026-03-04T01:00:00Z", "ends_at": "2026-03-04T02:00:00Z"},
    "over": {"starts_at": "2026-02-27T01:00:00Z", "ends_at": "2026-02-28T02:00:00Z"},
}
MEMBERS = {
    "plain": {"timezone": "Asia/Shanghai"},
    "follower": {"follows": "Induction;Unknown"},
    "bored": {"less_topics": "safety"},
    "off": {"follows": "Induction", "personalised": "false"},
}
STUDIED = [
    Study("follower", "a", days_ago=3.0),
    Study("plain", "b", "progressed", 2.0, progress=0.4),
    Study("plain", "a", "progressed", 5.0, progress=0.2),
    Study("plain", "e", "dismissed", 1.0, progress=0.5),
    Study("off", "b", "progressed", 2.0, progress=0.4),
]
INTERACTIONS = make_interactions(STUDIED, members=MEMBERS, items=ITEMS)


def ruled(
    rule: Rule, member: str, scores: dict[str, float], interactions: Interactions = INTERACTIONS
) -> list[tuple[str, str]]:
    """Return items and reason codes of a member's list after a rule, reasons empty where the rule gave none."""
    lists = ranked(interactions, member, scores)
    changed = rule.apply(lists, interactions, k=20, may_be_offered=anything)
    codes = [changed.reasons[number]["code"] if number >= 0 else "" for number in changed.reason[0]]
    return [
        (str(interactions.items.index[item]), code)
        for item, code in zip(changed.item[0], codes, strict=True)
        if item >= 0
    ]


def test_an_item_stands_lower_until_its_advised_prerequisites_are_finished() -> None:
    # .8 · .5 = .4 < .6.
    assert ruled(AdvisedPrerequisites(0.5), "plain", {"e": 0.8, "b": 0.6}) == [("b", ""), ("e", "better_after")]
    both = make_interactions([Study("m", "a"), Study("m", "b")], items=ITEMS)
    assert ruled(AdvisedPrerequisites(0.5), "m", {"e": 0.8, "live": 0.6}, both) == [("e", ""), ("live", "")]


def test_the_last_unfinished_prerequisite_of_an_item_says_what_it_opens() -> None:
    assert ruled(AdvisedPrerequisites(), "plain", {"a": 0.9, "b": 0.8}) == [("a", "opens"), ("b", "")]
    assert ruled(AdvisedPrerequisites(), "follower", {"a": 0.9}) == [("a", "")]


def test_begun_items_return_the_last_begun_first_unless_the_member_is_against_them() -> None:
    rule = Continuing(items=2, days=30.0, rank=2)

    assert ruled(rule, "plain", {"d": 0.9, "live": 0.8}) == [
        ("d", ""),
        ("b", "continue"),
        ("a", "continue"),
        ("live", ""),
    ]
    assert ruled(Continuing(items=2, days=3.0, rank=1), "plain", {"d": 0.9}) == [("b", "continue"), ("d", "")]
    assert ruled(rule, "follower", {"d": 0.9}) == [("d", "")]
    assert ruled(rule, "off", {"d": 0.9}) == [("d", "")]


def test_a_failed_attempt_begins_an_item() -> None:
    failed = make_interactions([Study("m", "a", "failed"), Study("m", "b", "viewed")], items=ITEMS)

    assert ruled(Continuing(items=2, rank=1), "m", {"d": 0.9}, failed) == [("a", "continue"), ("d", "")]


def test_the_next_open_item_of_a_followed_series_is_on_the_list() -> None:
    assert ruled(Series(), "follower", {"e": 0.9, "b": 0.5}) == [("b", "next_in_series"), ("e", "")]
    assert ruled(Series(), "plain", {"e": 0.9}) == [("e", "")]
    assert ruled(Series(), "off", {"e": 0.9}) == [("e", "")]


def test_an_item_of_a_series_that_the_member_dismissed_is_passed_over() -> None:
    dismissed = make_interactions([Study("follower", "a", "dismissed", 1.0)], members=MEMBERS, items=ITEMS)

    assert ruled(Series(), "follower", {"e": 0.9}, dismissed) == [("b", "next_in_series"), ("e", "")]


def test_a_series_says_the_place_of_its_next_item_and_passes_over_what_may_not_be_offered() -> None:
    finished = make_interactions([Study("follower", "a"), Study("follower", "b")], members=MEMBERS, items=ITEMS)
    pipeline = replace(fitted_pipeline(finished), policies=make_policies(PolicyParameters()))

    listed = pipeline.recommend(finished, pd.Index(["follower"]), k=5)
    [block] = list(pipeline.listed(finished, pd.Index(["follower"]), k=5))

    assert listed["item_id"].iloc[0] == "d"
    assert block.reason[0] == {
        "code": "next_in_series",
        "arguments": {"series": "Induction", "position": 4, "length": 4},
    }


def test_topics_that_a_member_wants_less_of_come_last() -> None:
    scores = {"a": 0.9, "e": 0.8, "b": 0.7, "live": 0.1}

    assert [item for item, _ in ruled(LessOfTopics(), "bored", scores)] == ["e", "live", "a", "b"]
    assert [item for item, _ in ruled(LessOfTopics(), "plain", scores)] == ["a", "e", "b", "live"]


def test_a_live_session_is_announced_in_the_zone_of_the_member_and_never_offered_once_it_ended() -> None:
    assert ruled(LiveSessions(), "plain", {"a": 0.9, "live": 0.8}) == [("a", ""), ("live", "starts_at")]
    pipeline = replace(fitted_pipeline(INTERACTIONS), policies=make_policies(PolicyParameters()))
    [block] = list(pipeline.listed(INTERACTIONS, pd.Index(["plain"]), k=10))
    reasons = dict(zip(INTERACTIONS.items.index[block.item], block.reason, strict=True))

    assert reasons["live"] == {"code": "starts_at", "arguments": {"when": "2026-03-04 09:00"}}
    assert "over" not in reasons
    assert pd.Timestamp("2026-02-28T02:00:00Z") <= NOW


def test_a_member_without_a_zone_reads_the_time_of_the_organisation_even_after_that_has_moved() -> None:
    for zone, local in (("Asia/Shanghai", "09:00"), ("Europe/Paris", "02:00")):
        moved = replace(INTERACTIONS, rules=replace(INTERACTIONS.rules, timezone=zone))
        entry = np.array([0]), moved.items.index.get_indexer(["live"]), np.array([0.8]), np.array([0])
        lists = RankedLists.of(moved.members.index.get_indexer(["bored"]), *entry)
        [reason] = LiveSessions().apply(lists, moved, k=20, may_be_offered=anything).reasons
        assert reason["arguments"] == {"when": f"2026-03-04 {local}"}


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=7), st.floats(0.01, 0.5), st.integers(0, 3))
def test_rotation_changes_the_order_of_near_equals_only_and_the_same_way_each_time(
    scores: list[float], tolerance: float, seed: int
) -> None:
    names = list(INTERACTIONS.items.index[: len(scores)])
    by_item = dict(zip(names, sorted(scores, reverse=True), strict=True))

    rotated = [item for item, _ in ruled(Rotation(tolerance, seed), "plain", by_item)]

    assert sorted(rotated) == sorted(names)
    for place, item in enumerate(rotated):
        assert all(by_item[later] * (1 - tolerance) <= by_item[item] + 1e-12 for later in rotated[place:])
    assert rotated == [item for item, _ in ruled(Rotation(tolerance, seed), "plain", by_item)]


def test_rotation_differs_from_night_to_night() -> None:
    scores = dict.fromkeys(INTERACTIONS.items.index, 0.5)
    nights = [replace(INTERACTIONS, as_of=NOW + pd.Timedelta(days=day)) for day in range(4)]

    assert len({tuple(ruled(Rotation(0.1), "plain", scores, night)) for night in nights}) == 4


def test_rules_that_can_change_nothing_cost_nothing() -> None:
    plain = make_interactions([Study("m", "a")])
    policies = make_policies(PolicyParameters())

    assert policies.active(plain) == ()
    assert policies.pool(plain, 10) == 10
    assert {type(rule) for rule in policies.active(INTERACTIONS)} == {
        AdvisedPrerequisites,
        LessOfTopics,
        Series,
        LiveSessions,
    }


def test_every_rule_together_lists_nothing_that_may_not_be_offered_and_nothing_twice() -> None:
    parameters = PolicyParameters(
        rotation=0.1,
        max_per_topic=1,
        diversity=0.2,
        continue_items=3,
        review_share=0.4,
        least_recall=0.99,
        exploration_share=1.0,
    )
    alike = {name: {"topics": "chess"} for name in "xyz"}
    interactions = make_interactions(STUDIED, members=MEMBERS, items=ITEMS | alike)
    pipeline = replace(fitted_pipeline(interactions), policies=make_policies(parameters))
    finished = set(zip(*interactions.finished.nonzero(), strict=True))
    codes = set()

    for block in pipeline.listed(interactions, interactions.members.index, k=6):
        assert pipeline.may_be_offered(interactions, np.unique(block.member)[::-1])(block.member, block.item).all()
        pairs = list(zip(block.member.tolist(), block.item.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
        reviewed = {
            pair for pair, reason in zip(pairs, block.reason, strict=True) if reason and reason["code"] == REVIEW
        }
        assert finished & set(pairs) == reviewed
        codes |= {reason["code"] for reason in block.reason if reason}

    assert codes == REASONS


WIDER = ITEMS | {"f": {"advised_prerequisites": "a"}, "g": {"topics": "office"}, "h": {"prerequisites": "g"}}
WIDER_PIPELINE = fitted_pipeline(make_interactions(STUDIED, members=MEMBERS, items=WIDER))
HISTORIES = st.dictionaries(
    st.sampled_from(["a", "b", "e", "g"]), st.sampled_from(["completed", "progressed", "liked"])
)


@given(HISTORIES, HISTORIES)
@settings(max_examples=10)
def test_the_history_of_a_member_who_switched_personalisation_off_only_leaves_items_out(
    first: dict[str, str], second: dict[str, str]
) -> None:
    policies = make_policies(PolicyParameters(rotation=0.1, continue_items=3, review_share=0.3))
    others = [study for study in STUDIED if study.member != "off"]
    listed = []
    for history in (first, second):
        studied = [*others, *(Study("off", item, verb, progress=0.4) for item, verb in history.items())]
        interactions = make_interactions(studied, members=MEMBERS, items=WIDER)
        blocks = replace(WIDER_PIPELINE, policies=policies).listed(interactions, pd.Index(["off"]), k=20)
        names = [
            (interactions.items.index[item], reason)
            for block in blocks
            for item, reason in zip(block.item, block.reason, strict=True)
        ]
        # What was studied is left out, and what a mandatory prerequisite still closes.
        listed.append([(name, reason) for name, reason in names if name not in {*first, *second, "d", "h"}])

    assert listed[0] == listed[1]
    assert {name for name, _ in listed[0]} >= {"f", "live"}
