"""Screen of the settings that lists, deliveries and figures depend on: value, default and meaning; no secrets."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from starlette.responses import Response

from api.console.access import Analyst
from api.console.frame import console_router, page
from api.console.words import setting_meanings
from infra.settings.settings import SECRET, Settings

GENERAL: Final = ("timezone", "max_reject_share", "auto_create")
"""Settings outside the sections; the others are addresses, folders and limits of the service's machine."""
NOT_SHOWN: Final = frozenset({"oidc"})

router = console_router()


class Setting(NamedTuple):
    """A setting as the page shows it, with its meaning in English and Chinese."""

    name: str
    value: Any
    default: Any
    meaning: str
    meaning_zh: str | None


@router.get("/settings")
def settings_page(viewer: Analyst) -> Response:
    """Return the settings as they hold for the viewer's organisation, by section."""
    return page(viewer, "settings.html", sections=dict(shown_settings(viewer.local_settings)))


def shown_settings(settings: Settings) -> Iterator[tuple[str, list[Setting]]]:
    """Yield each section's name and settings, none that is secret; those outside a section come first."""
    yield "", [_setting("", name, settings) for name in GENERAL]
    for section in Settings.model_fields:
        values = getattr(settings, section)
        if isinstance(values, BaseModel) and section not in NOT_SHOWN:
            fields = type(values).model_fields.items()
            shown = [name for name, field in fields if field.repr and not SECRET.search(name)]
            yield section, [_setting(section, name, values) for name in shown]


def _setting(section: str, name: str, values: BaseModel) -> Setting:
    field = type(values).model_fields[name]
    default = field.get_default(call_default_factory=True)
    meaning_zh = setting_meanings().get(f"{section}.{name}".removeprefix("."))
    return Setting(name, getattr(values, name), default, field.description or "", meaning_zh)
