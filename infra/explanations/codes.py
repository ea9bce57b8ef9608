"""Names and explanations of codes in English and Chinese, for the console and for reports."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent


@cache
def codes() -> dict[str, dict[str, dict[str, str]]]:
    """Return names (``en``, ``zh``) and explanations (``about_en``, ``about_zh``) of codes, by kind and code."""
    return tomllib.loads((FOLDER / "codes.toml").read_text(encoding="utf-8"))


@cache
def check_details() -> dict[str, str]:
    """Return the Chinese details of checks as formats of their facts, by name, or by name and state."""
    return tomllib.loads((FOLDER / "check_details.toml").read_text(encoding="utf-8"))


def name_of(kind: str, code: str, language: str) -> str:
    """Return the name of a code; the code itself where it has none.

    >>> name_of("strategy", "popular", "zh"), name_of("strategy", "own", "zh")
    ('热门内容', 'own')
    """
    return codes()[kind].get(code, {}).get(language, code)


def about(kind: str, code: str, language: str) -> str:
    """Return the explanation of a code.

    >>> about("left_out", "studied", "en")
    'The member has studied it.'
    """
    return codes()[kind][code][f"about_{language}"]


def chinese_detail(check: Mapping[str, Any]) -> str | None:
    """Return the detail of a check in Chinese; None where none is known, or facts that it names are missing.

    >>> check = {"name": "only available items", "detail": "2 items are not available", "facts": {"failed": 2}}
    >>> chinese_detail(check), chinese_detail(check | {"facts": {}})
    ('2 项内容不可用。', None)
    """
    with suppress(LookupError, TypeError, ValueError):  # another version stored other facts
        parts = (check["name"], check.get("state"), check["facts"].get("case"))
        return check_details()[" ".join(filter(None, parts))].format(**check["facts"])
    return None
