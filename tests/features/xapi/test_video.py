from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.xapi.video import covered_seconds, played_seconds, played_segments

TENTHS = 10
times = st.integers(0, 400)
"""Tenths of a second, so that an independent computation can count them one by one."""

written_parts = st.lists(st.tuples(times, st.none() | times), max_size=12)


def as_text(parts: list[tuple[int, int | None]]) -> str:
    return "[,]".join(
        f"{start / TENTHS}" if end is None else f"{start / TENTHS}[.]{end / TENTHS}" for start, end in parts
    )


@given(written_parts)
def test_played_and_covered_time_are_those_counted_tenth_by_tenth(parts: list[tuple[int, int | None]]) -> None:
    played = [tenth for start, end in parts if end is not None for tenth in range(start, end)]
    segments = played_segments(as_text(parts))
    assert segments is not None
    assert played_seconds(segments) == pytest.approx(float(Fraction(len(played), TENTHS)))
    assert covered_seconds(segments) == pytest.approx(float(Fraction(len(set(played)), TENTHS)))


@given(written_parts, st.randoms())
def test_the_order_of_parts_changes_nothing(parts: list[tuple[int, int | None]], chance: object) -> None:
    shuffled = list(parts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis names no public type for it
    segments, other = played_segments(as_text(parts)), played_segments(as_text(shuffled))
    assert segments is not None
    assert other is not None
    assert covered_seconds(segments) == pytest.approx(covered_seconds(other))


@given(st.text() | st.text(alphabet="0123456789.[],e-"))
def test_any_text_is_read_or_refused_without_raising(text: str) -> None:
    segments = played_segments(text)
    assert segments is None or all(0 <= start < end < float("inf") for start, end in segments)


def test_parts_still_open_empty_or_backwards_count_for_nothing() -> None:
    assert played_segments("12.5") == []
    assert played_segments("12.5[.]") == []
    assert played_segments("30[.]20[,]5[.]5[,]") == []
    assert played_segments("1e-7[.]1e400[,] 2 [,]3[.]4") == [(3.0, 4.0)]


@pytest.mark.parametrize(
    "value", [None, 42, ["0[.]1"], "0..42", "a[.]b", "0[.]1;2[.]3", "-1[.]2", "nan[.]inf", "1_0[.]20"]
)
def test_what_is_no_text_of_played_parts_is_refused(value: object) -> None:
    assert played_segments(value) is None
