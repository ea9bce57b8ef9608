"""Coverage's tracing is off in tests of whole flows, such as this file's."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.tracing import is_traced


def test_neither_a_test_of_a_whole_flow_nor_its_threads_are_traced() -> None:
    with ThreadPoolExecutor() as pool:
        traces = [sys.gettrace(), threading.gettrace(), pool.submit(sys.gettrace).result()]
    assert not any("coverage" in f"{type(trace).__module__} {trace!r}" for trace in traces)


def test_units_are_traced_and_second_runs_on_postgresql_are_where_modules_tell_it_apart() -> None:
    tests = "tests/infra/db/test_bulk.py::a[postgresql]", "tests/jobs/cli/test_runs.py::a[sqlite]"
    assert [is_traced(test) for test in tests] == [True, True]
    assert not is_traced("tests/jobs/cli/test_runs.py::a[1-postgresql]")
