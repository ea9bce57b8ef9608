"""Files and folders that hold members' data: modes by which their owner alone reads them, and moves to their places."""

import shutil
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def move_to_place(part: Path, path: Path) -> None:
    """Give a whole file its name, which a stray folder may have taken: that is removed.

    For names of our own alone: a folder at a place chosen by an operator is an error.
    """
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    part.replace(path)
