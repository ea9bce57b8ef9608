"""What past nights teach, and how lists were judged by them, in files: arrays without any id.

What a night teaches is kept under the digest of what it was made from, how lists were judged under the id of the run.
An erasure removes all of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ENDING = ".npz"
FOLDER = "lessons"
JUDGED = "judged"


def folder_of(artefacts: Path, organisation_key: int) -> Path:
    """Return the folder of an organisation's lessons."""
    return artefacts / FOLDER / str(organisation_key)


def judged_in(folder: Path) -> Path:
    """Return the folder in which it is kept how runs' lists were judged."""
    return folder / JUDGED


def keep(folder: Path, name: str, columns: Mapping[str, Any]) -> None:
    """Write a night's arrays, whole or not at all; none where it teaches nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, **columns)
    part.replace(folder / f"{name}{ENDING}")


def read(folder: Path, name: str) -> tuple[bool, dict[str, Any]]:
    """Return whether a night's arrays are there, and the arrays."""
    path = folder / f"{name}{ENDING}"
    if not path.exists():
        return False, {}
    with np.load(path, allow_pickle=False) as columns:
        return True, dict(columns)


def discard_others(folder: Path, names: set[str]) -> None:
    """Remove all files of a folder but some."""
    for path in folder.glob("*"):
        if path.is_file() and path.stem not in names:
            path.unlink()
