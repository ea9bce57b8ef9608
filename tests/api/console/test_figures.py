"""Figures of the console: computed again after a minute or a multiple of their cost, and when the catalogue changes."""

import threading
from itertools import count

import pytest
from sqlalchemy import Engine, text

from api.console.access import FigureCache, Figures
from infra.db.engine import transaction
from tests.limits import HANG_SECONDS


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the present second."""
        return self.seconds


def test_figures_are_computed_once_for_each_organisation_until_the_catalogue_changes(couriers: Engine) -> None:
    cache, computed = FigureCache(10), count()

    def figure(*, name: str = "reach", organisation_key: int = 1) -> int:
        with transaction(couriers) as session:
            return Figures(cache, session, organisation_key).of(name, lambda: next(computed))

    assert [figure(), figure()] == [0, 0]
    assert [figure(name="gaps"), figure(organisation_key=2)] == [1, 2]
    with couriers.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v1'"))
    assert [figure(), figure()] == [3, 3]


def test_figures_stay_for_a_minute_or_twenty_times_their_cost() -> None:
    clock = Clock()
    cache = FigureCache(10, timer=clock)

    def computed(cost_seconds: float) -> float:
        clock.seconds += cost_seconds
        return clock.seconds

    def figure(cost_seconds: float) -> float:
        return cache.get(cost_seconds, lambda: computed(cost_seconds))

    for cost_seconds, lasting_seconds in ((1.0, 60.0), (10.0, 200.0)):
        first = figure(cost_seconds)
        clock.seconds = first + lasting_seconds - 0.5
        assert figure(cost_seconds) == first
        clock.seconds = first + lasting_seconds
        assert figure(cost_seconds) > first


def test_figures_are_computed_by_one_thread_and_a_failure_leaves_the_next_its_turn() -> None:
    cache, computed = FigureCache(10), count()
    begun, waiting, values = threading.Event(), threading.Event(), []

    def slow() -> int:
        begun.set()
        waiting.wait(HANG_SECONDS)
        return next(computed)

    threads = [threading.Thread(target=lambda: values.append(cache.get("reach", slow))) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(HANG_SECONDS)
    waiting.set()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert values == [0, 0, 0]

    def failing() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get("gaps", failing)
    assert cache.get("gaps", lambda: 7) == 7
