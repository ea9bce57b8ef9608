"""Conditions on any number of values."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.bulk import any_of
from infra.db.core_tables import events, members, runs
from infra.db.engine import transaction

MANY = 70_000
"""More than the parameters that one statement may have on PostgreSQL."""


@pytest.mark.usefixtures("couriers")
def test_more_values_than_a_statement_takes_parameters_are_one_parameter(engine: Engine) -> None:
    values = [*(f"x{number}" for number in range(MANY)), "d1", "c2", "d1", 'quoted "\\ value']
    query = select(members.c.member_id).where(any_of(members.c.member_id, values)).order_by(members.c.member_id)
    with transaction(engine) as session:
        assert list(session.scalars(query)) == ["c2", "d1"]
        key = organisations.key_of(session, "default")
        assert {*catalog.display_items(session, key, [*values, "v1"])} == {"v1"}


@pytest.mark.usefixtures("couriers")
def test_no_value_is_no_row(engine: Engine) -> None:
    with transaction(engine) as session:
        assert session.scalars(select(members.c.member_id).where(any_of(members.c.member_id, []))).all() == []


def test_whole_numbers_and_moments_compare_as_they_are_stored(engine: Engine, served: dict[str, object]) -> None:
    with transaction(engine) as session:
        by_key = select(func.count()).select_from(runs).where(any_of(runs.c.run_key, [served["run_key"], 2**62]))
        assert session.scalar(by_key) == 1
        moments = session.scalars(select(events.c.occurred_at).order_by(events.c.occurred_at).limit(1)).all()
        other = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
        by_moment = select(events.c.occurred_at).where(any_of(events.c.occurred_at, [*moments, other])).distinct()
        assert session.scalars(by_moment).all() == moments
