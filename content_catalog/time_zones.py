"""Names of time zones: the IANA name behind what people and systems write."""

import re
import unicodedata
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from babel.core import get_global

DEFAULT_ZONE: Final = "UTC"
_LIKE_OFFSET: Final = re.compile(r"(?:etc/)?(?:utc|gmt)?\s*[+-]?\d.*")
_OFFSET: Final = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?(00|30|45))?")
_PART_HOURS: Final = {
    "+04:30": "Asia/Kabul",
    "+05:30": "Asia/Kolkata",
    "+05:45": "Asia/Kathmandu",
    "+06:30": "Asia/Yangon",
    "+08:45": "Australia/Eucla",
    "+09:30": "Australia/Darwin",
    "-09:30": "Pacific/Marquesas",
}
"""Zones without summer time for offsets that are no whole hours, which ``Etc/`` has none for."""
_ALIASES: Final = {
    "z": "UTC",
    "asia/beijing": "Asia/Shanghai",
    "beijing": "Asia/Shanghai",
    "beijing time": "Asia/Shanghai",
    "china": "Asia/Shanghai",
    "北京": "Asia/Shanghai",
    "北京时间": "Asia/Shanghai",
    "北京時間": "Asia/Shanghai",
    "中国": "Asia/Shanghai",
    "中国时间": "Asia/Shanghai",
    "中国标准时间": "Asia/Shanghai",
    "中國標準時間": "Asia/Shanghai",
    "上海": "Asia/Shanghai",
    "东八区": "Asia/Shanghai",
    "東八區": "Asia/Shanghai",
    "乌鲁木齐": "Asia/Urumqi",
    "乌鲁木齐时间": "Asia/Urumqi",
    "新疆时间": "Asia/Urumqi",
    "香港": "Asia/Hong_Kong",
    "香港时间": "Asia/Hong_Kong",
    "香港标准时间": "Asia/Hong_Kong",
    "澳门": "Asia/Macau",
    "台北": "Asia/Taipei",
    "台北时间": "Asia/Taipei",
    "台北標準時間": "Asia/Taipei",
    "东京": "Asia/Tokyo",
    "东京时间": "Asia/Tokyo",
    "日本标准时间": "Asia/Tokyo",
    "新加坡": "Asia/Singapore",
    "新加坡时间": "Asia/Singapore",
    "新加坡标准时间": "Asia/Singapore",
    "格林尼治标准时间": "GMT",
    "世界标准时间": "UTC",
    "协调世界时": "UTC",
    "hkt": "Asia/Hong_Kong",
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "sgt": "Asia/Singapore",
    "msk": "Europe/Moscow",
}
_AMBIGUOUS: Final = {
    "cst": "Asia/Shanghai or America/Chicago",
    "ist": "Asia/Kolkata, Asia/Jerusalem or Europe/Dublin",
    "bst": "Europe/London or Asia/Dhaka",
    "ast": "America/Halifax or Asia/Riyadh",
    "pst": "America/Los_Angeles or Asia/Manila",
    "edt": "America/New_York",
    "cdt": "America/Chicago",
    "mdt": "America/Denver",
    "pdt": "America/Los_Angeles",
    "asia": "Asia/Shanghai",
    "america": "America/New_York",
    "us": "US/Eastern",
    "europe": "Europe/Paris",
    "africa": "Africa/Lagos",
    "australia": "Australia/Sydney",
    "pacific": "Pacific/Auckland",
    "atlantic": "Atlantic/Azores",
    "indian": "Indian/Maldives",
    "etc": "Etc/UTC",
    "canada": "Canada/Eastern",
}
"""Words that could be several zones, with those that are mostly meant: named in messages, never assumed."""


@lru_cache(maxsize=4_096)
def resolve_zone(name: str) -> str | None:
    """Return the IANA name of the zone that a text names; None where it names none, or several.

    IANA names are understood in any letter case, as are fixed offsets, Windows' names and common Chinese ones. A name
    counts only where the database of zones has data under it: ``Asia`` is one of its folders. Offsets have the sign
    that people give them, east is plus; only names under ``Etc/`` have the opposite one, as the database defines it.

    Examples
    --------
    >>> [resolve_zone(name) for name in ("asia/shanghai", "GMT+8", "+05:30", "北京时间", "China Standard Time")]
    ['Asia/Shanghai', 'Etc/GMT-8', 'Asia/Kolkata', 'Asia/Shanghai', 'Asia/Shanghai']
    >>> [resolve_zone(name) for name in ("Asia", "CST", "UTC+25", "")]
    [None, None, None, None]
    """
    text = _plain(name)
    if text in _ALIASES:
        return _ALIASES[text]
    if text in _AMBIGUOUS:
        return None
    zones = _zones()
    return zones.get(text) or zones.get(text.replace(" ", "_")) or _fixed_offset(text) or _windows().get(text)


def unknown_zone(name: str, *, hint: bool = True) -> str:
    """Return why a text is refused as a time zone, with what may be meant if asked for.

    >>> unknown_zone("Asia/Shanghia")
    'no time zone of the IANA database; nearest: Asia/Shanghai'
    """
    near = hint and _nearest(_plain(name))
    return f"no time zone of the IANA database; {f'nearest: {near}' if near else 'use a name such as Asia/Shanghai'}"


@lru_cache(maxsize=1_024)
def zone_of(*names: object) -> ZoneInfo:
    """Return the first of some values that names a zone; UTC where none does.

    >>> zone_of(None, "Mars/Olympus", "Asia/Shanghai").key
    'Asia/Shanghai'
    """
    zones = (resolve_zone(name) for name in names if isinstance(name, str))
    return ZoneInfo(next((zone for zone in zones if zone), DEFAULT_ZONE))


def _plain(name: str) -> str:
    """Return a name in the form that names are compared in."""
    text = " ".join(unicodedata.normalize("NFKC", name).replace("−", "-").lower().split())
    return re.sub(r"\s*([+-])\s*", r"\1", text) if _OFFSET.fullmatch(text.replace(" ", "")) else text


@cache
def _zones() -> dict[str, str]:
    """Return every name that the database of zones has data under, by its lower case."""
    # Not zoneinfo.available_timezones(): that depends on the machine, and counts its own local time as a zone.
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names if name != "Factory"}


@cache
def _windows() -> dict[str, str]:
    return {name.lower(): zone for name, zone in get_global("windows_zone_mapping").items()}


def _fixed_offset(text: str) -> str | None:
    matched = _OFFSET.fullmatch(text)
    if not matched:
        return None
    sign, hours, minutes = matched[1], int(matched[2]), matched[3] or "00"
    if minutes != "00":
        return _PART_HOURS.get(f"{sign}{hours:02d}:{minutes}")
    if hours == 0:
        return DEFAULT_ZONE
    name = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    return _zones().get(name.lower())


def _nearest(text: str) -> str | None:
    """Return the zone whose name, or whose city, is most like a text; None where none is near."""
    if text in _AMBIGUOUS:
        return _AMBIGUOUS[text]
    if _LIKE_OFFSET.fullmatch(text):
        return None  # the most alike name is hours away
    zones, name = _zones(), text.replace(" ", "_").strip("/")
    cities = {zone.rpartition("/")[2]: full for zone, full in zones.items()}
    for written, names in ((name, zones), (name.rpartition("/")[2], cities)):
        if near := get_close_matches(written, names, n=1, cutoff=0.75):
            return names[near[0]]
    return None
