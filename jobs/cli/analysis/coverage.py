"""Commands about coverage: the reach of lists, required study, topics that lack content."""

from typing import Any

import typer

from jobs.cli.help import command
from jobs.cli.terminal import Options, clock, print_figures, print_json, print_rows

REACH = ("run_id", "members", "members_with_list", "items_available", "items_listed")
REQUIREMENT = ("requirement_id", "unit", "members", "open", "due", "cannot_be_met", "overdue")
LISTED = ("requirement_id", "items", "for", "due", "open", "overdue")
STARTS = {"days_after_joining": "joining", "days_after_role": "taking the role"}
TOPIC = ("by", "value", "topic", "members", "items", "members_per_item", "rising")
IMPORT = "`xuelu ingest requirements FILE` imports them"
app = typer.Typer()


@command(app, "coverage", "xuelu coverage --json")
def coverage_command(options: Options) -> None:
    """Show the reach of the lists, and topics that lack content.

    The state of requirements by unit is shown too. Topics are those that members of each role and industry studied
    in the last whole month, the scarcest first. Groups of fewer than `privacy.smallest_group` members are part of
    the group above them.
    """
    from infra.reports.coverage import coverage

    with options.session() as (session, key, settings):
        report = coverage(session, key, settings, now=clock())
    if options.json:
        print_json(report)
        return
    print_figures("Served lists", {name: report[name] for name in REACH})
    print_rows("Required study, members by unit", REQUIREMENT, report["requirements"], empty=IMPORT)
    print_rows(
        f"Topics in demand, {report['month']:%Y-%m}",
        TOPIC,
        report["topics"],
        empty="too few members studied in that month",
    )


@command(app, "requirements", "xuelu requirements --json")
def requirements_command(options: Options) -> None:
    """Show requirements, and how many members have not met them."""
    from infra.catalog import organisations
    from infra.catalog import records as catalogue
    from infra.reports.requirement_counts import requirement_counts

    with options.session() as (session, key, settings):
        records = catalogue.page(session, key, "requirements")
        local = organisations.local_settings(session, key, settings)
        counts = requirement_counts(session, key, local, now=clock())
    whole = {row["requirement_id"]: row for row in counts if row["unit"] is None}
    rows = [
        record | {name: whole.get(record["requirement_id"], {}).get(name) for name in REQUIREMENT[2:]}
        for record in records
    ]
    shown = [{**row, "for": _audience(row), "due": _due(row)} for row in rows]
    options.show(rows, lambda: print_rows("Requirements", LISTED, shown, empty=IMPORT))


def _audience(record: dict[str, Any]) -> str:
    """Return whom a requirement holds for, in the words of its targets."""
    from content_catalog.requirements import AUDIENCE_COLUMNS

    return ", ".join(part for name in AUDIENCE_COLUMNS for part in record[name]) or "everybody"


def _due(record: dict[str, Any]) -> str:
    """Return when a requirement is due.

    >>> counted = {"due_on": None, "days_after_joining": 30.0, "days_after_role": None}
    >>> _due(counted | {"starts_on": "2026-01-01", "recurrence": "yearly"})
    '30 days after joining, from 2026-01-01, yearly'
    """
    counted = [f"{record[name]:.0f} days after {start}" for name, start in STARTS.items() if record[name] is not None]
    start = record["starts_on"] and f"from {record['starts_on']}"
    return ", ".join(filter(None, (record["due_on"], *counted, start, record["recurrence"])))
