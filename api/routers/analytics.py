"""Runs, and figures of study and push lists; small groups are suppressed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Query

from api.auth.auth import AnalyticsReader
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.problems import problems
from api.protocol.pagination import key_of
from api.routers.resource import PageDep, resource_router
from api.routers.runs import RunId
from api.schemas.analytics import Activity, Coverage, ItemReport, Rates, Run, RunDetail, Runs
from api.schemas.queries import Day
from infra.catalog import organisations
from infra.reports import analytics
from infra.reports.analytics import Period
from infra.reports.coverage import coverage
from infra.reports.item_report import item_report
from infra.reports.push_rates import Slice
from infra.runs import store

router = resource_router("", "analytics", 400)
Since = Annotated[
    Day | None, Query(description="Periods with any day from this one on count, whole ones.", examples=["2026-03-01"])
]
Until = Annotated[Day | None, Query(description="Only periods that begin before this day count.")]


@dataclass(frozen=True, slots=True)
class FigureRequest:
    """Session, caller and settings of a request for figures of groups."""

    session: SessionDep
    caller: AnalyticsReader
    settings: SettingsDep

    def of(self, figures: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return figures of the caller's organisation, with its time zone and smallest group."""
        key = self.caller.organisation_key
        local = organisations.local_settings(self.session, key, self.settings)
        smallest = local.privacy.smallest_group
        return figures(self.session, key, *arguments, **named, zone=local.timezone, min_group_size=smallest)


FigureDep = Annotated[FigureRequest, Depends()]


@router.get("/runs", name="list runs")
def list_runs(session: SessionDep, caller: AnalyticsReader, page: PageDep) -> Runs:
    """Return runs, the newest first, with their counts and checks."""
    key = caller.organisation_key
    before = key_of(page.cursor, lambda run_id: store.find(session, key, run_id)["run_key"])
    runs = analytics.run_page(session, key, before=before, limit=page.query_limit)
    return Runs(runs=[Run.model_validate(run) for run in page.of(runs, lambda run: run["run_id"])])


@router.get("/runs/{run_id}", name="read run", responses=problems(404))
def read_run(run_id: RunId, session: SessionDep, caller: AnalyticsReader) -> RunDetail:
    """Return a run with its steps."""
    return RunDetail.model_validate(analytics.run_detail(session, caller.organisation_key, run_id))


@router.get("/analytics/activity", name="read activity")
def read_activity(
    figures: FigureDep,
    by: Annotated[Period, Query(description="Length of a period.")] = "week",
    since: Since = None,
    until: Until = None,
) -> Activity:
    """Return the amount of study in each week or month."""
    rows = figures.of(analytics.activity, by=by, since=since, until=until)
    return Activity.model_validate({"by": by, "rows": rows})


@router.get("/analytics/rates", name="read rates")
def read_rates(
    figures: FigureDep,
    by: Annotated[
        Slice,
        Query(description="By what: the list's run or strategy, the member's role and the like, the item's format."),
    ] = "strategy",
    since: Since = None,
    until: Until = None,
) -> Rates:
    """Return counts of shown, opened and completed items of push lists, and their rates, over whole months."""
    rows = figures.of(analytics.rates, by=by, since=since, until=until)
    return Rates.model_validate({"by": by, "rows": rows})


@router.get("/analytics/coverage", name="read coverage")
def read_coverage(session: SessionDep, caller: AnalyticsReader, now: NowDep, settings: SettingsDep) -> Coverage:
    """Return the reach of the served lists, the state of requirements by unit, and topics in demand that lack content.

    Topics are those of the last whole month, by role and by industry: first those without any item, then those with
    the most members for each item. Numbers of their members are rounded down to multiples of `privacy.smallest_group`,
    and groups of fewer members count in the code above them.
    """
    return Coverage.model_validate(coverage(session, caller.organisation_key, settings, now=now))


@router.get("/analytics/items/{item_id:path}", name="read item report", responses=problems(404))
def read_item_report(
    item_id: Annotated[str, Path(description="Id of the item.", examples=["knots"])], figures: FigureDep
) -> ItemReport:
    """Return how many members get an item in the served run, by strategy, and its shown, opened and completed counts.

    The lists are those of the night; a list that is recomputed after new events may differ.
    """
    return ItemReport.model_validate(figures.of(item_report, item_id))
