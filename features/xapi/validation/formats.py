"""Formats of text in xAPI 1.0.3 (Data, part 4): identifiers, language tags, timestamps, durations, media types."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*:"
_NOT_IN_IRIS: Final = r"\x00-\x20<>\"{}|\\^`%\x7f-\x9f\ud800-\udfff"

IRI: Final = re.compile(rf"{_SCHEME}(?:[^{_NOT_IN_IRIS}]|%[0-9A-Fa-f]{{2}})+")
"""RFC 3987 by its scheme and its characters; a scheme is what xAPI insists on (Data 2.2.s4.b1.b8)."""

URI: Final = re.compile(rf"{_SCHEME}(?:[^{_NOT_IN_IRIS}\x80-\U0010ffff]|%[0-9A-Fa-f]{{2}})+")
"""RFC 3986: as an IRI, but ASCII."""

MAILTO: Final = re.compile(r"mailto:[^@\s<>\"]+@[^@\s<>\"]+")
SHA1: Final = re.compile(r"[0-9A-Fa-f]{40}")

UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
"""The string form of RFC 4122, of any variant: the id in the specification's own first example is of another one."""

VERSION: Final = re.compile(r"1\.0(?:\.\S+)?")
"""Whatever begins with ``1.0.`` has to be accepted (Data 2.4.10.s3.b1), and ``1.0`` (Communication 3.3)."""

VERSION_2: Final = re.compile(r"2\.0(?:\.\S+)?")
"""The same of xAPI 2.0 (IEEE 9274.1.1)."""

_MEDIA_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+"
MEDIA_TYPE: Final = re.compile(
    rf"{_MEDIA_NAME}/{_MEDIA_NAME}"
    rf"(?:[ \t]*;[ \t]*{_MEDIA_NAME}=(?:{_MEDIA_NAME}|\"[^\"\\]*(?:\\.[^\"\\]*)*\"))*"
)

_LANGUAGE_TAG: Final = re.compile(
    r"""(?:[a-z]{2,3}(?:-[a-z]{3}){0,3} | [a-z]{4,8})  # language, extended languages
        (?:-[a-z]{4})?                                 # script
        (?:-(?:[a-z]{2}|[0-9]{3}))?                    # region
        (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*       # variants
        (?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*            # extensions
        (?:-x(?:-[a-z0-9]{1,8})+)?                     # private use
      | x(?:-[a-z0-9]{1,8})+
      | en-gb-oed | i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)
      | sgn-(?:be-fr|be-nl|ch-de) | art-lojban | cel-gaulish | no-bok | no-nyn
      | zh-(?:guoyu|hakka|min|min-nan|xiang)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""The grammar of RFC 5646 (section 2.1), grandfathered tags included."""

_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_END_OF_DAY: Final = re.compile(r"(?P<day>[0-9-]{10})T24:00(?::00(?:[.,]0+)?)?(?P<offset>|Z|[+-][0-9:]+)")
_UNKNOWN_OFFSETS: Final = frozenset({"-00", "-0000", "-00:00"})

_NUMBER: Final = r"[0-9]+(?:[.,][0-9]+)?"
_DURATION: Final = re.compile(
    r"(?!.*[.,][0-9]+[A-Z].)"  # only the last part may have a fraction
    r"P(?=[0-9T])(?:"
    rf"(?P<weeks>{_NUMBER})W|"
    rf"(?:(?P<years>{_NUMBER})Y)?(?:(?P<months>{_NUMBER})M)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=[0-9])(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?)"
)

_SECONDS: Final = {
    "years": 31_556_952.0,
    "months": 2_629_746.0,
    "weeks": 604_800.0,
    "days": 86_400.0,
    "hours": 3_600.0,
    "minutes": 60.0,
    "seconds": 1.0,
}
"""Years and months have no fixed length: the Gregorian averages, 365.2425 days and a twelfth of that."""


def instant(text: str) -> datetime | None:
    """Moment of an ISO 8601 timestamp in UTC, None where it is not one.

    Without an offset it is taken as UTC (an offset is only a "should", Data 4.5.s1.b4). An offset of minus zero says
    that the local time is unknown (RFC 3339, 4.3) and ISO 8601 forbids it. A leap second is the first moment after it,
    and 24:00 the beginning of the next day (ISO 8601:2004, 4.2.3).

    Examples
    --------
    >>> instant("2021-11-30T00:09:00.5+01:00").isoformat()
    '2021-11-29T23:09:00.500000+00:00'
    >>> instant("2021-11-29T23:09:00-00:00") is None
    True
    """
    parts = _TIMESTAMP.fullmatch(text)
    if parts is None or parts["offset"] in _UNKNOWN_OFFSETS:
        return None
    end_of_day = _END_OF_DAY.fullmatch(text)
    if end_of_day is not None:
        text = f"{end_of_day['day']}T00:00{end_of_day['offset']}"
    leap = parts["second"] == "60"
    if leap:
        text = f"{text[: parts.start('second')]}59{text[parts.end('second') :]}"
    try:
        moment = datetime.fromisoformat(text)
        if leap:
            moment = moment.replace(microsecond=0) + timedelta(seconds=1)
        if end_of_day is not None:
            moment += timedelta(days=1)
        # In the first and the last hours of the calendar the same moment in UTC lies outside it: that overflows.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def mailbox(mbox: str) -> str:
    """Return a mail address with its domain in lower case, where the case of letters means nothing (RFC 5321, 2.4).

    >>> mailbox("mailto:Li@Example.ORG"), mailbox('"L@I"@Example.ORG'), mailbox("Li")
    ('mailto:Li@example.org', '"L@I"@example.org', 'Li')
    """
    name, at, domain = mbox.rpartition("@")
    return name + at + domain.lower() if at else mbox


def is_language_tag(text: str) -> bool:
    """Tell whether a text is a language tag by RFC 5646: its grammar, and that no extension comes twice (2.2.6).

    Whether its subtags are registered is not looked at: the registry grows.

    Examples
    --------
    >>> is_language_tag("zh-Hans-CN"), is_language_tag("de-419-DE"), is_language_tag("en-a-bbb-a-ccc")
    (True, False, False)
    """
    if _LANGUAGE_TAG.fullmatch(text) is None:
        return False
    public, _, _ = f"{text.lower()}-".partition("x-" if text[:2].lower() == "x-" else "-x-")
    singletons = [subtag for subtag in public.split("-") if len(subtag) == 1]
    return len(set(singletons)) == len(singletons)


def is_duration(text: str) -> bool:
    """Tell whether a text is a duration with designators (ISO 8601:2004, 4.4.3.2), the only form xAPI allows.

    Examples
    --------
    >>> is_duration("PT4H35M59.14S"), is_duration("P4W"), is_duration("P4W1D"), is_duration("PT")
    (True, True, False, False)
    """
    return _DURATION.fullmatch(text) is not None


def seconds_of(text: str) -> float | None:
    """Length of an ISO 8601 duration in seconds, None where it is not one.

    Years and months count as their Gregorian averages. As study time they are far outside what a study event may
    say, so such a row ends among the rejects with its length in sight rather than as a silent "not known".

    Examples
    --------
    >>> seconds_of("PT0H1M31S"), seconds_of("P1W"), seconds_of("PT0,5H")
    (91.0, 604800.0, 1800.0)
    """
    parts = _DURATION.fullmatch(text)
    if parts is None:
        return None
    return sum(float(number.replace(",", ".")) * _SECONDS[unit] for unit, number in parts.groupdict().items() if number)
