"""Words of the pages in two languages: texts by key, meanings of settings."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
LANGUAGES: Final = {"en": "English", "zh": "中文"}


@cache
def texts() -> dict[str, dict[str, str]]:
    """Return the texts of the pages by key and language.

    Raises
    ------
    ValueError
        Two files hold one key.
    """
    merged: dict[str, dict[str, str]] = {}
    for path in sorted((FOLDER / "texts").glob("*.toml")):
        added = tomllib.loads(path.read_text(encoding="utf-8"))
        if repeated := merged.keys() & added.keys():
            raise ValueError(f"{path.name}: other files hold {', '.join(sorted(repeated))} already; rename them here")
        merged |= added
    return merged


@cache
def setting_meanings() -> dict[str, str]:
    """Return the Chinese meanings of settings, by name with the section; the English ones are in the code."""
    return tomllib.loads((FOLDER / "settings.toml").read_text(encoding="utf-8"))
