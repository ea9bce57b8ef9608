"""The feature matrices as files."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from infra.access import audit_log
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.settings.settings import Settings
from jobs.ingest.export import write_matrices


def test_interactions_and_profiles_are_written_with_ids_and_times(
    couriers: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    folder = tmp_path / "deep" / "matrices"
    written = write_matrices(couriers, settings, folder, as_of=now, actor="test", now=now)
    assert written == {"interactions.parquet": 61, "profiles.parquet": 23}
    with transaction(couriers) as session:
        entry = audit_log.page(session, organisations.key_of(session, "default"), audit_log.EntryFilter(), limit=1)[0]
    assert (entry["actor"], entry["action"]) == ("test", "data.export")
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}
    interactions = pd.read_parquet(folder / "interactions.parquet")
    assert list(interactions) == [
        "member_id", "item_id", "weight", "progress", "study_seconds", "finished", "successes", "failures",
        "finished_days", "first_at", "last_at", "first_day",
    ]  # fmt: skip
    own = interactions[interactions["member_id"] == "private"].to_dict("records")
    moment = datetime(2026, 2, 24, 9, tzinfo=UTC)
    assert own == [
        {
            "member_id": "private",
            "item_id": "v1",
            "weight": 6.0 - 2.0,
            "progress": 1.0,
            "study_seconds": 60.0,
            "finished": True,
            "successes": 0.0,
            "failures": 0.0,
            "finished_days": 1,
            "first_at": moment,
            "last_at": moment,
            "first_day": (moment.date() - date(1970, 1, 1)).days,
        }
    ]
    profiles = pd.read_parquet(folder / "profiles.parquet").set_index("member_id")
    assert "" not in profiles.index
    assert profiles.loc["private", ["hour_09", "tuesday", "study_seconds", "items"]].tolist() == [1.0, 1.0, 60.0, 1]
    assert profiles.loc["new-driver", ["study_seconds", "items"]].tolist() == [0.0, 0]


def test_what_came_after_the_moment_is_left_out(
    couriers: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    written = write_matrices(
        couriers, settings, tmp_path, as_of=datetime(2026, 2, 20, tzinfo=UTC), actor="test", now=now
    )
    assert written == {"interactions.parquet": 0, "profiles.parquet": 23}
    assert pd.read_parquet(tmp_path / "interactions.parquet").empty
