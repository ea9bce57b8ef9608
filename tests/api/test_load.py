"""Mixed traffic, and the database stopped under it: the bounded version of the run that docs/reliability.md tells."""

import json

import pytest

from benchmarks.load import main

EVERY_ROUTE = {"push list", "events", "statements", "change member", "change item", "export"}


@pytest.mark.parametrize(("database", "minutes", "outages"), [("sqlite", 0.03, 0), ("postgresql", 0.1, 1)])
def test_mixed_traffic_meets_no_error_and_loses_no_acknowledged_event(
    database: str, minutes: float, outages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--minutes", str(minutes), "--connections", "8", "--members", "100"]

    main([*sizes, "--database", database, "--outages", str(outages)])

    figures = json.loads(capsys.readouterr().out)
    assert (figures["errors"], figures["errors_first"]) == (0, [])
    assert (figures["events_lost"], figures["events_doubled"]) == (0, 0)
    assert figures["outages"] == outages
    assert (figures["refused_503"] > 0) == bool(outages)
    assert figures["events_acknowledged"] > 0
    assert {route_and_status.rpartition(" ")[0] for route_and_status in figures["answers"]} >= EVERY_ROUTE
