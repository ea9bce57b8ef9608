"""Screens of the catalogue: items searched, and topics in demand that lack content."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import Viewer, opens
from api.console.frame import console_router, csv_answer, language_of, page
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.schemas.records import NO_NUL
from content_catalog.schema import FORMATS
from infra.catalog import organisations, records
from infra.reports.coverage import GROUPS, gaps

PAGE_LENGTH: Final = 50
GAP_COLUMNS: Final = ("by", "value", "name", "topic", "members", "items", "members_per_item", "rising")

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Text = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]


@router.get("/items")
def items_page(
    request: Request,
    session: SessionDep,
    viewer: Analyst,
    q: Text = "",
    topic: Text = "",
    format_: Annotated[str, Query(alias="format", max_length=1_000, pattern=NO_NUL)] = "",
    hidden: Literal["", "true", "false"] = "",
    after: Text = "",
) -> Response:
    """Return the items that match, in order of their ids."""
    having = {
        "topics": topic.strip() or None,
        "format": format_ or None,
        "hidden": hidden == "true" if hidden else None,
    }
    rows = records.page(
        session,
        viewer.caller.organisation_key,
        "items",
        after=after,
        limit=PAGE_LENGTH + 1,
        having=having,
        search=q.strip(),
    )
    wanted = {"q": q, "topic": topic, "format": format_, "hidden": hidden}
    more = None
    if len(rows) > PAGE_LENGTH:
        more = urlencode({**wanted, "after": rows[PAGE_LENGTH - 1]["item_id"]})
    items = rows[:PAGE_LENGTH]
    return page(request, viewer, "items.html", items=items, more=more, wanted=wanted, formats=FORMATS)


@router.get("/gaps")
def gaps_page(request: Request, session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep) -> Response:
    """Return the topics in demand by role and by industry, those that lack content first."""
    demand = _gaps(request, session, viewer, now, settings)
    return page(request, viewer, "gaps.html", kinds=tuple(GROUPS), **demand)


@router.get("/gaps.csv")
def gaps_csv(request: Request, session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep) -> Response:
    """Return the topics in demand as CSV."""
    return csv_answer("gaps.csv", GAP_COLUMNS, _gaps(request, session, viewer, now, settings)["topics"])


def _gaps(request: Request, session: Session, viewer: Viewer, now: NowDep, settings: SettingsDep) -> dict[str, Any]:
    """Return the month and its topics, with the name of each role and industry in the language of the page."""
    key, language = viewer.caller.organisation_key, language_of(request)
    taxonomies = organisations.taxonomies(session, key)
    demand = viewer.figures.of("gaps", lambda: gaps(session, key, settings, now=now))
    topics = [{**row, "name": taxonomies[row["by"]].name_of(row["value"], language)} for row in demand["topics"]]
    return {"month": demand["month"], "topics": topics}
