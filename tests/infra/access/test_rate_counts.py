"""RequestCounts: what several processes count of the same callers is one count, soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from infra.access import rate_counts as rates
from infra.access.audit_buffer import AuditBuffer
from infra.access.rate_counts import CallerKey, RequestCounts
from infra.db.access_tables import rate_counts
from infra.db.engine import transaction
from infra.errors import DatabaseError

MINUTE = 60.0
K1, K2 = (1, "k1"), (1, "k2")


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 1_000_000 * MINUTE + 12.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the clock of all processes."""
    return Clock()


def flushed(engine: Engine, *processes: RequestCounts) -> None:
    """Write what each process counted, one after the other."""
    for process_counts in processes:
        AuditBuffer(engine, process_counts).flush()


def test_processes_count_together_once_they_told_each_other(couriers: Engine, clock: Clock) -> None:
    counts, other = RequestCounts(clock), RequestCounts(clock)
    assert [counts.count(K1)[0] for _ in range(3)] == [1, 2, 3]
    assert other.count(K1) == (1, 48)
    flushed(couriers, counts, other)
    assert other.count(K1)[0] == 5
    flushed(couriers, other)
    assert counts.count(K1)[0] == 4
    flushed(couriers, counts)
    assert counts.count(K1)[0] == 7
    assert counts.count(K2)[0] == 1


def test_a_new_minute_begins_from_nothing_for_all(couriers: Engine, clock: Clock) -> None:
    counts, other = RequestCounts(clock), RequestCounts(clock)
    counts.count(K1)
    flushed(couriers, counts, other)
    clock.now += MINUTE
    assert other.count(K1)[0] == 1
    flushed(couriers, counts, other)
    clock.now += 2 * MINUTE
    counts.count(K1)
    flushed(couriers, counts)
    with transaction(couriers) as session:
        assert [tuple(row) for row in session.execute(select(rate_counts.c.minute, rate_counts.c.count))] == [
            (1_000_003, 1)
        ]


def test_callers_stand_in_the_database_as_hashes(couriers: Engine, clock: Clock) -> None:
    counts = RequestCounts(clock)
    counts.count((1, "oidc:li@example.com"))
    flushed(couriers, counts)
    with transaction(couriers) as session:
        [caller] = session.scalars(select(rate_counts.c.caller))
    assert len(caller) == 32


def test_what_could_not_be_written_is_told_the_next_time_and_once(couriers: Engine, clock: Clock) -> None:
    counts, other = RequestCounts(clock), RequestCounts(clock)
    counts.count(K1)
    with pytest.MonkeyPatch.context() as patch:

        def away(*_: object) -> None:
            raise DatabaseError("away")

        patch.setattr(rates, "share", away)
        with pytest.raises(DatabaseError):
            AuditBuffer(couriers, counts).flush()
    counts.count(K1)
    other.count(K1)
    flushed(couriers, counts, other)
    assert other.count(K1)[0] == 4


@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([K1, K2, None])), max_size=40),
)
def test_nobody_counts_less_than_its_own_nor_more_than_all(steps: list[tuple[int, CallerKey | None]]) -> None:
    clock = Clock()
    processes = [RequestCounts(clock) for _ in range(3)]
    totals: dict[CallerKey, int] = {}
    own = [dict[CallerKey, int]() for _ in processes]
    all_counts: dict[CallerKey, int] = {}
    for which, what in steps:
        process_counts = processes[which]
        if what is None:
            minute, counts = process_counts.unshared()
            for caller, count in counts.items():
                totals[caller] = totals.get(caller, 0) + count
            minute.mark_shared(counts, totals)
            assert process_counts.unshared()[1] == {}
            continue
        all_counts[what] = all_counts.get(what, 0) + 1
        own[which][what] = own[which].get(what, 0) + 1
        assert own[which][what] <= process_counts.count(what)[0] <= all_counts[what]
