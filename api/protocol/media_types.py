"""Media types of bodies."""

from typing import Final

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


def media_type(content_type: str) -> str:
    """Return the media type of a ``Content-Type`` header, without its parameters.

    >>> media_type("Multipart/Mixed; boundary=x")
    'multipart/mixed'
    """
    return content_type.partition(";")[0].strip().lower()
