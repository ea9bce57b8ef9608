"""Command about coverage: the reach of lists, required study by unit, topics that lack content."""

from typing import Any

import typer

from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    at_work,
    clock,
    print_figures,
    print_json,
    print_table,
)

REACH = ("run_id", "members", "members_with_list", "items_available", "items_listed")
REQUIREMENT = ("requirement_id", "unit", "members", "open", "due", "cannot_be_met", "overdue")
TOPIC = ("by", "value", "topic", "members", "items", "members_per_item", "rising")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("coverage", epilog="Example: xuelu coverage --json")(coverage_command)


def coverage_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Show the reach of the served lists, the state of requirements by unit, and topics that lack content.

    Topics are those that members of each role and industry studied in the last whole month, the scarcest first.
    Groups of fewer than `privacy.smallest_group` members are part of the group above them.
    """
    from infra.reports.coverage import coverage

    with at_work(config, organisation) as (session, key, settings):
        report = coverage(session, key, settings, now=clock())
    if json:
        print_json(report)
        return
    print_figures("Served lists", {name: report[name] for name in REACH})
    _print_rows("Required study, members by unit", REQUIREMENT, report["requirements"])
    _print_rows(f"Topics in demand, {report['month']:%Y-%m}", TOPIC, report["topics"])


def _print_rows(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if rows:
        print_table(title, columns, [[row[name] for name in columns] for row in rows])
    else:
        typer.echo(f"{title}: none")
