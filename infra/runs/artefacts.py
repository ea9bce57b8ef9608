"""What the steps of a night made, kept in files: until the night ends, or for later nights and the service."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import Any, BinaryIO, cast

ENDING = ".artefact"


class _Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha.update(data)
        return self._file.write(data)


def keep(folder: Path, name: str, outcome: Any) -> str:
    """Write an outcome to its file, whole or not at all, and return its SHA-256 in hexadecimal."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    with part.open("wb") as file:
        hashed = _Hashed(file)
        pickle.dump(outcome, cast("BinaryIO", hashed), protocol=5)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path_of(folder, name))
    return hashed.sha.hexdigest()


def read(folder: Path, name: str, digest: str | None) -> tuple[bool, Any]:
    """Return whether the outcome with a digest is there, and the outcome.

    Nothing is unpacked that does not have the digest which the database recorded: a file that somebody else wrote into
    the folder is as good as none.
    """
    path = path_of(folder, name)
    if digest is None or not path.exists():
        return False, None
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            return False, None
        file.seek(0)
        return True, pickle.load(file)  # noqa: S301 - only what has the digest our own database recorded


def path_of(folder: Path, name: str) -> Path:
    """Return the file of an outcome."""
    return folder / f"{name}{ENDING}"


def discard(folder: Path) -> None:
    """Remove a folder of artefacts, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)
