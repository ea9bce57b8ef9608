"""Interactions: one row of evidence per member and item, the same to the last bit whatever order events come in."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import (
    Interactions,
    build_interactions,
)
from features.schema import NON_STUDY_VERBS, VERBS
from features.study_time import DAY_MICROSECONDS, MICROSECONDS
from features.weights import WeightingRules

AS_OF = pd.Timestamp("2026-03-01T12:00Z")
NOW = AS_OF.value // 1_000
MIDNIGHT = NOW // DAY_MICROSECONDS * DAY_MICROSECONDS
HOUR = 3_600 * MICROSECONDS
NAN = float("nan")
# Items 0 and 1 last ten and one minutes; nobody knows how long the others do.
ITEM_SECONDS = [600.0, 60.0, NAN, 0.0]
COUNTING = [verb for verb in VERBS if verb not in NON_STUDY_VERBS]

EVENTS = st.fixed_dictionaries(
    {
        "member": st.integers(0, 2),
        "item": st.integers(0, len(ITEM_SECONDS) - 1),
        "verb": st.sampled_from(COUNTING),
        "at": st.one_of(
            st.integers(NOW - 90 * DAY_MICROSECONDS, NOW - 1),
            st.integers(0, 40).map(lambda minutes: NOW - minutes * 60 * MICROSECONDS),
            st.integers(0, 3).map(lambda days: MIDNIGHT - days * DAY_MICROSECONDS),
        ),
        "duration_seconds": st.one_of(st.just(NAN), st.floats(0, 90_000), st.sampled_from([60.0, 600.0])),
        "progress": st.one_of(st.just(NAN), st.floats(0, 1)),
        "score": st.one_of(st.just(NAN), st.floats(0, 1)),
        "session": st.sampled_from([0, 0, 1, 2]),
        "date_only": st.just(value=False),
    }
)
LOGS = st.lists(EVENTS, max_size=25)


def event(member: int = 0, item: int = 0, verb: str = "viewed", **fields: Any) -> dict[str, Any]:
    """Return an event of an hour ago, and what else is told."""
    nothing = {"duration_seconds": NAN, "progress": NAN, "score": NAN, "session": 0, "at": NOW - HOUR}
    nothing |= {"date_only": False}
    return {"member": member, "item": item, "verb": verb, **nothing, **fields}


def built(
    *events: dict[str, Any],
    rules: WeightingRules | None = None,
    personalised: tuple[bool | None, ...] = (None,) * 3,
    timezones: tuple[str | None, ...] = (None,) * 3,
) -> Interactions:
    """Return the interactions of three members and four items, from events in the form the tables give them."""
    names = ["member", "item", "verb", "at", "duration_seconds", "progress", "score", "session", "date_only"]
    frame = pd.DataFrame([*events], columns=names).rename(columns={"at": "occurred_at"})
    kinds = {"member": "int32", "item": "int32", "occurred_at": "int64", "session": "uint64"}
    frame = frame.astype(kinds | dict.fromkeys(["duration_seconds", "progress", "score"], "float64"))
    frame["verb"] = pd.Categorical(frame["verb"], categories=VERBS)
    members = pd.DataFrame({"personalised": pd.array([*personalised], dtype="boolean")}, index=["m0", "m1", "m2"])
    members["timezone"] = pd.array([*timezones], dtype="str")
    items = pd.DataFrame({"duration_seconds": ITEM_SECONDS}, index=[f"i{place}" for place in range(len(ITEM_SECONDS))])
    options = {"members": members, "items": items, "as_of": AS_OF, "rules": rules}
    in_blocks = build_interactions(frame, **options, block_events=1)
    whole = build_interactions(frame, **options)
    pd.testing.assert_frame_equal(in_blocks.cells, whole.cells, check_exact=True)
    return whole


def cell(*events: dict[str, Any], **options: Any) -> pd.Series:
    """Return the only cell that events of one member and one item make."""
    cells = built(*events, **options).cells
    assert len(cells) == 1
    return cells.iloc[0]


def bits(interactions: Interactions) -> list[bytes]:
    """Return everything a model may read, to the last bit."""
    matrix = interactions.matrix(30.0)
    arrays = [interactions.cells[name].to_numpy() for name in interactions.cells]
    arrays += [matrix.data, matrix.indices, matrix.indptr, interactions.seen.indices, interactions.seen.indptr]
    return [interactions.digest().encode(), *(str(array.dtype).encode() + array.tobytes() for array in arrays)]


@settings(max_examples=50)
@given(events=LOGS, data=st.data())
def test_any_order_of_the_same_events_gives_the_same_bits(events: list[dict[str, Any]], data: st.DataObject) -> None:
    assert bits(built(*data.draw(st.permutations(events)))) == bits(built(*events))


def test_events_that_begin_or_end_together_give_the_same_bits_in_any_order() -> None:
    ties = [event(session=session, duration_seconds=0.1 * 3, at=at) for session in (0, 1, 2) for at in (MIDNIGHT, NOW)]
    ties += [event(item=1, session=session, duration_seconds=80_000.7, at=MIDNIGHT) for session in (0, 1, 2)]
    # Begun together, and told in either order.
    ties += [
        event(item=item, duration_seconds=60.0 * item, at=NOW - HOUR + item * 60 * MICROSECONDS) for item in (3, 2)
    ]
    assert bits(built(*ties[::-1])) == bits(built(*ties[3:], *ties[:3])) == bits(built(*ties))


@settings(max_examples=50)
@given(events=LOGS, influence=st.floats(0.5, 30), half_life=st.floats(1, 400))
def test_no_row_of_the_matrix_sums_over_the_influence_of_a_member(
    events: list[dict[str, Any]], influence: float, half_life: float
) -> None:
    interactions = built(*events, rules=WeightingRules(member_cap=influence))
    matrix = interactions.matrix(half_life)
    assert matrix.dtype == np.float32
    assert matrix.shape == interactions.shape == (3, len(ITEM_SECONDS))
    assert (matrix.data > 0).all()
    assert (matrix.astype(np.float64).sum(axis=1) <= influence * (1 + 1e-6)).all()
    assert (interactions.seen - (matrix > 0)).min() >= 0  # evidence only of what was seen


@settings(max_examples=50)
@given(events=LOGS)
def test_cells_hold_each_member_and_item_once_in_order_with_times_and_bounds(events: list[dict[str, Any]]) -> None:
    cells = built(*events).cells
    pairs = list(zip(cells["member"], cells["item"], strict=True))
    assert pairs == sorted({(entry["member"], entry["item"]) for entry in events})
    assert cells["weight"].between(0, 6).all()
    for pair, row in zip(pairs, cells.itertuples(), strict=True):
        of_pair = [entry for entry in events if (entry["member"], entry["item"]) == pair]
        assert (row.first_at, row.last_at) == (
            min(entry["at"] for entry in of_pair),
            max(entry["at"] for entry in of_pair),
        )
        seconds = ITEM_SECONDS[pair[1]]
        assert 0 <= row.study_seconds <= (2 * seconds if seconds > 0 else 14_400)
        reported_seconds = sum(np.nan_to_num(entry["duration_seconds"]) for entry in of_pair)
        assert row.study_seconds <= reported_seconds + 1e-6 * len(of_pair)  # each is rounded to the microsecond


def test_no_events_make_empty_interactions_of_the_same_types() -> None:
    empty, interactions = built(), built(event())
    assert empty.cells.dtypes.to_dict() == interactions.cells.dtypes.to_dict()
    assert empty.matrix(30.0).nnz == empty.seen.nnz == 0
    assert empty.matrix(30.0).shape == (3, len(ITEM_SECONDS))
    assert empty.digest() != interactions.digest()


def test_evidence_is_the_formula_of_the_strongest_verb_the_furthest_progress_and_the_best_score() -> None:
    row = cell(
        event(verb="completed", progress=0.5), event(verb="answered", score=0.4), event(progress=0.25, score=0.8)
    )
    assert row["weight"] == np.float32(2 + 2 * 0.5 + 0.8 / 2)
    assert (row["progress"], row["finished"]) == (0.5, True)


def test_views_of_an_item_count_once_a_day() -> None:
    farmed = [event(at=MIDNIGHT + place * MICROSECONDS) for place in range(1_000)]
    assert cell(*farmed)["weight"] == cell(event())["weight"] == 1.0
    on_days = [event(at=NOW - day * DAY_MICROSECONDS) for day in range(4)]
    assert cell(*on_days, *on_days)["weight"] == 2.0
    ever = [event(at=NOW - day * DAY_MICROSECONDS) for day in range(300)]
    assert cell(*ever)["weight"] == 2.5


@pytest.mark.parametrize(
    ("item", "seconds", "weight"),
    [(0, 1_200.0, 3.0), (1, 120.0, 3.0), (2, 14_400.0, 1.0), (3, 14_400.0, 1.0)],
    ids=["ten minutes", "one minute", "not known", "nothing"],
)
def test_study_time_is_capped_by_the_duration_of_the_item(item: int, seconds: float, weight: float) -> None:
    farmed = [event(item=item, duration_seconds=3_500.0, at=NOW - hour * HOUR) for hour in range(20)]
    assert cell(*farmed)["study_seconds"] == seconds
    assert cell(*farmed)["weight"] == weight + 0.5  # on two days


def test_the_caps_are_those_of_the_rules() -> None:
    rules = WeightingRules(item_time_cap=1.5, unknown_item_cap_seconds=100.0)
    assert cell(event(duration_seconds=3_000.0), rules=rules)["study_seconds"] == 900.0
    assert cell(event(item=2, duration_seconds=3_000.0), rules=rules)["study_seconds"] == 100.0
    assert built(rules=rules).rules == rules


def test_study_time_is_evidence_as_a_share_of_the_duration() -> None:
    assert cell(event(duration_seconds=150.0))["weight"] == 1.5
    assert cell(event(duration_seconds=150.0, progress=0.5))["weight"] == 2.0


def test_overlapping_study_of_two_items_counts_once() -> None:
    cells = built(
        event(item=0, duration_seconds=600.0, at=NOW - HOUR),
        event(item=1, duration_seconds=60.0, at=NOW - HOUR - MICROSECONDS),
        event(item=2, duration_seconds=600.0, at=NOW - HOUR + 300 * MICROSECONDS),
    ).cells
    assert cells["study_seconds"].tolist() == [600.0, 0.0, 300.0]


def test_a_session_counts_its_longest_time_and_dates_without_times_do_not_overlap() -> None:
    session = [
        event(session=7, duration_seconds=60.0 * part, at=NOW - HOUR + part * 60 * MICROSECONDS) for part in (3, 1, 2)
    ]
    assert cell(*session)["study_seconds"] == 180.0
    dated = [event(item=item, duration_seconds=30.0, at=MIDNIGHT, date_only=True) for item in (0, 1)]
    assert built(*dated).cells["study_seconds"].tolist() == [30.0, 30.0]
    at_midnight = [event(item=item, duration_seconds=30.0, at=MIDNIGHT) for item in (0, 1)]
    assert built(*at_midnight).cells["study_seconds"].tolist() == [30.0, 0.0], "midnight UTC is a time like any other"


def test_a_morning_in_shanghai_is_one_day_and_an_evening_in_new_york_too() -> None:
    # 07:30 and 09:00 of one morning in Shanghai, before and after midnight UTC; 19:30 and 21:00 in New York in winter.
    before, after = MIDNIGHT - 30 * 60 * MICROSECONDS, MIDNIGHT + HOUR
    by_zone = built(
        *[event(member=member, at=at) for member in (0, 1, 2) for at in (before, after)],
        timezones=("Asia/Shanghai", "America/New_York", "UTC"),
    ).cells
    assert by_zone["weight"].tolist() == [1.0, 1.0, 1.5], "half a bit more for a second day"
    assert by_zone["first_day"].tolist() == [MIDNIGHT // DAY_MICROSECONDS - step for step in (0, 1, 1)]


def test_the_zone_of_the_rules_cuts_the_days_of_members_without_one() -> None:
    log = [event(member=member, at=MIDNIGHT + hours * HOUR) for member in (0, 1) for hours in (-1, 1)]
    rules = WeightingRules(timezone="Asia/Shanghai")
    assert built(*log, rules=rules, timezones=(None, "UTC", None)).cells["weight"].tolist() == [1.0, 1.5]


def test_a_date_is_the_same_day_in_every_zone() -> None:
    log = [event(member=member, at=MIDNIGHT, date_only=True) for member in (0, 1, 2)]
    cells = built(*log, timezones=("Pacific/Kiritimati", "America/Los_Angeles", None)).cells
    assert cells["first_day"].tolist() == [MIDNIGHT // DAY_MICROSECONDS] * 3


@pytest.mark.parametrize(
    ("opinions", "weight"),
    [
        ({"liked": 1}, 2.0),
        ({"disliked": 1}, 0.0),
        ({"dismissed": 1}, 0.0),
        ({"liked": 1, "dismissed": 2}, 0.0),
        ({"dismissed": 1, "liked": 2}, 2.0),
        ({"disliked": 1, "liked": 2}, 2.0),
        ({"disliked": 1, "viewed": 2, "completed": 3}, 0.0),
        ({"liked": 1, "disliked": 1}, 0.0),
        ({"liked": 2, "dismissed": 2, "disliked": 1}, 0.0),
    ],
    ids=str,
)
def test_the_last_opinion_wins_and_one_against_wins_a_tie(opinions: dict[str, int], weight: float) -> None:
    events = [event(verb=verb, at=MIDNIGHT + hour * HOUR) for verb, hour in opinions.items()]
    for row in (cell(*events), cell(*events[::-1])):
        assert row["weight"] == weight


def test_an_opinion_of_one_member_or_item_says_nothing_of_another() -> None:
    cells = built(event(verb="disliked"), event(item=1), event(member=1)).cells
    assert cells["weight"].tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "finished"),
    [
        ({"verb": "completed"}, True),
        ({"verb": "passed"}, True),
        ({"progress": 0.95}, True),
        ({"progress": 0.949}, False),
        ({"verb": "failed", "score": 1.0}, False),
        ({"verb": "liked"}, False),
    ],
)
def test_an_item_is_finished_by_its_verb_or_its_progress(fields: dict[str, Any], *, finished: bool) -> None:
    assert cell(event(**fields))["finished"] == finished
    assert cell(event(**fields), event(verb="viewed", at=NOW))["finished"] == finished


def test_evidence_fades_by_its_half_life_from_the_last_event_on() -> None:
    week = 7 * DAY_MICROSECONDS
    interactions = built(
        event(at=NOW - week), event(item=1, at=NOW - 2 * week), event(item=1, at=NOW), event(item=2, at=NOW + week)
    )
    assert interactions.matrix(7.0).toarray()[0].tolist() == [0.5, 1.5, 1.0, 0.0]
    assert interactions.matrix(3.5).toarray()[0, 0] == 0.25


def test_a_row_over_the_influence_shrinks_as_a_whole_and_others_stay() -> None:
    busy = [event(item=item, verb="completed", at=NOW) for item in range(4)]
    rules = WeightingRules(member_cap=4.0)
    matrix = built(*busy, event(member=1, verb="completed", at=NOW), rules=rules).matrix(30.0).toarray()
    assert matrix[0].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert matrix[1].tolist() == [2.0, 0.0, 0.0, 0.0]


def test_members_without_personalisation_have_empty_rows_as_if_they_had_seen_nothing() -> None:
    events = [event(member=member, item=1, at=NOW) for member in range(3)]
    interactions = built(*events, personalised=(False, True, None))
    assert interactions.matrix(30.0).toarray()[:, 1].tolist() == [0.0, 1.0, 1.0]
    assert interactions.matrix(30.0).nnz == 2
    assert interactions.seen.toarray()[:, 1].tolist() == [0.0, 1.0, 1.0]


def test_a_dismissed_item_is_seen_without_evidence() -> None:
    interactions = built(event(verb="dismissed"), event(item=1))
    assert interactions.matrix(30.0).indices.tolist() == [1]
    assert interactions.seen.indices.tolist() == [0, 1]


def test_the_digest_tells_apart_whatever_lists_are_made_from() -> None:
    interactions = built(event())
    others = [
        built(event(), event(item=1)),
        built(event(progress=0.5)),
        built(event(at=NOW)),
        built(event(), personalised=(False, None, None)),
        Interactions(
            interactions.members,
            interactions.items,
            interactions.cells,
            AS_OF + pd.Timedelta(days=1),
            interactions.rules,
        ),
        Interactions(
            interactions.members, interactions.items.assign(title="x"), interactions.cells, AS_OF, interactions.rules
        ),
        Interactions(
            interactions.members.rename({"m0": "m9"}), interactions.items, interactions.cells, AS_OF, interactions.rules
        ),
        Interactions(
            interactions.members.add_prefix("was_"), interactions.items, interactions.cells, AS_OF, interactions.rules
        ),
    ]
    assert len({interactions.digest(), *(other.digest() for other in others)}) == len(others) + 1
    assert built(event()).digest() == interactions.digest()


@pytest.mark.parametrize("days_ago", [0, 1_097, 5_000])
def test_a_log_that_ended_long_ago_keeps_its_ratios(days_ago: int) -> None:
    at = NOW - days_ago * DAY_MICROSECONDS
    log = [event(item=0, at=at), event(item=1, at=at - 7 * DAY_MICROSECONDS), event(1, item=1, at=at)]
    totals = np.asarray(built(*log).matrix(7.0).sum(axis=0)).ravel()
    assert totals[1] / totals[0] == pytest.approx(1.5)
    assert totals[2] == 0.0


def test_items_of_long_ago_in_a_log_of_today_keep_a_weight_by_how_much_they_were_studied() -> None:
    old = NOW - 3_000 * DAY_MICROSECONDS
    log = [event(item=0, at=NOW), event(item=1, at=old), event(item=2, at=old), event(1, item=2, at=old)]
    totals = np.asarray(built(*log).matrix(7.0).sum(axis=0)).ravel()
    assert totals[0] > totals[2] > totals[1] > 0.0
