"""The JSON Schema of a batch of events, made from their columns."""

from typing import Any, Final

from api.schemas.queries import NO_NUL
from content_catalog.schema import Column
from features.schema import EVENTS, VOIDED

MAX_EVENTS: Final = 1_000
"""Events of a batch."""
PRESENT: Final = {"type": "string", "pattern": r"\S"}


def _value(column: Column) -> dict[str, Any]:
    match column.kind:
        case "number":
            return {"type": ["number", "null"], "minimum": column.low, "maximum": column.high}
        case "instant":
            return {"type": "string", "format": "date-time", "examples": ["2026-03-01T08:30:00Z"]}
        case "flag":
            return {"type": ["boolean", "null"]}
    if column.choices:
        return {"type": "string", "enum": list(column.choices)}
    return {"type": ["string", "null"], "maxLength": column.longest, "pattern": NO_NUL}


EVENT: Final[dict[str, Any]] = {
    "title": "Event",
    "type": "object",
    "additionalProperties": False,
    "properties": {column.name: _value(column) for column in EVENTS.columns},
    "required": EVENTS.required,
    "if": {"properties": {"verb": {"const": VOIDED}}},
    "then": {"required": ["voided_event_id"], "properties": {"voided_event_id": PRESENT}},
    "else": {"required": ["member_id", "item_id"], "properties": {"member_id": PRESENT, "item_id": PRESENT}},
    "examples": [
        {
            "event_id": "2026-03-01-0001",
            "member_id": "m0001",
            "item_id": "i00012",
            "verb": "completed",
            "occurred_at": "2026-03-01T08:30:00Z",
            "duration_seconds": 300,
            "progress": 1,
        }
    ],
}

BATCH: Final[dict[str, Any]] = {
    "title": "Events",
    "type": "object",
    "additionalProperties": False,
    "required": ["events"],
    "properties": {"events": {"type": "array", "items": EVENT, "minItems": 1, "maxItems": MAX_EVENTS}},
    "examples": [{"events": EVENT["examples"]}],
}
