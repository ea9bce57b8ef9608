"""Media types of bodies."""

from email.message import Message
from typing import Final

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


def media_type(content_type: str) -> str:
    """Return the media type of a ``Content-Type`` header, without its parameters.

    >>> media_type("Multipart/Mixed; boundary=x")
    'multipart/mixed'
    """
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str | None:
    """Return the charset of a ``Content-Type`` header in lower case; None where it names none.

    >>> charset_of('text/csv; header=present; Charset="GBK"'), charset_of("text/csv")
    ('gbk', None)
    """
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset()
