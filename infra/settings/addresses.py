"""Addresses among the settings, checked when they are read."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from features.xapi.validation.formats import IRI

ORIGIN: Final = re.compile(
    r"\*|null|(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?"
)


def _origin(origin: str) -> str:
    """Return an origin that browsers send (RFC 6454, 6.2)."""
    if ORIGIN.fullmatch(origin) is None:
        raise ValueError(
            "no browser sends such an origin; write https://app.example, in small letters, with neither a slash at "
            "the end nor the usual port"
        )
    return origin


Origin = Annotated[str, AfterValidator(_origin)]
WEB_ADDRESS: Final = re.compile(r"(https?://[^\s/?#@\\]+(/[^\s?#\\]*)?)?")


def _web_address(address: str) -> str:
    """Return an address that paths can be put behind, or none."""
    if WEB_ADDRESS.fullmatch(address) is None:
        raise ValueError("must be an address such as https://xuelu.example, without user, query and fragment")
    return address


WebAddress = Annotated[str, AfterValidator(_web_address)]


def _iri(text: str) -> str:
    """Return an absolute IRI, or none."""
    if text and IRI.fullmatch(text) is None:
        raise ValueError("must be an absolute IRI such as https://lms.example")
    return text


Iri = Annotated[str, AfterValidator(_iri)]
