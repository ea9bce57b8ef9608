"""Version of the code that makes a run: the package's version and a digest of its sources."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("content_catalog", "features", "recommender", "infra", "jobs")
ENDINGS = (".py", ".csv", ".toml", ".po")
DIGITS = 12


@cache
def code_version() -> str:
    """Return the version of xuelu and the first digits of the SHA-256 of its sources: ``0.1.0+5f0a6f5e3c1b``."""
    sha = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted(path for path in (ROOT / package).rglob("*") if path.suffix in ENDINGS):
            sha.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"{version('xuelu')}+{sha.hexdigest()[:DIGITS]}"
