"""Figures of the console: computed once a minute, and again when the catalogue changes."""

from itertools import count

from sqlalchemy import Engine, text

from api.console.access import Figures
from infra.db.engine import transaction
from recommender.linalg.cache import BoundedCache


def test_figures_are_computed_once_a_minute_for_each_organisation_until_the_catalogue_changes(
    couriers: Engine,
) -> None:
    cache, computed = BoundedCache[int](10), count()

    def figure(*, name: str = "reach", organisation_key: int = 1, minute: int = 5) -> int:
        with transaction(couriers) as session:
            return Figures(cache, session, organisation_key, minute).of(name, lambda: next(computed))

    assert [figure(), figure()] == [0, 0]
    assert [figure(name="gaps"), figure(organisation_key=2), figure(minute=6)] == [1, 2, 3]
    with couriers.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v1'"))
    assert [figure(), figure()] == [4, 4]
