"""Folder of the real xAPI material, and a statement to start from."""

import os
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def xapi_material() -> Path:
    folder = PROJECT / os.environ.get("XUELU_DATA", "../shared/data") / ".." / "xapi"
    if not folder.is_dir():
        pytest.skip(f"no xAPI material at {folder}: set XUELU_DATA to the folder beside it")
    return folder.resolve()


@pytest.fixture
def statement() -> dict[str, Any]:
    """Return a small valid statement of its own for every test."""
    return {
        "id": "6690E6C9-3ef0-4ed3-8b37-7f3964730bee",
        "actor": {"objectType": "Agent", "account": {"homePage": "https://lms.example", "name": "li.na"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced", "display": {"en": "experienced"}},
        "object": {"objectType": "Activity", "id": "https://lms.example/items/7"},
        "timestamp": "2026-03-01T10:00:00+02:00",
    }
