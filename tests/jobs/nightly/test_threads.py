"""Threads of a run: parallel over its own tasks alone."""

from datetime import datetime

from sqlalchemy import Engine
from threadpoolctl import threadpool_info, threadpool_limits

from infra.db.locks import night_lock
from infra.settings.settings import Settings
from jobs.nightly.steps import start_run
from jobs.progress import no_progress


def threads_of_pools() -> list[int]:
    """Return the threads of each pool of BLAS and OpenMP."""
    return [pool["num_threads"] for pool in threadpool_info()]


def test_blas_and_openmp_have_one_thread_while_a_step_runs(couriers: Engine, settings: Settings, now: datetime) -> None:
    with threadpool_limits(2), night_lock(couriers, settings.organisation) as lock:
        before = threads_of_pools()
        run = start_run(couriers, settings, lock, now=now, as_of=None, progress=no_progress)

        threads = run.step("gate", threads_of_pools)

    assert set(before) == {2}, "whatever the machine or the variables of the environment say"
    assert set(threads) == {1}
