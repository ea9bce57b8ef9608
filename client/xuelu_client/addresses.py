"""Addresses: that of the service, and those of its resources."""

from typing import Final
from urllib.parse import quote, urlsplit

DOT_SEGMENTS: Final = frozenset({"", ".", ".."})
"""Ids that no path can hold: clients and proxies drop such segments (RFC 3986, 5.2.4)."""


def address(*segments: str) -> str:
    """Return the address of a resource below ``/v1``, the slashes of ids encoded.

    >>> address("items", "https://lms.example/1", "similar")
    '/v1/items/https%3A%2F%2Flms.example%2F1/similar'

    Raises
    ------
    ValueError
        No path can hold an id.
    """
    for segment in segments:
        if segment in DOT_SEGMENTS:
            raise ValueError(f"{segment!r} is no id; an id is neither empty nor `.` nor `..`")
    return "/".join(["/v1", *(quote(segment, safe="") for segment in segments)])


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
