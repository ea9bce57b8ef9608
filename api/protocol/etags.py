"""Requests that hold only for what the caller saw: entity tags, If-Match and If-None-Match (RFC 9110, 13)."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header

from api.errors import PreconditionFailedError


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request asks of the present state."""

    if_match: str | None
    if_none_match: str | None

    def check(self, etag: str | None) -> None:
        """Do nothing where a write may go on; ``etag`` is None where there is nothing yet.

        Raises
        ------
        PreconditionFailedError
            Somebody wrote since the caller read, or it exists already.
        """
        if self.if_match is not None and not _names(self.if_match, etag):
            found = f"its ETag is {etag}" if etag else "there is none"
            raise PreconditionFailedError(f"If-Match is {self.if_match[:100]}, but {found}; read it again, then write")
        if self.if_none_match is not None and _names(self.if_none_match, etag):
            raise PreconditionFailedError(
                f"If-None-Match is {self.if_none_match[:100]}, but it exists already with ETag {etag}; "
                "leave the header out to replace it"
            )

    def unchanged(self, etag: str) -> bool:
        """Return whether a reader has this already."""
        return self.if_none_match is not None and _names(self.if_none_match, etag)


def _names(header: str, etag: str | None) -> bool:
    """Return whether a header names an entity tag; a weak one matches no strong one."""
    return etag is not None and (header.strip() == "*" or etag in [tag.strip() for tag in header.split(",")])


def _preconditions(
    if_match: Annotated[
        str | None, Header(description="Go on only where the present `ETag` is one of these.", examples=["*"])
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(description="Go on only where the present `ETag` is none of these; `*`: where there is nothing yet."),
    ] = None,
) -> Preconditions:
    return Preconditions(if_match, if_none_match)


PreconditionsDep = Annotated[Preconditions, Depends(_preconditions)]
