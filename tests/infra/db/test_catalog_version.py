"""Stamps: the database tells of every change of a catalogue, whoever makes it."""

from datetime import datetime

import pytest
from sqlalchemy import Engine, insert, select, text

from infra.db import catalog_version
from infra.db.engine import transaction
from infra.db.migrate import migrate
from infra.db.policy_tables import waivers
from tests.conftest import Take


def version(engine: Engine) -> int:
    """Return the sum of the versions."""
    with transaction(engine) as session:
        return int(session.execute(select(catalog_version.total())).scalar_one())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE items SET hidden = true WHERE item_id = 'v1'",
        "DELETE FROM items WHERE item_id = 'v1'",
        "INSERT INTO items (organisation_key, item_id) VALUES (1, 'brand new')",
        "INSERT INTO taxonomy_codes VALUES (1, 'role', 'a', '', 'A', 'A')",
    ],
)
def test_every_change_raises_the_version(couriers: Engine, change: str) -> None:
    before = version(couriers)
    assert before > 0
    with couriers.begin() as connection:
        connection.execute(text(change))
    assert version(couriers) > before


def test_a_waiver_raises_the_version(couriers: Engine, now: datetime) -> None:
    before = version(couriers)
    waiver = {"organisation_key": 1, "member_id": "d1", "requirement_id": "r", "waived_at": now}
    with transaction(couriers) as session:
        session.execute(insert(waivers).values(**waiver))
    assert version(couriers) > before


def test_bulk_writes_raise_it_and_other_writes_do_not(couriers: Engine, take: Take) -> None:
    before = version(couriers)
    take("members", "member_id\nnobody.new\n")
    assert version(couriers) == before
    take("items", "item_id,hidden\nv1,true\n")
    assert version(couriers) > before


def test_what_is_rolled_back_raises_nothing(couriers: Engine) -> None:
    before = version(couriers)
    with couriers.connect() as connection:
        connection.execute(text("DELETE FROM items"))
        connection.rollback()
    assert version(couriers) == before


def test_making_the_tables_again_changes_nothing(couriers: Engine) -> None:
    before = version(couriers)
    migrate(couriers)
    assert version(couriers) == before
    with couriers.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v1'"))
    assert version(couriers) == before + 1
