"""Statements of xAPI that say little."""

from typing import Any
from uuid import uuid4

HOME = "https://lms.example"
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


def statement(**changes: Any) -> dict[str, Any]:
    """Return a new valid statement."""
    return {
        "id": str(uuid4()),
        "actor": {"account": {"homePage": HOME, "name": "li"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "https://lms.example/items/7"},
        "timestamp": "2026-03-01T10:00:00.123+02:00",
    } | changes


def about(statement_id: str, verb: str = "http://example.org/verbs/confirmed") -> dict[str, Any]:
    """Return a statement about another one."""
    return statement(verb={"id": verb}, object={"objectType": "StatementRef", "id": statement_id})
