"""Threads of a run: parallel over its own tasks alone."""

from datetime import datetime

from sqlalchemy import Engine
from threadpoolctl import threadpool_info

from infra.db.locks import night_lock
from infra.settings.settings import Settings
from jobs.nightly.steps import start_run
from jobs.progress import no_progress


def test_blas_and_openmp_have_one_thread_while_a_step_runs(couriers: Engine, settings: Settings, now: datetime) -> None:
    with night_lock(couriers, settings.organisation) as lock:
        run = start_run(couriers, settings, lock, now=now, as_of=None, progress=no_progress)

        threads = run.step("gate", lambda: [pool["num_threads"] for pool in threadpool_info()])

    assert threads
    assert set(threads) == {1}
