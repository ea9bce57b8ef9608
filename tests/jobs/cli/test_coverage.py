"""Coverage on the command line."""

from collections.abc import Callable
from typing import Any


def test_coverage_is_shown_as_text_and_as_json(xuelu: Callable[..., Any], served: dict[str, Any]) -> None:
    report = xuelu("coverage", "--json").json
    assert report["run_id"] == served["run_id"]
    shown = xuelu("coverage").out
    assert served["run_id"] in shown
    assert "Required study, members by unit: none" in shown
