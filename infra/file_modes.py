"""Modes of files and folders that hold members' data: their owner alone reads them."""

from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
