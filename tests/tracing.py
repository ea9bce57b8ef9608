"""Tests that run without coverage's tracing, which slows everything down that Python does.

Lines are counted where tests are of units. Tests of whole flows run the lines that those of the units run, and so does
a test's second run, on PostgreSQL, but where modules tell the databases apart.
"""

import sys
import threading
from collections.abc import Generator

import pytest

WHOLE_FLOWS = (
    "tests/api/console/test_in_browser.py",
    "tests/api/protocol/test_http_of_every_route.py",
    "tests/api/protocol/test_route_class.py",
    "tests/api/test_description.py",
    "tests/api/test_every_route.py",
    "tests/api/test_load.py",
    "tests/api/test_malformed.py",
    "tests/api/test_many_clients.py",
    "tests/benchmarks/",
    "tests/deploy/",
    "tests/docs/",
    "tests/infra/db/test_upgrades.py",
    "tests/infra/delivery/test_outbox_bulk.py",
    "tests/infra/serving/test_online_model.py",
    "tests/jobs/delivery/test_delivery_faults.py",
    "tests/jobs/evaluation/test_preview.py",
    "tests/jobs/ingest/test_ingest_order.py",
    "tests/jobs/ingest/test_ingest_xapi.py",
    "tests/jobs/nightly/test_gate_faults.py",
    "tests/jobs/nightly/test_killed_nights.py",
    "tests/jobs/nightly/test_off_switch.py",
    "tests/notebooks/",
    "tests/recommender/explanations/test_reasons_of_lists.py",
    "tests/recommender/test_causes.py",
    "tests/recommender/test_farmed_events.py",
    "tests/recommender/test_never_offered.py",
    "tests/simulator/test_simulate.py",
    "tests/test_",
    "tests/xuelu_client/test_distribution.py",
)
"""Beginnings of the tests' ids."""
OF_DATABASES = tuple(f"tests/infra/{name}/" for name in ("backup", "db", "events", "exports", "policy", "serving"))
"""Folders of the tests of modules that tell SQLite and PostgreSQL apart."""


def is_traced(test_id: str) -> bool:
    """Return whether a test's lines are counted."""
    on_postgresql = "postgresql" in test_id.partition("[")[2] and not test_id.startswith(OF_DATABASES)
    return not (on_postgresql or test_id.startswith(WHOLE_FLOWS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Trace nothing while a test of a whole flow runs with its fixtures."""
    if is_traced(item.nodeid):
        return (yield)
    # Not by pytest-cov's `no_cover`: it traces fixtures, and in workers of xdist a tracer that was started before
    # goes on.
    traces = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]  # typeshed lacks the None that the documentation has
    try:
        return (yield)
    finally:
        sys.settrace(traces[0])
        threading.settrace(traces[1])  # type: ignore[arg-type]  # as above
