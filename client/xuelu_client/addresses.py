"""Addresses: that of the service, and ids as segments of paths."""

from typing import Final
from urllib.parse import quote, urlsplit

DOT_SEGMENTS: Final = frozenset({"", ".", ".."})
"""Ids that no path can hold: clients and proxies drop such segments (RFC 3986, 5.2.4)."""


def segment(record_id: str) -> str:
    """Return an id as a path segment, its slashes encoded.

    >>> segment("https://lms.example/1")
    'https%3A%2F%2Flms.example%2F1'

    Raises
    ------
    ValueError
        No path can hold the id.
    """
    if record_id in DOT_SEGMENTS:
        raise ValueError(f"{record_id!r} is no id; an id is neither empty nor `.` nor `..`")
    return quote(record_id, safe="")


def checked_address(address: str) -> str:
    """Return the address of the service, with or without a path prefix.

    Raises
    ------
    ValueError
        It is no HTTP address, or holds a user, a query or a fragment.
    """
    text = address.strip()
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or set("?#") & set(text):
        raise ValueError("the address is none of a service; give one such as https://xuelu.example.org, without a user")
    return text
