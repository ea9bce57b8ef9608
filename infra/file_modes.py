"""Files and folders that hold members' data: modes by which their owner alone reads them, and moves to their places."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
PART: Final = ".part"
"""Ending of a file that is being written, or that a killed process left."""


@contextmanager
def whole_file(path: Path) -> Iterator[BufferedRandom]:
    """Open a file for its owner alone, which gets its name once all of it is on the disk.

    Raises
    ------
    FileNotFoundError
        Its folder is gone.
    """
    part = path.with_name(f"{path.name}{PART}")
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, FILE_MODE), "w+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    move_to_place(part, path)


def move_to_place(part: Path, path: Path) -> None:
    """Give a whole file its name, which a stray folder may have taken: that is removed.

    For names of our own alone: a folder at a place chosen by an operator is an error.
    """
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    part.replace(path)
