"""Report page: one self-contained HTML file with charts, a table for each, and no script."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from infra.errors import SettingsError

LANGUAGES: Final = ("en", "zh-CN")
FOLDER: Final = Path(__file__).parent
STYLE: Final = (FOLDER / "report.css").read_text(encoding="utf-8")
CHINESE: Final = tomllib.loads((FOLDER / "chinese.toml").read_text(encoding="utf-8"))
"""Texts in Chinese, by the English ones."""
Translate = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a report.

    Attributes
    ----------
    head : sequence of str
        Columns of the table.
    chart : str
        SVG; none: the table alone is shown.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    chart: str = ""


def translator(language: str) -> Translate:
    """Return the function from an English text and its values to the text in a language.

    Raises
    ------
    SettingsError
        Reports are not written in the language.
    """
    if language not in LANGUAGES:
        raise SettingsError(f"reports are not written in {language!r}; choose of {', '.join(LANGUAGES)}")

    def translated(text: str, **values: object) -> str:
        return (CHINESE.get(text, text) if language == "zh-CN" else text).format(**values)

    return translated


def page(title: str, subtitle: str, sections: Sequence[Section], *, language: str) -> str:
    """Return the page."""
    translated = translator(language)
    body = "".join(_section(section, translated) for section in sections if section.rows)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html>\n<html lang="{language}"><head>{head}<style>{STYLE}</style></head><body><main>'
        f"<h1>{escape(title)}</h1><p>{escape(subtitle)}</p>{body}</main></body></html>\n"
    )


def _section(section: Section, translated: Translate) -> str:
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    styles = [' class="text"' if isinstance(value, str) else "" for value in section.rows[0]]
    heads = "".join(
        f'<th scope="col"{style}>{escape(name)}</th>' for name, style in zip(section.head, styles, strict=True)
    )
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    caption = escape(section.title)
    table = f'<table aria-label="{caption}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    table = f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">{table}</div>'
    if section.chart:
        table = f"<details><summary>{escape(translated('table'))}</summary>{table}</details>"
    figure = f"<figure>{section.chart}</figure>" if section.chart else ""
    return f"<section><h2>{escape(section.title)}</h2>{note}{figure}{table}</section>"


def _cell(value: object) -> str:
    style = ' class="text"' if isinstance(value, str) else ""
    return f"<td{style}>{escape(_shown(value))}</td>"


def _shown(value: Any) -> str:
    """Return a value as the text of a cell.

    >>> _shown(0.12345), _shown(None), _shown([0.1, 0.25]), _shown(1200)
    ('0.123', '-', '0.100 – 0.250', '1,200')
    """
    if value is None:
        return "-"
    if isinstance(value, list):
        return " – ".join(f"{each:.3f}" for each in value)
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
