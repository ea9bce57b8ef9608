"""Settings with another value of each setting in turn, so that a setting added later is tried as well."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from infra.settings.settings import Settings

OTHER: Final = {"models.in_pipeline": ("precedence",), "models.extra": ("json:JSONEncoder",)}


def other(value: Any) -> Any:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case tuple():
            return (*value, 1.0)
        case dict():
            return {"JSONEncoder": {"indent": 1}}
    return type(value)("Asia/Tokyo")


def changed_settings(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield the name of each setting, and the settings with another value of it."""
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if not isinstance(section, BaseModel):
            yield name, settings.model_copy(update={name: other(section)})
            continue
        for inner in type(section).model_fields:
            value = OTHER.get(f"{name}.{inner}") or other(getattr(section, inner))
            yield f"{name}.{inner}", settings.model_copy(update={name: section.model_copy(update={inner: value})})
