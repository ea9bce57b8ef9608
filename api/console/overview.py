"""Screen of the overview: the served run, its lists and their rates, the delivery queue, data quality."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import Analyst
from api.console.frame import console_router, csv_answer, page
from infra.delivery import admin
from infra.errors import NoPublishedRunError
from infra.reports import analytics, data_quality, push_rates
from infra.reports.coverage import reach
from infra.runs import store
from infra.settings.settings import Settings

router = console_router()
RATE_COLUMNS: Final = ("month", "lists", "shown", "opened", "completed", "opened_rate", "completed_rate")
QUALITY: Final = (
    "members",
    "items",
    "events",
    "unresolved_share",
    "future_share",
    "thin_member_share",
    "missing_role_share",
    "missing_industry_share",
    "reject_share",
)


@router.get("")
def overview_page(viewer: Analyst) -> Response:
    """Return the overview."""
    session, key, now, local = viewer.session, viewer.organisation_key, viewer.now, viewer.local_settings
    smallest = local.privacy.smallest_group
    served = served_run(session, key, now=now)
    of_lists = None
    if served["run"]:
        name = f"reach {served['run']['run_id']}"
        of_lists = viewer.figures.of(name, lambda: reach(session, key, now=now, min_group_size=smallest))
    newest = next(iter(analytics.run_page(session, key, before=None, limit=1)), None)
    quality = served["run"] and served["run"]["data_quality"]
    if not quality:
        quality = viewer.figures.of("data quality", lambda: data_quality.measure(session, key, now=now))
    return page(
        viewer,
        "overview.html",
        months=viewer.figures.of("rates", lambda: monthly_rates(session, key, local)),
        queues=admin.queue_state(session, now=now, organisation_key=key),
        quality=[(name, quality[name]) for name in QUALITY],
        reach=of_lists,
        held=newest if newest and newest["status"] == "held" else None,
        **served,
    )


def served_run(session: Session, organisation_key: int, *, now: datetime) -> dict[str, Any]:
    """Return the served ``run`` of an organisation, its ``age_seconds``, how it ranks, and its ``failed`` checks.

    ``run`` is None where no run is published.
    """
    try:
        run = store.latest(session, organisation_key)
    except NoPublishedRunError:
        return {"run": None, "age_seconds": None, "ranking": None, "failed": []}
    return {
        "run": run,
        "age_seconds": (now - run["as_of"]).total_seconds(),
        "ranking": next((check["state"] for check in run["checks"] if check["name"] == "ranking"), None),
        "failed": [check["name"] for check in run["checks"] if check["passed"] is False],
    }


@router.get("/rates.csv")
def rates_csv(viewer: Analyst) -> Response:
    """Return the rates over time as CSV."""
    rows = monthly_rates(viewer.session, viewer.organisation_key, viewer.local_settings)
    return csv_answer("rates.csv", RATE_COLUMNS, rows)


def monthly_rates(session: Session, organisation_key: int, settings: Settings) -> list[dict[str, Any]]:
    """Return counts and rates of push lists, month by month, of the strategies with enough members in a month."""
    smallest = settings.privacy.smallest_group
    by_month: dict[str, list[dict[str, Any]]] = {}
    for month, row in push_rates.rates(
        session, organisation_key, by="strategy", zone=settings.timezone, min_group_size=smallest
    ):
        by_month.setdefault(f"{month:%Y-%m}", []).append(row)
    return [{**push_rates.summed(None, rows), "month": month} for month, rows in sorted(by_month.items())]
