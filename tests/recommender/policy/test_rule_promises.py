"""Promises of rules for any history, wishes and times of a member."""

from datetime import UTC, datetime, timedelta

import orjson
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions
from infra.db.core_tables import EPOCH, MICROSECOND
from infra.policy.curated_entries import curated
from infra.policy.entry_texts import goes_by_topics, text_of
from infra.policy.fatigue import resting_items
from recommender.pipeline import Pipeline
from recommender.policy.curations import ACTIONS, Curation
from recommender.policy.rows import ROWS, rows_of
from recommender.policy.rules.advised_prerequisites import AdvisedPrerequisites
from recommender.policy.rules.continuing import Continuing
from recommender.policy.rules.less_of_topics import LessOfTopics
from recommender.policy.rules.live_sessions import LiveSessions
from recommender.policy.rules.series import Series
from recommender.policy.selection import ItemFacts, Selection, selected
from tests.recommender.builders import NOW, Study, fitted_pipeline, make_interactions
from tests.recommender.policy.test_rules import ITEMS, ruled

NAMES = sorted(ITEMS)
VERBS = ["completed", "progressed", "dismissed", "viewed", "failed"]
HISTORIES = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.sampled_from(VERBS), st.floats(0.5, 40.0)), max_size=len(NAMES)
)
SCORES = st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 1.0), min_size=1)
History = dict[str, tuple[str, float]]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FEW = settings(max_examples=15)


def studied(history: History, **member: str) -> Interactions:
    """Return the interactions of a member."""
    studies = [Study("m", item, verb, days, progress=0.4) for item, (verb, days) in history.items()]
    return make_interactions(studies, members={"m": member}, items=ITEMS)


def ranked(scores: dict[str, float]) -> dict[str, float]:
    """Return scores, the best first."""
    return dict(sorted(scores.items(), key=lambda each: (-each[1], each[0])))


@given(HISTORIES, SCORES)
@FEW
def test_the_next_item_of_a_followed_series_is_first_and_no_other_of_it_is_put_there(
    history: History, scores: dict[str, float]
) -> None:
    interactions = studied(history, follows="Induction")
    listed = ruled(Series(), "m", ranked(scores), interactions)
    left = [name for name in "abcd" if history.get(name, ("viewed", 0))[0] not in {"completed", "dismissed"}]

    assert [name for name, code in listed if code == "next_in_series"] == left[:1]
    assert not left or listed[0][0] == left[0]
    assert {name for name, _ in listed} == {*scores, *left[:1]}


@given(HISTORIES, SCORES, st.integers(1, 4), st.floats(1.0, 40.0))
@FEW
def test_only_what_was_begun_lately_and_is_not_finished_returns_the_last_first(
    history: History, scores: dict[str, float], most: int, days: float
) -> None:
    listed = ruled(Continuing(most, days, rank=1), "m", ranked(scores), studied(history))
    began = [name for name, (verb, ago) in history.items() if verb in {"progressed", "viewed", "failed"} and ago < days]
    returned = [name for name, code in listed if code == "continue"]

    assert {*returned} <= {*began}
    assert len(returned) <= most
    assert [name for name, _ in listed[: len(returned)]] == returned
    assert returned == sorted(returned, key=lambda name: history[name][1])


@given(HISTORIES, SCORES, st.floats(0.1, 0.9))
@FEW
def test_an_item_never_gains_on_others_by_what_should_come_before_it(
    history: History, scores: dict[str, float], factor: float
) -> None:
    scores = ranked({**scores, "e": 0.5})
    listed = ruled(AdvisedPrerequisites(factor), "m", scores, studied(history))
    is_early = any(history.get(name, ("viewed", 0))[0] != "completed" for name in "ab")
    effective = {name: score * (factor if name == "e" and is_early else 1.0) for name, score in scores.items()}

    assert [effective[name] for name, _ in listed] == sorted(effective.values(), reverse=True)
    assert (("e", "better_after") in listed) == is_early


@given(SCORES, st.sets(st.sampled_from(["safety", "history", "office", "chess"])))
@FEW
def test_all_items_of_topics_wanted_less_come_last_and_keep_their_order(
    scores: dict[str, float], less: set[str]
) -> None:
    listed = [name for name, _ in ruled(LessOfTopics(), "m", ranked(scores), studied({}, less_topics=";".join(less)))]
    is_unwanted = {name: not less.isdisjoint(ITEMS[name].get("topics", "").split(";")) for name in scores}

    assert listed == sorted(ranked(scores), key=is_unwanted.__getitem__)


PIPELINE = fitted_pipeline(make_interactions([Study("m", "a")], members={"m": {}}, items=ITEMS))


@given(st.integers(-72, 72), st.integers(1, 48))
@FEW
def test_a_live_session_is_offered_until_its_end_and_announced_until_it_begins(starts_in: int, hours: int) -> None:
    starts_at = NOW + pd.Timedelta(hours=starts_in)
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + pd.Timedelta(hours=hours)).isoformat()}
    interactions = make_interactions([Study("m", "a")], members={"m": {}}, items=ITEMS | {"live": times})

    assert offered(PIPELINE, interactions, "live") == (starts_in + hours > 0)
    [(_, code)] = ruled(LiveSessions(), "m", {"live": 0.5}, interactions)
    assert code == ("starts_at" if starts_in > 0 else "")


def offered(pipeline: Pipeline, interactions: Interactions, name: str) -> bool:
    """Return whether the only member may be offered an item."""
    member = interactions.members.index.get_indexer(["m"])
    may = pipeline.may_be_offered(interactions, member)(member, interactions.items.index.get_indexer([name]))
    return bool(may[0])


@given(st.lists(st.sampled_from([code for codes in ROWS.values() for code in sorted(codes)] + ["popular", "opens"])))
def test_rows_hold_every_entry_once_and_in_order(codes: list[str]) -> None:
    rows = rows_of(codes)
    assert sorted(rank for ranks in rows.values() for rank in ranks) == [*range(len(codes))]
    assert all(ranks == sorted(ranks) for ranks in rows.values())


FACTS = st.builds(
    ItemFacts,
    st.none() | st.floats(30, 3_600),
    st.sampled_from(["video", "quiz", None]),
    st.frozensets(st.sampled_from("xyz")),
)


@given(
    st.lists(FACTS, max_size=12),
    st.builds(
        Selection,
        minutes=st.none(),
        max_minutes=st.none() | st.integers(1, 60),
        topics=st.frozensets(st.sampled_from("xyz")),
        formats=st.frozensets(st.sampled_from(["video", "quiz"])),
    ),
)
def test_filters_show_exactly_what_they_name_in_its_order(items: list[ItemFacts], selection: Selection) -> None:
    def fits(item: ItemFacts) -> bool:
        is_short = selection.max_minutes is None or (
            item.seconds is not None and item.seconds <= 60 * selection.max_minutes
        )
        of_topics = not selection.topics or bool(selection.topics & item.topics)
        return is_short and of_topics and (not selection.formats or item.format in selection.formats)

    assert selected(items, selection, 99) == [rank for rank, item in enumerate(items) if fits(item)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ACTIONS), st.sampled_from("abcd"), st.sampled_from(["", "8", "4"]), st.integers(-2, 2)
        ),
        max_size=8,
    ),
    st.sampled_from(["8", "4"]),
)
def test_pins_and_bans_hold_for_their_audience_until_their_end(
    rows: list[tuple[str, str, str, int]], role: str
) -> None:
    rules = [
        Curation("c", action, (item,), NOON + timedelta(days=days), (frozenset({to} if to else ()),))
        for action, item, to, days in rows
    ]
    holding = [(action, item) for action, item, to, days in rows if days > 0 and to in {"", role}]
    held = curated(rules, (frozenset({role}),), NOON)

    assert held.pinned == tuple(dict.fromkeys(item for action, item in holding if action == "pin"))
    assert held.banned == {item for action, item in holding if action == "ban"}


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 60)), st.floats(0.5, 30))
def test_what_was_shown_too_often_rests_for_so_many_days_and_no_longer(ago: dict[str, float], days: float) -> None:
    shown = [[name, (NOON - timedelta(days=past) - EPOCH) // MICROSECOND] for name, past in ago.items()]
    resting = resting_items(orjson.dumps(shown).decode(), NOON, days)
    assert {name for name, past in ago.items() if past < days - 1e-6} <= resting
    assert resting <= {name for name, past in ago.items() if past < days + 1e-6}


@given(
    st.sampled_from(["because_finished", "because_studied", "fits_your_topics", "popular", "review", "continue"]),
    st.frozensets(st.sampled_from("xyz")),
    st.frozensets(st.sampled_from("xyz")),
    st.sampled_from("xyz"),
)
def test_no_entry_stands_by_a_topic_that_the_member_deleted(
    code: str, own: frozenset[str], deleted: frozenset[str], topic: str
) -> None:
    named = {"fits_your_topics": {"topic": topic}, "because_finished": {"item_id": "d"}, "because_studied": {}}
    entry = {"item_id": "i", "reason": {"code": code, "arguments": named.get(code, {})}}
    goes_by = {"fits_your_topics": {topic}, "because_finished": {"x"}, "popular": set()}.get(code, own)

    topics = {"i": own, "d": frozenset({"x"})}
    assert goes_by_topics(text_of(entry), deleted, topics) == (not deleted.isdisjoint(goes_by))
