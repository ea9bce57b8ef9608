"""Personalisation switched off: from the next night on the lists of others do not depend on the member."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from infra.db.core_tables import events, list_entries, lists, members
from infra.db.engine import opened, transaction
from infra.db.migrate import migrate
from infra.settings.sections import RankerSettings
from infra.settings.settings import Settings
from jobs.ingest.ingest import ingest
from jobs.nightly.night import nightly
from simulator.simulate import simulate
from tests.conftest import SMALL_MODELS

UNTIL = datetime(2026, 3, 2, 0, tzinfo=UTC)
NIGHT = timedelta(days=1)


def settings_in(folder: Path) -> Settings:
    """Return the settings of an organisation whose database and files are in a folder."""
    return Settings(
        database_url=f"sqlite:///{folder / 'xuelu.db'}",
        artefacts_folder=folder / "artefacts",
        rejects_folder=folder / "rejects",
        max_reject_share=1.0,
        models=SMALL_MODELS,
        ranker=RankerSettings(window_days=2),
    )


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an organisation with logs of five weeks."""
    folder = tmp_path_factory.mktemp("organisation")
    simulate(folder, members=50, items=30, days=28, seed=3, until=UNTIL)
    settings = settings_in(folder)
    with opened(settings.database_url) as engine:
        migrate(engine)
        for kind, name in (("items", "items.csv"), ("members", "members.csv"), ("events", "events.csv.gz")):
            ingest(engine, settings, folder / name, kind, now=UNTIL)
    return folder


def busiest(folder: Path) -> str:
    """Return the member with most events."""
    query = select(events.c.member_id).group_by(events.c.member_id).order_by(func.count().desc(), events.c.member_id)
    with opened(settings_in(folder).database_url) as engine, transaction(engine) as session:
        return session.scalars(query.limit(1)).one()


def others_lists(
    folder: Path, member_id: str, *, off: bool, events_deleted: bool, earlier_night: bool
) -> dict[str, str]:
    """Return the entries of all other members' lists after a night, as stored."""
    settings = settings_in(folder)
    chosen = members.c.member_id == member_id
    with opened(settings.database_url) as engine:
        if earlier_night:
            nightly(engine, settings, now=UNTIL - NIGHT)
        with transaction(engine) as session:
            if off:
                session.execute(update(members).where(chosen).values(personalised=False))
            if events_deleted:
                session.execute(delete(events).where(events.c.member_id == member_id))
        run = nightly(engine, settings, now=UNTIL)
        states = [check["state"] for check in run["checks"] if check["name"] == "ranking"]
        assert states == ["mixed"], "own examples count"
        query = (
            select(lists.c.member_id, list_entries.c.entries)
            .join(list_entries, list_entries.c.entries_hash == lists.c.entries_hash)
            .where(lists.c.run_key == run["run_key"], lists.c.member_id != member_id)
        )
        with transaction(engine) as session:
            return {row.member_id: row.entries for row in session.execute(query)}


def test_lists_of_others_are_byte_equal_with_and_without_the_events_of_a_member_who_switched_off(
    organisation: Path, tmp_path: Path
) -> None:
    member_id = busiest(organisation)
    scenarios = {
        "switched off after an earlier night": {"off": True, "events_deleted": False, "earlier_night": True},
        "no events at all": {"off": True, "events_deleted": True, "earlier_night": False},
        "switched on": {"off": False, "events_deleted": False, "earlier_night": False},
    }
    entries_by_scenario = {}
    for name, how in scenarios.items():
        folder = tmp_path / name
        shutil.copytree(organisation, folder)
        entries_by_scenario[name] = others_lists(folder, member_id, **how)
    without = entries_by_scenario["no events at all"]
    assert entries_by_scenario["switched off after an earlier night"] == without
    assert entries_by_scenario["switched on"] != without, "the member's events would matter"
