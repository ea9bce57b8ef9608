"""Export of the feature matrices as Parquet files."""

from datetime import datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from features.profiles import build_profiles
from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.exports.export import ACTION
from infra.file_modes import FILE_MODE, FOLDER_MODE
from infra.runs.store import ANYONE
from infra.settings.settings import Settings
from infra.training.data import load_events_and_interactions


def write_matrices(
    engine: Engine, settings: Settings, folder: Path, *, as_of: datetime, actor: str, now: datetime
) -> dict[str, int]:
    """Write ``interactions.parquet`` and ``profiles.parquet``; return the number of rows of each.

    Interactions hold one row per member and item: ``member_id, item_id, weight, progress, study_seconds, finished,
    first_at, last_at``. Profiles hold one row per member (:func:`features.profiles.build_profiles`).
    """
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        events, loaded = load_events_and_interactions(session, organisation_key, settings, as_of=as_of)
    cells = loaded.cells
    ids = pd.DataFrame(
        {"member_id": loaded.members.index[cells["member"]], "item_id": loaded.items.index[cells["item"]]}
    )
    interactions = pd.concat([ids, cells.drop(columns=["member", "item"])], axis=1)
    for name in ("first_at", "last_at"):
        interactions[name] = pd.to_datetime(interactions[name], unit="us", utc=True)
    files = {"interactions": interactions, "profiles": build_profiles(events, loaded).drop(index=ANYONE).reset_index()}
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    for name, frame in files.items():
        path = folder / f"{name}.parquet"
        path.touch(mode=FILE_MODE)
        frame.to_parquet(path, index=False)
    rows = {f"{name}.parquet": len(frame) for name, frame in files.items()}
    with transaction(engine) as session:
        audit.append(session, organisation_key, actor=actor, action=ACTION, now=now, detail={"rows": rows})
    return rows
