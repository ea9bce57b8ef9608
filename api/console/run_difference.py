"""Screen of the difference between two runs: whose lists changed, items that came or left, the quality of ranking."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import Response

from api.console.access import Analyst, Viewer
from api.console.frame import code_name, console_router, csv_answer, language_of, page
from api.schemas.queries import NO_NUL
from infra.catalog import organisations
from infra.reports import analytics
from infra.reports.runs.difference import SLICES, list_difference, ranking_difference
from infra.runs import store

CHOICES: Final = 30
"""Runs that are offered for a comparison."""
COLUMNS: Final = (
    "slice", "value", "name", "members", "changed", "new_share", "low", "high", "length_before", "length_after",
)  # fmt: skip

router = console_router()
RunId = Annotated[str, Query(max_length=100, pattern=NO_NUL)]


@router.get("/runs/{run_id}/difference")
def difference_page(viewer: Analyst, run_id: str, before: RunId = "") -> Response:
    """Return the difference from an earlier run to a run; without one the form that asks for it."""
    session, key = viewer.session, viewer.organisation_key
    run = store.find(session, key, run_id)
    choices = [
        row for row in analytics.run_page(session, key, before=run["run_key"], limit=CHOICES) if row["published_at"]
    ]
    earlier = before or (choices[0]["run_id"] if choices else "")
    values: dict[str, Any] = {"difference": None, "ranking": None, "names": {}}
    if earlier:
        values = _difference(viewer, earlier, run)
    return page(viewer, "run_difference.html", run=run, before=earlier, choices=choices, slices=SLICES, **values)


@router.get("/runs/{run_id}/difference.csv")
def difference_csv(viewer: Analyst, run_id: str, before: RunId) -> Response:
    """Return the figures by group as CSV."""
    run = store.find(viewer.session, viewer.organisation_key, run_id)
    values = _difference(viewer, before, run)
    return csv_answer("run-difference.csv", COLUMNS, rows_by_slice(values["difference"], values["names"]))


def rows_by_slice(difference: dict[str, Any], names: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    """Yield the figures of all groups with slice and name, in :data:`COLUMNS`."""
    for slice_name, rows in difference["slices"].items():
        for row in rows:
            yield {**row, "slice": slice_name, "name": names.get(row["value"])}


def group_names(viewer: Viewer, difference: dict[str, Any]) -> dict[str, str | None]:
    """Return the names of the codes of a difference's groups, in the language of the page."""
    taxonomies = organisations.taxonomies(viewer.session, viewer.organisation_key)
    language = language_of(viewer.request)
    return {
        row["value"]: code_name(taxonomies[kind], row["value"], language)
        for kind in ("role", "industry")
        for row in difference["slices"][kind]
    }


def _difference(viewer: Viewer, before: str, run: dict[str, Any]) -> dict[str, Any]:
    """Return the difference, that of the ranking, and the names of the groups' codes."""
    session = viewer.session
    earlier = store.find(session, viewer.organisation_key, before)
    smallest = viewer.local_settings.privacy.smallest_group
    difference = viewer.figures.of(
        f"difference {before} {run['run_id']}",
        lambda: list_difference(session, earlier, run, min_group_size=smallest),
    )
    return {
        "difference": difference,
        "ranking": ranking_difference(viewer.settings.artefacts_folder, earlier, run),
        "names": group_names(viewer, difference),
    }
