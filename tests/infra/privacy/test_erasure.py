"""An erased member is nowhere: not in any table, not in any file, not in what is learned."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, inspect, select, text, update

from infra.access import audit, audit_log
from infra.catalog import organisations
from infra.db.core_tables import runs
from infra.db.engine import transaction
from infra.errors import ReceiptError, UnknownMemberError
from infra.lrs import store as lrs
from infra.privacy import export
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.nightly import lists
from jobs.nightly.night import nightly
from recommender.pipeline import Pipeline
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE, Take
from tests.infra.privacy.erasing import erase

GONE = "rare-person@example.org"
OTHER = "other-person"
STATEMENT = {
    "id": "7e1c4a3c-2f10-4a3e-9d5b-0f4c1b7a9d11",
    "actor": {"mbox": f"mailto:{GONE}", "name": "R"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {"id": "o2"},
    "timestamp": "2026-02-27T08:00:00Z",
    "attachments": [
        {"usageType": "u:1", "display": {"en": "N"}, "contentType": "text/plain", "length": 3, "sha2": "AB" * 32}
    ],
}
NOTE = {"ab" * 32: f"a note of {GONE}".encode()}


def cells_with(engine: Engine, needle: str) -> list[str]:
    """Return where a text stands in a database: every column of every table that the database itself knows of."""
    schema = MetaData()
    schema.reflect(engine)
    places = []
    with engine.connect() as connection:
        for table in schema.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                places += [f"{table.name}.{name}" for name, value in row.items() if needle in repr(value)]
    return places


@pytest.fixture
def with_member(take: Take, engine: Engine, settings: Settings, now: datetime, couriers: Engine) -> Settings:
    """Return the settings of an organisation in which the member left traces wherever one can."""
    del couriers
    take("members", f"member_id,role,industry,language\n{GONE},83,60,en\n{OTHER},83,60,en\n")
    take(
        "events",
        "event_id,member_id,item_id,verb,occurred_at,voided_event_id\n"
        f"g1,{GONE},o1,completed,2026-02-25T06:00:00Z,\n"
        f"g2,{GONE},v1,completed,2026-02-25T07:00:00Z,\n"
        f"g3,{GONE},v2,viewed,2026-02-25T08:00:00Z,\n"
        "g4,,,voided,2026-02-25T09:00:00Z,g3\n"
        f"x1,{OTHER},o1,completed,2026-02-25T06:00:00Z,\n",
    )
    with pytest.raises(Exception, match="lines are bad"):
        take("events", f"member_id,item_id,verb,occurred_at\n{GONE},o1,watched,2026-02-25\n{GONE},o1,viewed,x\n")
    rejects = settings.rejects_folder / "old.csv.rejects.csv"
    rejects.parent.mkdir(exist_ok=True)
    rejects.write_text(f"line,field,value,reason\n2,,{GONE} x,not JSON\n3,verb,watched,unknown\n", encoding="utf-8")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        vouching = {"mbox": "mailto:a@b.example"}
        lrs.store(session, key, [STATEMENT], authority=vouching, home_page=None, clock=lambda: now, contents=NOTE)
        audit.append(session, key, actor="key", action="lists.read", subject=GONE, now=now)
    nightly(engine, settings, now=now)
    return settings


def test_nothing_of_an_erased_member_is_in_any_table_or_file(
    engine: Engine, with_member: Settings, now: datetime, tmp_path: Path
) -> None:
    places = {place.split(".")[0] for place in cells_with(engine, GONE)}
    assert places >= {"members", "events", "lists", "statements", "statement_attachments", "audit_subjects"}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        inspector = inspect(session.connection())
        named = {
            table
            for table in inspector.get_table_names()
            if "member_id" in {column["name"] for column in inspector.get_columns(table)}
        }
        assert {table.name for table in export.personal_tables()} == named, "no table is forgotten"
        before = len(audit_entries(session, key))
    report = erase(engine, with_member, now, GONE)
    assert report["erased"] == {
        "voids": 1,
        "statements": 1,
        "events": 4,
        "lists": 1,
        "list_entries": 1,
        "members": 1,
        "audit_subjects": 1,
        "lines_of_rejects": report["erased"]["lines_of_rejects"],
    }
    assert report["receipt"] is None
    assert cells_with(engine, GONE) == []
    engine.dispose()
    input_files = (*tmp_path.glob("members-*.csv"), *tmp_path.glob("events-*.csv"))
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in input_files]
    database = engine.url.database if engine.url.get_backend_name() == "sqlite" else None
    files += Path(database).parent.glob(f"{Path(database).name}*") if database else []
    assert files
    assert [str(path) for path in files if GONE.encode() in path.read_bytes()] == []
    assert "3,verb,watched" in (with_member.rejects_folder / "old.csv.rejects.csv").read_text(encoding="utf-8")
    with transaction(engine) as session:
        assert audit_log.verify(session, key) == (before + 1, None), "the chain still holds"
        assert audit.subjects(session, key, [GONE])[GONE] not in {
            entry["subject"] for entry in audit_entries(session, key)
        }


def learned(engine: Engine, settings: Settings, now: datetime) -> tuple[str, Pipeline, list[str]]:
    """Return what is learned from: its digest, the fitted pipeline, and the lists it makes."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        interactions = load_interactions(session, key, settings, as_of=now)
        pipeline = lists.make_pipeline(settings, organisations.taxonomies(session, key))
    pipeline.fit(interactions)
    listed = pipeline.explain(interactions, pipeline.recommend(interactions, interactions.members.index, k=20))
    return interactions.digest(), pipeline, listed.to_csv().splitlines()


@ON_SQLITE
def test_what_is_learned_after_an_erasure_is_what_is_learned_where_the_member_never_was(
    engine: Engine, couriers: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    del couriers
    without, before, lists_before = learned(engine, settings, now)
    take("members", f"member_id,role,industry\n{GONE},83,60\n")
    take("events", f"member_id,item_id,verb,occurred_at\n{GONE},o1,completed,2026-02-25\n{GONE},v1,viewed,2026-02-26\n")
    assert learned(engine, settings, now)[0] != without
    erase(engine, settings, now, GONE)
    again, after, lists_after = learned(engine, settings, now)
    assert (again, lists_after) == (without, lists_before)
    for name, model in before.models.items():
        for part, value in vars(model).items():
            mine, other = (
                getattr(attribute, "weights", attribute) for attribute in (value, vars(after.models[name])[part])
            )
            if hasattr(mine, "tobytes"):
                assert mine.tobytes() == other.tobytes(), f"{name}.{part}"


@ON_SQLITE
def test_erasing_one_member_and_adding_one_event_is_noticed(
    engine: Engine, with_member: Settings, take: Take, now: datetime
) -> None:
    first = nightly(engine, with_member, now=now)
    erase(engine, with_member, now, GONE)
    take("events", f"member_id,item_id,verb,occurred_at\n{OTHER},v3,viewed,2026-02-26\n")
    second = nightly(engine, with_member, now=now + timedelta(minutes=1), as_of=now)
    assert second["data_digest"] != first["data_digest"]
    assert cells_with(engine, GONE) == []


def test_the_list_that_others_have_too_stays(engine: Engine, with_member: Settings, take: Take, now: datetime) -> None:
    take("members", "member_id,language\nn1,en\nn2,en\n")
    nightly(engine, with_member, now=now)
    with pytest.raises(UnknownMemberError, match="has an id"):
        erase(engine, with_member, now, "")
    erased = erase(engine, with_member, now, "n1")["erased"]
    assert (erased["lists"], "list_entries" in erased) == (1, False)


def test_a_member_that_only_events_name_can_be_erased_and_an_unknown_one_cannot(
    engine: Engine, couriers: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    del couriers
    take("events", f"member_id,item_id,verb,occurred_at\n{GONE},o1,viewed,2026-02-26\n")
    assert erase(engine, settings, now, GONE)["erased"] == {"events": 1}
    for unknown in (GONE, "\x00", " "):
        with pytest.raises(UnknownMemberError):
            erase(engine, settings, now, unknown)


def test_a_bad_key_for_receipts_keeps_everything(
    engine: Engine, couriers: Engine, settings: Settings, now: datetime
) -> None:
    del couriers
    with pytest.raises(ReceiptError, match="no JSON Web Key"):
        erase(engine, settings.model_copy(update={"receipt_key": "secret"}), now, "c1")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM members WHERE member_id = 'c1'")).scalar() == 1


def test_checks_of_runs_forget_the_members_they_name(engine: Engine, with_member: Settings, now: datetime) -> None:
    detail = f"2 fail, such as {GONE}, m2"
    with transaction(engine) as session:
        checks = [{"name": "a", "passed": False, "detail": detail}, {"name": "b", "passed": True, "detail": ""}]
        session.execute(update(runs).values(checks=checks))
    erase(engine, with_member, now, GONE)
    with engine.connect() as connection:
        assert "2 fail" in str(connection.execute(text("SELECT checks FROM runs")).scalar())
    assert cells_with(engine, GONE) == []
