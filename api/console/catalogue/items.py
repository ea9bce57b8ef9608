"""Screens of the catalogue: items searched, and topics in demand that lack content."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Query
from starlette.responses import Response

from api.console.access import Analyst, Viewer
from api.console.frame import PAGE_LENGTH, console_router, csv_answer, language_of, page
from api.schemas.queries import NO_NUL
from content_catalog.schema import FORMATS
from infra.catalog import organisations, records
from infra.reports.coverage import GROUPS, gaps

GAP_COLUMNS: Final = ("by", "value", "name", "topic", "members", "items", "members_per_item", "rising")

router = console_router()
Text = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]


@router.get("/items")
def items_page(
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
    session, key = viewer.session, viewer.organisation_key
    rows = records.page(session, key, "items", after=after, limit=PAGE_LENGTH + 1, having=having, search=q.strip())
    wanted = {"q": q, "topic": topic, "format": format_, "hidden": hidden}
    more = None
    if len(rows) > PAGE_LENGTH:
        more = urlencode({**wanted, "after": rows[PAGE_LENGTH - 1]["item_id"]})
    return page(viewer, "items.html", items=rows[:PAGE_LENGTH], more=more, wanted=wanted, formats=FORMATS)


@router.get("/gaps")
def gaps_page(viewer: Analyst) -> Response:
    """Return the topics in demand by role and by industry, those that lack content first."""
    return page(viewer, "gaps.html", kinds=tuple(GROUPS), **_gaps(viewer))


@router.get("/gaps.csv")
def gaps_csv(viewer: Analyst) -> Response:
    """Return the topics in demand as CSV."""
    return csv_answer("gaps.csv", GAP_COLUMNS, _gaps(viewer)["topics"])


def _gaps(viewer: Viewer) -> dict[str, Any]:
    """Return the month and its topics, with the name of each role and industry in the language of the page."""
    session, key, language = viewer.session, viewer.organisation_key, language_of(viewer.request)
    taxonomies = organisations.taxonomies(session, key)
    today = viewer.now.date()
    demand = viewer.figures.of(f"gaps {today}", lambda: gaps(session, key, viewer.settings, now=viewer.now))
    topics = [{**row, "name": taxonomies[row["by"]].name_of(row["value"], language)} for row in demand["topics"]]
    return {"month": demand["month"], "topics": topics}
