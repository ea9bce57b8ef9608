"""The OpenAPI document holds: requests made from it, right and wrong, are answered as it says."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import is_valid
from schemathesis import GenerationMode
from schemathesis.core import NotSet
from schemathesis.python.asgi import shutdown_lifespans

from api.app import create_app
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.operations import DOCUMENT
from tests.conftest import ON_SQLITE
from tests.limits import HANG_SECONDS

EXAMPLES = 5
OPERATIONS = {
    f"{verb.upper()} {path}": operation
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
}
JUDGED_BY_MORE_THAN_ITS_SCHEMA = re.compile(
    r"(POST|PUT|GET) /xAPI/statements|POST /v1/(events|endpoints)"
    r"|(POST|PUT|PATCH) /v1/(items|members|units|requirements|curations|taxonomies).*"
)
"""Whether a statement, an IRI, an agent is right is told by xAPI, and that a time is after 1970 by no JSON Schema, nor
that ``http://0`` names no host. Nor does one know which codes there are. Reads and removals are held to their schemas,
but for cursors nobody gave out."""

TAKES_THE_GOOD_PART = re.compile(
    r"POST /v1/(events|(items|members|units|requirements|curations)/bulk)|PUT /v1/taxonomies/\{kind\}"
)
"""Bad parts of a body are answered one by one, and of a body of text no JSON Schema tells which are bad."""

CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "412", "429"]},
            "negative_data_rejection": {
                "expected-statuses": ["400", "401", "403", "404", "405", "409", "412", "415", "429"]
            },
        }
    }
)
"""That a precondition fails is no fault of the request, and may be answered before a fault of the record."""

A_FEW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""The same few requests every time: a test that fails, fails again."""


@pytest.fixture(scope="module")
def document() -> Any:
    """Return the document, read once for all operations: its patterns cost more to compile than its requests."""
    return schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@pytest.fixture
def description(document: Any, settings: Settings, served: dict[str, Any]) -> Iterator[Any]:
    """Return the document, and behind it a service that serves lists."""
    del served
    document.app = create_app(settings)
    yield document
    shutdown_lifespans()


def is_sound_as_sent(case: schemathesis.Case, operation: str) -> bool:
    """Return whether a request without a body is right once its values are the texts of an address.

    A number among strings is wrong by the schema, and a text like any other in the query, where nothing of an empty
    list is left.
    """
    described = {each["name"]: each for each in OPERATIONS[operation].get("parameters", ()) if each["in"] == "query"}
    if not isinstance(case.body, NotSet) or case.path_parameters:
        return False
    values = [
        (name, json.dumps(part) if isinstance(part, bool | None) else part)  # true and null, as they are sent
        for name, value in (case.query or {}).items()
        for part in (value if isinstance(value, list) else [value])
    ]
    sent: dict[str, list[str]] = {}
    for name, text in parse_qsl(urlencode(values, doseq=True), keep_blank_values=True):
        sent.setdefault(name, []).append(text)
    if not {name for name, each in described.items() if each.get("required")} <= sent.keys() <= described.keys():
        return False
    return all(
        any(is_valid(described[name]["schema"], value) for value in values_of(texts)) for name, texts in sent.items()
    )


def values_of(texts: list[str]) -> list[Any]:
    """Return the values that the texts of one name in an address may stand for."""
    if len(texts) > 1:
        return [texts]
    try:
        return [texts, texts[0], json.loads(texts[0])]
    except ValueError:
        return [texts, texts[0]]


def left_out(case: schemathesis.Case, operation: str) -> list[str]:
    """Return the names of the checks that a request cannot be held to."""
    names = ["positive_data_acceptance"] if JUDGED_BY_MORE_THAN_ITS_SCHEMA.fullmatch(operation) else []
    if TAKES_THE_GOOD_PART.fullmatch(operation) or is_sound_as_sent(case, operation):
        names.append("negative_data_rejection")
    # A cursor is a string that a page before gave out: which strings are, no schema tells.
    # Nor does one tell that as_of takes no filter.
    return [*names, "positive_data_acceptance"] if {"cursor", "as_of"} & (case.query or {}).keys() else names


@pytest.mark.parametrize("operation", OPERATIONS)
@ON_SQLITE
def test_requests_are_answered_as_the_document_says(description: Any, operation: str, make_key: MakeKey) -> None:
    described = description.find_operation_by_label(operation)
    headers = {"Authorization": f"Bearer {make_key()}"}

    def hold(case: schemathesis.Case) -> None:
        excluded = schemathesis.checks.CHECKS.get_by_names(left_out(case, operation))
        case.call_and_validate(headers=headers, excluded_checks=excluded, timeout=HANG_SECONDS)

    A_FEW(given(case=described.as_strategy(generation_mode=GenerationMode.POSITIVE))(hold))()
    # Where nothing is sent nothing can be wrong.
    if {"parameters", "requestBody"} & OPERATIONS[operation].keys():
        A_FEW(given(case=described.as_strategy(generation_mode=GenerationMode.NEGATIVE))(hold))()
