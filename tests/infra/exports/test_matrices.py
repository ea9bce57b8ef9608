"""The feature matrices as files."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from infra.access import audit_log
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.exports.matrices import export_matrices
from infra.privacy import erasure
from infra.settings.settings import Settings


def test_matrices_are_written_with_ids_and_times(
    couriers: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    folder = tmp_path / "deep" / "matrices"
    written = export_matrices(couriers, settings, folder, as_of=now, actor="test", now=now)
    assert written == {"interactions.parquet": 60, "profiles.parquet": 22, "mastery.parquet": 20}
    with transaction(couriers) as session:
        entry = audit_log.page(session, organisations.key_of(session, "default"), audit_log.EntryFilter(), limit=1)[0]
    assert (entry["actor"], entry["action"]) == ("test", "data.export")
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}
    frames = {name: pd.read_parquet(folder / name) for name in written}
    assert list(frames["interactions.parquet"]) == [
        "member_id", "item_id", "weight", "progress", "study_seconds", "finished", "successes", "failures",
        "finished_days", "first_at", "last_at", "first_day",
    ]  # fmt: skip
    own = {name: frame[frame["member_id"] == "d0"].to_dict("records") for name, frame in frames.items()}
    moment = datetime(2026, 2, 20, 8, tzinfo=UTC)
    assert own["interactions.parquet"][0] == {
        "member_id": "d0",
        "item_id": "v1",
        "weight": 6.0 - 2.0,
        "progress": 1.0,
        "study_seconds": 30.0,
        "finished": True,
        "successes": 0.0,
        "failures": 0.0,
        "finished_days": 1,
        "first_at": moment,
        "last_at": moment,
        "first_day": (moment.date() - date(1970, 1, 1)).days,
    }
    assert own["mastery.parquet"] == [
        {
            "member_id": "d0",
            "topic": "safety",
            "successes": 1.0,
            "failures": 0.0,
            "mastery": pytest.approx(0.756, abs=0.001),  # 1 / (1 + exp(-.73 - .58 ln 2))
            "basis": "completed",
        }
    ]
    profiles = frames["profiles.parquet"].set_index("member_id")
    assert profiles.loc["d0", ["hour_08", "study_seconds", "items"]].tolist() == [1.0, 93.0, 3]
    assert profiles.loc["new-driver", ["study_seconds", "items"]].tolist() == [0.0, 0]


def test_members_who_switched_personalisation_off_are_in_no_matrix_and_an_erasure_removes_the_files(
    couriers: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    written = export_matrices(couriers, settings, tmp_path / "m", as_of=now, actor="test", now=now)
    members = {member for name in written for member in pd.read_parquet(tmp_path / "m" / name)["member_id"]}
    assert "d0" in members
    assert not members & {"private", ""}
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
        report = erasure.erase(session, settings, key, "d0", actor="test", now=now)
    assert report["erased"]["files_of_exports"] == len(written)
    assert list((tmp_path / "m").iterdir()) == []


def test_what_came_after_the_moment_is_left_out(
    couriers: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    written = export_matrices(
        couriers, settings, tmp_path, as_of=datetime(2026, 2, 20, tzinfo=UTC), actor="test", now=now
    )
    assert written == {"interactions.parquet": 0, "profiles.parquet": 22, "mastery.parquet": 0}
    assert pd.read_parquet(tmp_path / "interactions.parquet").empty
