"""Coverage on the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_coverage_is_shown_as_text_and_as_json(xuelu: Callable[..., Any], served: dict[str, Any]) -> None:
    report = xuelu("coverage", "--json").json
    assert report["run_id"] == served["run_id"]
    shown = xuelu("coverage").out
    assert served["run_id"] in shown
    assert "Required study, members by unit: none" in shown


@pytest.mark.usefixtures("served")
def test_requirements_are_shown_with_items_audience_dates_and_counts(
    xuelu: Callable[..., Any], working_folder: Path
) -> None:
    assert "Requirements: none; `xuelu ingest requirements FILE` imports them" in xuelu("requirements").out
    path = working_folder / "requirements.csv"
    header = "requirement_id,items,target_roles,due_on,days_after_joining,recurrence,starts_on"
    path.write_text(f"{header}\nrules,new;v1,8,2199-03-02,,yearly,\nwelcome,v1,,,30,,2026-01-01\n", encoding="utf-8")
    assert xuelu("ingest", "requirements", path).status == 0

    rules, welcome = xuelu("requirements", "--json").json
    assert (rules["items"], rules["target_roles"], rules["due_on"]) == (["new", "v1"], ["8"], "2199-03-02")
    assert (welcome["starts_on"], welcome["members"] > rules["members"] > 0) == ("2026-01-01", True)
    shown = xuelu("requirements").out
    for text in ("rules", "everybody", "yearly"):
        assert text in shown
