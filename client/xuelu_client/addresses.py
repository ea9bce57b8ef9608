"""Addresses: ids as segments of paths."""

from urllib.parse import quote


def segment(record_id: str) -> str:
    """Return an id as a path segment, its slashes encoded.

    >>> segment("https://lms.example/1")
    'https%3A%2F%2Flms.example%2F1'
    """
    return quote(record_id, safe="")
