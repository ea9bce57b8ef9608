"""Folders that data of members was written to: recorded when written, searched by erasures.

Settings name folders relative to where a command runs, so the present settings do not say where earlier commands wrote.
"""

import platform
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.access_tables import data_folders

ARTEFACTS: Final = "artefacts"
REJECTS: Final = "rejects"
EXPORTS: Final = "exports"


def record(session: Session, organisation_key: int, kind: str, folder: Path) -> None:
    """Record that data of an organisation's members is written to a folder."""
    key = {"organisation_key": organisation_key, "kind": kind, "path": str(folder.resolve())}
    bulk.put(session, data_folders, key, {"host": platform.node()})


def existing(session: Session, organisation_key: int, kind: str, *current: Path) -> list[Path]:
    """Return the folders of a kind that exist here, current ones first."""
    paths = map(Path, session.scalars(select(data_folders.c.path).where(_of_kind(organisation_key, kind))))
    return list(dict.fromkeys([*(path.resolve() for path in current), *filter(Path.is_dir, paths)]))


def recorded(session: Session, organisation_key: int, kind: str, *current: Path) -> tuple[list[Path], list[str]]:
    """Return the folders of a kind that exist here, current ones first, and those that are on other machines.

    A folder that this machine wrote and that is gone is forgotten.
    """
    of_kind = _of_kind(organisation_key, kind)
    rows = session.execute(select(data_folders.c.path, data_folders.c.host).where(of_kind))
    gone = [row for row in rows if not Path(row.path).is_dir()]
    if own := [row.path for row in gone if row.host == platform.node()]:
        session.execute(delete(data_folders).where(of_kind, data_folders.c.path.in_(own)))
    elsewhere = [f"{row.path} on {row.host}" for row in gone if row.host != platform.node()]
    return existing(session, organisation_key, kind, *current), elsewhere


def _of_kind(organisation_key: int, kind: str) -> ColumnElement[bool]:
    return (data_folders.c.organisation_key == organisation_key) & (data_folders.c.kind == kind)
