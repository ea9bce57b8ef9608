"""Validation of where an endpoint delivers to: HTTPS addresses and folders."""

import ipaddress
import re
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from infra.errors import AddressError

Kind = Literal["webhook", "jsonl", "parquet"]
KINDS: tuple[Kind, ...] = ("webhook", "jsonl", "parquet")
"""Signed pushes over HTTP, or batch files of one of two formats."""

MAX_URL_LENGTH: Final = 2_000
MAX_HOST_LENGTH: Final = 253
MAX_PORT: Final = 65_535
PRINTABLE: Final = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII but the backslash, which clients read in different ways."""

AUTHORITY: Final = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+)(:[0-9]+)?")
"""A host with or without a port; brackets are around the whole host (RFC 3986, 3.2.2)."""
LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def validate_target(kind: Kind, target: str, *, plain_http: bool) -> str:
    """Return the target of an endpoint as it is stored.

    Parameters
    ----------
    plain_http : bool
        Whether a webhook need not be HTTPS.

    Raises
    ------
    AddressError
        It is no address to push to, or no folder for files.
    """
    if kind != "webhook":
        folder = Path(target).resolve()
        if not folder.is_dir():
            raise AddressError(f"{folder} is no folder; make it first, writable for `xuelu deliver`")
        return str(folder)
    if not _is_address(target, ("https", "http") if plain_http else ("https",)):
        shown = target[:100].partition("?")[0]
        plain = "; plain HTTP, as for a try on this machine, needs the setting delivery.allow_private_addresses"
        raise AddressError(
            f"{shown!r} is no address to push to; write https://host/path, without user, password and fragment, "
            "an internationalised host in its xn-- form" + (plain if _is_address(target, ("http",)) else "")
        )
    return target


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    # The parser drops tabs and line feeds without a word, so characters are checked first.
    if len(url) > MAX_URL_LENGTH or not PRINTABLE.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in schemes
        and "@" not in parts.netloc
        and "#" not in url
        and (port is None or 0 < port <= MAX_PORT)
        and AUTHORITY.fullmatch(parts.netloc) is not None
        and is_host(parts.hostname or "", bracketed="[" in parts.netloc)
    )


def is_host(host: str, *, bracketed: bool = False) -> bool:
    """Return whether a text is a host name or an IP address.

    Parameters
    ----------
    bracketed : bool
        Whether it stood in brackets, as IPv6 addresses do in a URL.

    Examples
    --------
    >>> hosts = ("app.example", "a..example", "x" * 64 + ".example", "10.0.0.1", "10.0.0.256", "0x7f.1")
    >>> [is_host(host) for host in hosts]
    [True, False, False, True, False, False]
    """
    if bracketed:
        return "%" not in host and _is_ip(host)
    labels = host.split(".")
    if NUMBER.fullmatch(labels[-1]):  # resolvers read any such host as an IPv4 address
        return _is_ip(host)
    return len(host) <= MAX_HOST_LENGTH and all(LABEL.fullmatch(label) and _is_encoded(label) for label in labels)


def _is_encoded(label: str) -> bool:
    """Return whether a label beginning with ``xn--`` stands for letters beyond ASCII (RFC 5890, 2.3.2.1)."""
    prefix, code = label[:4].lower(), label[4:].lower()
    try:
        letters = code.encode().decode("punycode") if prefix == "xn--" else "ü"
    except UnicodeError:
        return False
    return letters.isprintable() and not letters.isascii()


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
