"""Entry point of the command ``xuelu``: checks that our packages are ours, then runs the command line.

Our packages have generic names, and another distribution of the same environment can overwrite or hide one of them.
That would show as an import error in the middle of a night.
"""

import hashlib
import sys
from base64 import urlsafe_b64encode
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGES: Final = ("content_catalog", "features", "recommender", "infra", "jobs", "api", "simulator")
ROOT: Final = Path(__file__).resolve().parents[1]
BAD_USE: Final = 2


def run() -> None:
    """Run the command line, unless one of our packages is not ours: then say so in one line, with exit status 2."""
    fault = foreign_package()
    if fault:
        print(f"error: {fault}", file=sys.stderr)  # noqa: T201 - nothing but the standard library is sure to work here
        sys.exit(BAD_USE)
    from jobs.cli.main import run as run_command_line  # noqa: PLC0415 - only after the check, which it would not survive

    run_command_line()


def foreign_package(root: Path = ROOT, name: str = "xuelu") -> str:
    """Return a message about the first of our packages that another distribution overwrote or hides; empty if none.

    Parameters
    ----------
    root : Path
        The folder that our packages are in.
    name : str
        Our distribution, whose record of installed files says what they were.
    """
    recorded = _recorded_hashes(name)
    for package in PACKAGES:
        spec = find_spec(package)
        place = Path(spec.origin).resolve() if spec and spec.origin else None
        if place is None or place.parent.parent != root:
            return _message(package, place, root)
        if package in recorded and recorded[package] != _hash(place):
            return _message(package, place, root)
    return ""


def _recorded_hashes(name: str) -> dict[str, str]:
    """Return the hash of each package's ``__init__.py`` as installed; empty for a checkout or an editable install."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return {}
    return {
        file.parts[0]: file.hash.value
        for file in files
        if file.hash and file.parts[1:] == ("__init__.py",) and file.parts[0] in PACKAGES
    }


def _hash(path: Path) -> str:
    return urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")


def _message(package: str, place: Path | None, root: Path) -> str:
    owners = ", ".join(sorted(set(packages_distributions().get(package, [])) - {"xuelu"}))
    return (
        f"the package `{package}` {f'at {place.parent} ' if place else ''}is not xuelu's: "
        f"{f'the distribution {owners}' if owners else 'something else'} has overwritten or hides {root / package}; "
        "install xuelu into a virtual environment of its own"
    )
