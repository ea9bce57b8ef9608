"""Options that name a file to write, refused where it cannot be written before anything that takes long; its size."""

from pathlib import Path
from typing import Any

import typer

from jobs.cli.terminal import printable


def file_option(*names: str, text: str) -> Any:
    """Return an option that names a file to write.

    Parameters
    ----------
    names : str
        Such as ``-o``; by default that of the parameter.
    text : str
        Its help.
    """
    return typer.Option(*names, help=text, callback=_writable)


def bytes_written(path: Path) -> str:
    """Return a line that names a written file and its size."""
    return printable(f"{path}: {path.stat().st_size:,} bytes")


def _writable(path: Path | None) -> Path | None:
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file")
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; create it first")
    return path
