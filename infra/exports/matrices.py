"""Feature matrices of an organisation as Parquet files."""

from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from features.interactions import Interactions
from features.profiles import build_profiles
from infra.exports.export import Read, write_files
from infra.runs.store import ANYONE
from infra.settings.settings import Settings
from infra.training.data import load_events_and_interactions
from recommender.content.mastery import topic_mastery

NAMES: Final = ("interactions", "profiles", "mastery")


def export_matrices(
    engine: Engine, settings: Settings, folder: Path, *, as_of: datetime, actor: str, now: datetime
) -> dict[str, int]:
    """Write ``interactions.parquet``, ``profiles.parquet`` and ``mastery.parquet``; return the number of rows of each.

    Interactions hold one row per member and item (:attr:`features.interactions.Interactions.cells`), profiles one row
    per member (:func:`features.profiles.build_profiles`), mastery one row per member and topic
    (:func:`recommender.content.mastery.topic_mastery`). Members who switched personalisation off are left out.

    Raises
    ------
    SettingsError
        The folder holds other files of these names, or a member was erased meanwhile.
    """

    def read(session: Session, organisation_key: int) -> Read:
        events, loaded = load_events_and_interactions(session, organisation_key, settings, as_of=as_of)
        included = loaded.members.index[loaded.personalised & (loaded.members.index != ANYONE)]
        frames = (
            _with_ids(loaded, loaded.cells),
            build_profiles(events, loaded).reset_index(),
            _with_ids(loaded, topic_mastery(loaded)),
        )
        tables = [
            pa.Table.from_pandas(frame[frame["member_id"].isin(included)], preserve_index=False) for frame in frames
        ]
        return {name: (table.schema, [table]) for name, table in zip(NAMES, tables, strict=True)}

    return write_files(engine, settings, folder, NAMES, read, form="parquet", actor=actor, now=now)


def _with_ids(interactions: Interactions, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with ids in the place of row numbers, and instants in the place of microseconds."""
    ids = {"member": interactions.members.index, "item": interactions.items.index}
    columns = {}
    for name, values in frame.items():
        if name in ids:
            columns[f"{name}_id"] = ids[name].take(values)
        else:
            columns[name] = pd.to_datetime(values, unit="us", utc=True) if str(name).endswith("_at") else values
    return pd.DataFrame(columns)
