"""The OpenAPI document holds: requests made from it, right and wrong, are answered as it says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.python.asgi import shutdown_lifespans

from api.app import create_app
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey

EXAMPLES = 15
OPERATIONS = {
    f"{verb.upper()} {path}": operation
    for path, verbs in create_app(Settings()).openapi()["paths"].items()
    for verb, operation in verbs.items()
}
CASES = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in GenerationMode
    # Where nothing is sent nothing can be wrong.
    if mode is GenerationMode.POSITIVE or operation.get("parameters") or "requestBody" in operation
]
JUDGED_BY_MORE_THAN_ITS_SCHEMA = re.compile(
    r"(POST|PUT|GET) /xAPI/statements|POST /v1/events"
    r"|(GET|POST|PUT|PATCH|DELETE) /v1/(items|members|units|taxonomies).*"
    r"|GET /v1/(runs|audit|preview-list)"
)
"""Whether a statement, an IRI, an agent is right is told by xAPI, and that a time is after 1970 by no JSON Schema. Nor
does one know which codes there are, what a precondition is compared with, or which cursors were given out."""

TAKES_THE_GOOD_PART = re.compile(r"POST /v1/(events|(items|members|units)/bulk)|PUT /v1/taxonomies/\{kind\}")
"""Bad parts of a body are answered one by one, and of a body of text no JSON Schema tells which are bad."""

A_FEW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""The same few requests every time: a test that fails, fails again."""


@pytest.fixture
def description(settings: Settings, served: dict[str, Any]) -> Iterator[Any]:
    """Return the document of a service that serves lists, and the service behind it."""
    del served
    yield schemathesis.openapi.from_asgi("/openapi.json", create_app(settings))
    shutdown_lifespans()


@pytest.mark.parametrize(("operation", "mode"), CASES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_requests_are_answered_as_the_document_says(
    description: Any, operation: str, mode: GenerationMode, make_key: MakeKey
) -> None:
    found = description.find_operation_by_label(operation)
    headers = {"Authorization": f"Bearer {make_key()}"}
    names = ["positive_data_acceptance"] if JUDGED_BY_MORE_THAN_ITS_SCHEMA.fullmatch(operation) else []
    names += ["negative_data_rejection"] if TAKES_THE_GOOD_PART.fullmatch(operation) else []
    left_out = schemathesis.checks.CHECKS.get_by_names(names)

    @A_FEW
    @given(case=found.as_strategy(generation_mode=mode))
    def hold(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, excluded_checks=left_out)

    hold()
