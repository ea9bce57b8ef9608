"""Routers of resources, and pages of their rows."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies import known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.pagination import Cursor, link_next, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.schemas.queries import UPDATED_SINCE, Limit, Moment

Row = TypeVar("Row")


def resource_router(prefix: str, tag: str, *statuses: int, slashes: bool = False) -> APIRouter:
    """Return a router below ``/v1`` that refuses unknown query parameters and bodies that are not strict JSON.

    Parameters
    ----------
    prefix, tag : str
        Beginning of the paths, and the group of the operations in the OpenAPI document.
    statuses : int
        Problems of all operations, besides those of every operation that wants a key.
    slashes : bool
        Whether ids of the resource may hold slashes, so that another one may stand below it.
    """
    checks = [known_parameters_only, strict_json]
    return APIRouter(
        route_class=Route,
        prefix=f"/v1{prefix}",
        tags=[tag],
        dependencies=[Depends(check) for check in ([whole_ids_only, *checks] if slashes else checks)],
        responses=problems(*statuses),
    )


class PageRequest:
    """Begin and length of the page that a request asks for."""

    def __init__(self, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 100) -> None:
        self._request = request
        self._response = response
        self.cursor = cursor
        self.limit = limit

    @property
    def after(self) -> str:
        """Key that the page begins after; empty for the first page."""
        return position_of(self.cursor)

    @property
    def query_limit(self) -> int:
        """Rows to query: one more than the page has tells that there is a next one."""
        return self.limit + 1

    @property
    def query(self) -> dict[str, Any]:
        """Arguments of :func:`infra.catalog.records.page`."""
        return {"after": self.after, "limit": self.query_limit}

    def of(self, rows: list[Row], position: Callable[[Row], str]) -> list[Row]:
        """Return the page of the queried rows; link to the next one, which begins after the position of the last."""
        page = rows[: self.limit]
        if len(rows) > self.limit:
            link_next(self._request, self._response, position(page[-1]))
        return page


class ChangedPageRequest(PageRequest):
    """Begin and length of a page, of rows that changed since a moment or of all."""

    def __init__(
        self,
        request: Request,
        response: Response,
        updated_since: Annotated[Moment | None, Query(description=UPDATED_SINCE)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> None:
        super().__init__(request, response, cursor, limit)
        self._updated_since = updated_since

    @property
    def query(self) -> dict[str, Any]:
        """Arguments of :func:`infra.catalog.records.page`, the moment among them."""
        return {**super().query, "updated_since": self._updated_since}


PageDep = Annotated[PageRequest, Depends()]
ChangedPageDep = Annotated[ChangedPageRequest, Depends()]
