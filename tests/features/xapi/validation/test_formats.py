from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.xapi.validation.formats import (
    IRI,
    MEDIA_TYPE,
    URI,
    UUID,
    instant,
    is_duration,
    is_language_tag,
    seconds_of,
)

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


EARLIEST, LATEST = datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01")


@given(st.datetimes(EARLIEST, LATEST, timezones=offsets))
def test_a_moment_written_in_any_zone_is_read_back_in_utc(moment: datetime) -> None:
    read = instant(moment.isoformat())
    assert read == moment
    assert read is not None
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T10:00:00", "2026-03-01T10:00:00+00:00"),
        ("2026-03-01T10:00+05", "2026-03-01T05:00:00+00:00"),
        ("2026-03-01T10:00:00,5-0330", "2026-03-01T13:30:00.500000+00:00"),
        ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.123456+00:00"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00+00:00"),
        ("2026-02-28T24:00:00Z", "2026-03-01T00:00:00+00:00"),
        ("2026-02-28T24:00:00.000+08:00", "2026-02-28T16:00:00+00:00"),
        ("2026-02-28T24:00", "2026-03-01T00:00:00+00:00"),
    ],
)
def test_forms_of_iso_8601_are_read(text: str, expected: str) -> None:
    moment = instant(text)
    assert moment is not None
    assert moment.isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-03-01",
        "20260301T100000Z",
        "2026-03-01 10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-03-01T10:00:61Z",
        "2026-03-01T10:00:00+24:00",
        "2026-03-01T10:00:00-00",
        "2026-03-01T10:00:00-0000",
        "2026-03-01T10:00:00-00:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "9999-12-31T24:00:00Z",
        "2026-03-01T24:00:01Z",
        "2026-03-01T24:01:00Z",
        "2026-03-01T24:00:00.5Z",
        "2026-03-01T24:00:00-00:00",
        "\N{FULLWIDTH DIGIT TWO}026-03-01T10:00:00Z",
    ],
)
def test_what_is_no_moment_of_the_calendar_is_refused(text: str) -> None:
    assert instant(text) is None


parts = st.fixed_dictionaries(
    {},
    optional={letter: st.integers(0, 999) for letter in ("W", "D", "H", "M", "S")},
).filter(lambda counts: counts and (len(counts) == 1 or "W" not in counts))


@given(parts)
def test_the_length_of_a_duration_is_the_sum_of_its_parts(counts: dict[str, int]) -> None:
    date = "".join(f"{counts[letter]}{letter}" for letter in "WD" if letter in counts)
    time = "".join(f"{counts[letter]}{letter}" for letter in "HMS" if letter in counts)
    text = f"P{date}" + (f"T{time}" if time else "")
    units = {"W": timedelta(weeks=1), "D": timedelta(1), "H": timedelta(hours=1), "M": timedelta(minutes=1)}
    expected = sum((units.get(letter, timedelta(seconds=1)) * count for letter, count in counts.items()), timedelta())
    assert is_duration(text)
    assert seconds_of(text) == expected.total_seconds()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0.25H", 900.0),
        ("P1,5W", 907_200.0),
        ("P1Y", 31_556_952.0),
        ("P0Y0M0DT0H1M31.5S", 91.5),
        ("P1M", 2_629_746.0),
    ],
)
def test_fractions_and_calendar_units_are_measured(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "1D", "-P1D", "P-1D", "P1H", "PT1D", "P1W2D", "PT1M1H", "PT0.5H1M", "P16559.14S", "pt1h"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert not is_duration(text)
    assert seconds_of(text) is None


@pytest.mark.parametrize(
    "tag",
    [
        "en",
        "cmn",
        "en-US",
        "zh-Hant",
        "sr-Latn-RS",
        "es-419",
        "de-CH-1996",
        "zh-cmn-Hans-CN",
        "en-a-bbb-x-a",
        "en-GB-oed",
        "x-a-bbb-a-ccc",
        "en-x-a-bbb-a-ccc",
    ],
)
def test_language_tags_of_rfc_5646_are_accepted(tag: str) -> None:
    assert is_language_tag(tag)


@pytest.mark.parametrize(
    "tag", ["", "e", "something", "en_US", "en-", "en-toolongpart", "en-a", "x", "ėn", "12", "zh-u-aaa-U-bb"]
)
def test_what_is_no_language_tag_is_refused(tag: str) -> None:
    assert not is_language_tag(tag)


@pytest.mark.parametrize(
    "text", ["", "example", "//example.org/x", "1a:b", "a:", "a:b c", "a:<b>", "a:b\n", "a:\ud800"]
)
def test_what_has_no_scheme_or_strange_characters_is_no_iri(text: str) -> None:
    assert not IRI.fullmatch(text)
    assert not URI.fullmatch(text)


def test_an_iri_may_hold_what_a_uri_must_escape() -> None:
    assert IRI.fullmatch("https://例.example/学?路=%E5%AD%A6#一")
    assert not URI.fullmatch("https://例.example/")
    assert URI.fullmatch("tag:example.org,2026:a[1]")


def test_uuids_and_media_types_follow_their_standard_forms() -> None:
    assert UUID.fullmatch("12345678-1234-5678-1234-567812345678")
    assert not UUID.fullmatch("{12345678-1234-5678-1234-567812345678}")
    assert MEDIA_TYPE.fullmatch("application/vnd.x+json; charset=utf-8")
    assert not MEDIA_TYPE.fullmatch("text")
    assert not MEDIA_TYPE.fullmatch("text/plain;")
