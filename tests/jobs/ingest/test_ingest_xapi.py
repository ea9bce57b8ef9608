"""Statements of xAPI into the database."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.ingest.ingest import ingest
from tests.conftest import ON_SQLITE, Take

PROJECT = Path(__file__).parents[3]
HOME_PAGE = "https://lms.example"
VOIDING = "http://adlnet.gov/expapi/verbs/voided"
FIRST = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"


def statement(**changes: object) -> dict[str, object]:
    """Return a valid statement of a member's study."""
    return {
        "id": FIRST,
        "actor": {"objectType": "Agent", "account": {"homePage": HOME_PAGE, "name": "li.na"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
        "object": {"id": "https://lms.example/items/7"},
        "timestamp": "2026-02-01T10:00:00+02:00",
        "result": {"duration": "PT90S"},
        **changes,
    }


def void_of(statement_id: str) -> dict[str, object]:
    """Return the statement of an administrator that voids another one."""
    return statement(
        id="00000000-0000-4000-8000-000000000001",
        actor={"mbox": "mailto:admin@lms.example"},
        verb={"id": VOIDING},
        object={"objectType": "StatementRef", "id": statement_id},
        result={"success": True},
    )


@pytest.fixture
def take_statements(engine: Engine, settings: Settings, now: datetime, tmp_path: Path) -> Take:
    """Return what takes in some statements."""

    def taken(*statements: object, home_page: str = HOME_PAGE) -> Any:
        path = tmp_path / "statements.jsonl"
        path.write_text("".join(json.dumps(xapi_statement) + "\n" for xapi_statement in statements), encoding="utf-8")
        changes = {"auto_create": True, "max_reject_share": 1.0, "xapi_home_page": home_page}
        return ingest(engine, settings.model_copy(update=changes), path, "xapi", now=now)

    return taken


def cells(engine: Engine, settings: Settings, now: datetime) -> list[tuple[str, str, float]]:
    """Return member, item and study time of everything that was studied."""
    with transaction(engine) as session:
        interactions = load_interactions(session, organisations.key_of(session, "default"), settings, as_of=now)
    members, items = (
        interactions.members.index[interactions.cells["member"]],
        interactions.items.index[interactions.cells["item"]],
    )
    return list(zip(members, items, interactions.cells["study_seconds"].tolist(), strict=True))


def test_a_statement_becomes_study_time_of_its_member_and_item(
    take_statements: Take, engine: Engine, settings: Settings, now: datetime
) -> None:
    done = take_statements(statement())
    assert (done.counts.kind, done.counts.stored, done.created_members, done.created_items) == ("xapi", 1, 1, 1)
    assert cells(engine, settings, now) == [("li.na", "https://lms.example/items/7", 90.0)]


def test_account_names_are_member_ids_only_on_the_home_page_of_the_settings(
    take_statements: Take, engine: Engine
) -> None:
    take_statements(statement(), home_page="")
    with transaction(engine) as session:
        assert session.scalars(select(events.c.member_id)).all() == [f"{HOME_PAGE}|li.na"]


@pytest.mark.parametrize("void_first", [True, False])
def test_a_voided_statement_does_not_count_in_whatever_case_its_id_is_written(
    take_statements: Take, engine: Engine, settings: Settings, now: datetime, void_first: bool
) -> None:
    both = [statement(), void_of(FIRST.upper())]
    for xapi_statement in reversed(both) if void_first else both:
        assert take_statements(xapi_statement).counts.stored == 1
    assert cells(engine, settings, now) == []


def test_statements_that_are_wrong_are_rejects_and_those_of_no_study_are_neither_stored_nor_rejected(
    take_statements: Take,
) -> None:
    done = take_statements(
        statement(),
        statement(),
        statement(id="not a uuid"),
        statement(verb={"id": "http://adlnet.gov/expapi/verbs/asked"}, id="6690e6c9-3ef0-4ed3-8b37-7f3964730bef"),
        statement(timestamp="2026-02-01T10:00:01+02:00"),
    )
    counts = done.counts
    assert (counts.rows, counts.stored, counts.duplicates, counts.rejected) == (5, 1, 1, 2)
    text = done.rejects_file.read_text(encoding="utf-8")
    assert [line.split(",")[:2] for line in text.splitlines()[1:]] == [["3", "id"], ["5", "event_id"]]


@ON_SQLITE
def test_real_video_statements_become_study_time_per_member_and_item(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    data = PROJECT / os.environ.get("XUELU_DATA", "../shared/data")
    path = data / ".." / "xapi" / "ralph" / "statements.json.gz"
    if not path.exists():
        pytest.skip(f"no real statements at {path}: set XUELU_DATA to the folder of the data")
    done = ingest(engine, settings.model_copy(update={"auto_create": True}), path, "xapi", now=now)
    assert (done.counts.rows, done.counts.rejected) == (22_000, 0)
    rows = cells(engine, settings, now)
    studied = [seconds for *_, seconds in rows if seconds > 0]
    assert len({member for member, *_ in rows}) == done.created_members == 1_452
    assert len({item for _, item, _ in rows}) == done.created_items == 10
    assert len(studied) > 2_000
    assert max(studied) < 4 * 3600, "nobody studies one video longer than the cap"
    again = ingest(engine, settings, path, "xapi", now=now)
    assert (again.counts.stored, again.counts.rejected) == (0, 0)
    assert cells(engine, settings, now) == rows
