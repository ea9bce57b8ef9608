"""Changes of role or industry are stored with the record that brings them, by file and one at a time."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations, records
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from tests.conftest import Take


def changes(engine: Engine, now: datetime) -> dict[str, list[Any]]:
    """Return the earlier role, the earlier industry and the days since the change of each member that changed."""
    with transaction(engine) as session:
        frame = catalog.moves(session, organisations.key_of(session, "default"), as_of=now)
    return {name: [None if pd.isna(value) else value for value in row] for name, *row in frame.itertuples()}


def write(engine: Engine, member_id: str, now: datetime, **fields: Any) -> dict[str, Any]:
    """Merge fields into a member, as a request does; return the member."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        before = records.read(session, key, "members", member_id)
        records.write(session, key, "members", before | fields, now=now)
        return records.read(session, key, "members", member_id)


def test_a_file_that_changes_roles_stores_the_earlier_ones_and_the_day(
    take: Take, engine: Engine, now: datetime
) -> None:
    take("members", "member_id,role,industry\na,83,54\nb,83,54\nc,,54\n")
    assert changes(engine, now) == {}
    take("members", "member_id,role\na,41\nb,83\nc,41\nd,41\n")
    assert changes(engine, now) == {"a": ["83", "54", 0.0]}, "neither the same code, nor a first one, nor a new member"
    take("members", "member_id,language\na,en\n")
    assert changes(engine, now + timedelta(days=3)) == {"a": ["83", "54", 3.0]}
    assert changes(engine, now + timedelta(days=366)) == {}


def test_each_change_starts_again_and_one_that_is_taken_back_on_its_day_is_none(
    take: Take, engine: Engine, now: datetime
) -> None:
    take("members", "member_id,role,industry\na,83,54\n")
    assert write(engine, "a", now, role="41")["role_since"] == now.date().isoformat()
    write(engine, "a", now, role="83")
    assert changes(engine, now) == {}

    later = now + timedelta(days=5)
    write(engine, "a", now, role="41")
    write(engine, "a", later, industry="60")
    assert changes(engine, later) == {"a": ["41", "54", 0.0]}
    write(engine, "a", later, role="9")
    assert changes(engine, later) == {"a": ["41", "54", 0.0]}, "the first profile of the day"


def test_the_day_of_a_role_is_that_of_the_change_unless_the_record_names_another(
    take: Take, engine: Engine, now: datetime
) -> None:
    take("members", "member_id,role,role_since\na,83,2020-01-01\nb,83,2020-01-01\nc,83,\n")
    take("members", "member_id,role,role_since\na,41,2026-02-01\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert records.read(session, key, "members", "a")["role_since"] == "2026-02-01"
    assert write(engine, "b", now, role="41")["role_since"] == now.date().isoformat()
    assert write(engine, "c", now, industry="60")["role_since"] is None
    assert write(engine, "b", now + timedelta(days=9), role=None)["role_since"] == now.date().isoformat()


def test_a_change_has_the_day_that_the_record_names_unless_it_is_still_to_come(
    take: Take, engine: Engine, now: datetime
) -> None:
    day = (now - timedelta(days=4)).date().isoformat()
    take("members", "member_id,role,industry,role_since\na,83,54,\nb,83,54,\nc,83,54,2020-01-01\nd,83,54,\n")
    take("members", f"member_id,role,role_since\na,41,{day}\nb,41,2199-01-01\nc,41,2020-01-01\nd,83,{day}\n")
    assert changes(engine, now) == {"a": ["83", "54", 4.0], "b": ["83", "54", 0.0], "c": ["83", "54", 0.0]}

    take("members", f"member_id,role,role_since\na,41,{day}\n")
    assert changes(engine, now)["a"] == ["83", "54", 4.0], "the same file once more"


@pytest.mark.usefixtures("served")
def test_from_that_day_the_requirements_of_the_new_role_hold_and_those_of_the_old_one_do_not(
    take: Take, engine: Engine, now: datetime
) -> None:
    take("requirements", "requirement_id,items,target_roles,days_after_role\nold,o1,83,1\nnew,o2,41,1\n")

    def required(at: datetime) -> list[tuple[str, str]]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            shown = push_lists.shown(session, key, "d9", ListRequest(n=9, now=at, language="en"))["items"]
        return [
            (item["item_id"], item["reason"]["code"])
            for item in shown
            if item["reason"]["code"] in {"required", "overdue"}
        ]

    write(engine, "d9", now, joined_on="2020-01-01")
    before = required(now)
    write(engine, "d9", now, role="41")
    after = required(now)
    assert [item for item, _ in before] == ["o1"]
    assert after == [("o2", "required")], "due by the day of the change, and not long overdue since joining"
