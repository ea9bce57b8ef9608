"""Pickled outcomes of a run's steps, in files: for resuming a run, for later runs and for the service."""

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

from infra.file_modes import FOLDER_MODE, whole_file

ENDING = ".artefact"


def save(folder: Path, name: str, outcome: Any) -> str | None:
    """Write an outcome to its file, whole or not at all, and return its SHA-256 in hexadecimal.

    None: an erasure removed the folder meanwhile, and the outcome, which may hold the member, is not kept.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    try:
        with whole_file(path_of(folder, name)) as file:
            pickle.dump(outcome, file, protocol=5)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    return digest


def load(folder: Path, name: str, digest: str | None) -> Any:
    """Return the outcome with a digest; None where its file is missing or has another digest.

    Nothing is unpickled that does not have the digest which the database recorded: a file that another program wrote
    into the folder counts as missing.
    """
    if digest is None:
        return None
    try:
        file = path_of(folder, name).open("rb")
    except (FileNotFoundError, IsADirectoryError):
        return None
    with file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            return None
        file.seek(0)
        return pickle.load(file)  # noqa: S301 - only what has the digest our own database recorded


def path_of(folder: Path, name: str) -> Path:
    """Return the file of an outcome."""
    return folder / f"{name}{ENDING}"


def remove_all_but(folder: Path, name: str) -> None:
    """Remove all artefacts of a folder but one, if there are any."""
    for path in folder.glob("*"):
        if path == path_of(folder, name):
            continue
        if path.is_dir():
            remove(path)
        else:
            path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder of artefacts, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)
