"""Files of training examples of past nights and of figures on holdout nights: arrays without any id.

Examples are stored under the digest of everything they were computed from, figures under the id of the run.
An erasure removes all of them.
"""

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from infra.file_modes import FILE_MODE, FOLDER_MODE, PART, move_to_place

SUFFIX: Final = ".zst"
COMPRESSION: Final = "zstd"
"""Takes a quarter of the time of the deflation that NumPy has, and less room."""
FOLDER: Final = "examples"
FORMER_FOLDER: Final = "lessons"
"""Folder of versions up to 0.1.0; removed with the other one, and by the next run."""


def folder_of(artefacts: Path, organisation_key: int) -> Path:
    """Return the folder of an organisation's training examples."""
    return artefacts / FOLDER / str(organisation_key)


def former_folder_of(artefacts: Path, organisation_key: int) -> Path:
    """Return the folder that versions up to 0.1.0 kept them in."""
    return artefacts / FORMER_FOLDER / str(organisation_key)


def figures_folder(folder: Path) -> Path:
    """Return the folder of runs' figures on holdout nights."""
    return folder / "figures"


def holdout_folder(folder: Path) -> Path:
    """Return the folder of all candidates of lists of the latest nights, on which rankings are compared."""
    return folder / "holdout"


def store(folder: Path, name: str, columns: Mapping[str, Any]) -> None:
    """Write arrays atomically; no columns mark a night without any.

    Nothing is kept where an erasure removes the folder meanwhile: what was learned from the member goes with it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    part = folder / f"{name}{PART}"
    with suppress(FileNotFoundError):
        part.touch(mode=FILE_MODE)
        with part.open("wb") as file, pa.output_stream(file, compression=COMPRESSION) as stream:
            np.savez(stream, **columns)
        move_to_place(part, folder / f"{name}{SUFFIX}")


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """Return stored arrays; None where there are none, or the file is damaged."""
    path = folder / f"{name}{SUFFIX}"
    if not path.exists():
        return None
    try:
        with pa.input_stream(path, compression=COMPRESSION) as stream:
            archive = io.BytesIO(stream.read())
        with np.load(archive, allow_pickle=False) as columns:
            return dict(columns)
    except Exception:  # noqa: BLE001 - a damaged archive can raise anything; it is computed again
        return None


def discard_others(folder: Path, names: set[str]) -> None:
    """Remove all files of a folder except the named ones."""
    for path in folder.glob("*"):
        if path.is_file() and path.stem not in names:
            path.unlink(missing_ok=True)
