"""Folders that data of members was written to: recorded when written, searched by erasures.

Settings name folders relative to where a command runs, so the present settings do not say where earlier commands wrote.
"""

import platform
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.access_tables import data_folders

ARTEFACTS: Final = "artefacts"
REJECTS: Final = "rejects"
EXPORTS: Final = "exports"


def record(session: Session, organisation_key: int, kind: str, folder: Path) -> None:
    """Record that data of an organisation's members is written to a folder."""
    row = {"organisation_key": organisation_key, "kind": kind, "path": str(folder.resolve()), "host": platform.node()}
    insert = bulk.insert_into(session, data_folders).values(row)
    key = ["organisation_key", "kind", "path"]
    session.execute(insert.on_conflict_do_update(index_elements=key, set_={"host": row["host"]}))


def existing(session: Session, organisation_key: int, kind: str, *current: Path) -> list[Path]:
    """Return the folders of a kind that exist here, current ones first."""
    rows = session.execute(_of_kind(organisation_key, kind))
    return list(
        dict.fromkeys(
            [*(path.resolve() for path in current), *(Path(row.path) for row in rows if Path(row.path).is_dir())]
        )
    )


def recorded(session: Session, organisation_key: int, kind: str, *current: Path) -> tuple[list[Path], list[str]]:
    """Return the folders of a kind that exist here, current ones first, and those that are on other machines.

    A folder that this machine wrote and that is gone is forgotten.
    """
    gone = [row for row in session.execute(_of_kind(organisation_key, kind)) if not Path(row.path).is_dir()]
    own = [row.path for row in gone if row.host == platform.node()]
    if own:
        of_kind = (data_folders.c.organisation_key == organisation_key) & (data_folders.c.kind == kind)
        session.execute(delete(data_folders).where(of_kind, data_folders.c.path.in_(own)))
    elsewhere = [f"{row.path} on {row.host}" for row in gone if row.host != platform.node()]
    return existing(session, organisation_key, kind, *current), elsewhere


def _of_kind(organisation_key: int, kind: str) -> Select[Any]:
    """Return the query of the folders of a kind: ``path, host``."""
    of_kind = (data_folders.c.organisation_key == organisation_key) & (data_folders.c.kind == kind)
    return select(data_folders.c.path, data_folders.c.host).where(of_kind)
