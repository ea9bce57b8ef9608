"""The OpenAPI document in the docs is the service's, and every example in it works."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import schemathesis
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.openapi import main
from infra.db.core_tables import imports
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from infra.delivery import outbox
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.api import operations
from tests.api.operations import OPERATIONS, ask, bodies
from tests.conftest import Take
from tests.docs.pages import REFERENCE

DOCUMENT = REFERENCE / "openapi.json"


def test_the_document_in_the_docs_is_that_of_the_service(tmp_path: Path) -> None:
    assert main([str(tmp_path / "openapi.json")]) == 0
    written = (tmp_path / "openapi.json").read_text(encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == written, "run `make openapi`"


def test_the_document_is_valid_openapi() -> None:
    schemathesis.openapi.from_path(DOCUMENT).validate()


def test_the_document_keeps_the_rules_that_its_meta_schema_leaves_out() -> None:
    """Those of openapi-spec-validator, which takes seven seconds for it and seven packages."""
    operation_ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(operation_ids)) == len(operation_ids)
    for _, path, operation in OPERATIONS:
        parameters = [(each["name"], each["in"]) for each in operation.get("parameters", ())]
        assert len(set(parameters)) == len(parameters), path
        in_path = {name for name, place in parameters if place == "path"}
        assert in_path == set(re.findall(r"{([^}]+)}", path)), path
    components = operations.DOCUMENT["components"]
    everything = [part for part in parts_of(operations.DOCUMENT) if isinstance(part, dict)]
    for schema in [*components["schemas"].values(), *(part["schema"] for part in everything if "schema" in part)]:
        jsonschema_rs.meta.validate(schema)
    targets = {f"#/components/{kind}/{name}" for kind, parts in components.items() for name in parts}
    assert {part["$ref"] for part in everything if "$ref" in part} <= targets
    with_default = {
        orjson.dumps(part): part for part in everything if "default" in part and {"type", "anyOf"} & part.keys()
    }
    for schema in with_default.values():
        assert jsonschema_rs.is_valid(schema | {"components": components}, schema["default"]), schema


def parts_of(value: Any) -> Iterator[Any]:
    """Yield all values inside a value of JSON, and itself."""
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts_of(part)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with a key that seals the secrets of endpoints."""
    return settings.model_copy(update={"delivery": DeliverySettings(secret_key="x" * 40)})


def planned_delivery(engine: Engine, run: dict[str, Any]) -> str:
    """Plan the pushes of a run and return the id of one."""
    with transaction(engine) as session:
        outbox.enqueue(session, run["organisation_key"], run["run_key"], Settings(), now=run["made_at"])
        return str(session.scalar(select(deliveries.c.delivery_id).limit(1)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_example_is_answered_as_a_success(
    couriers: Engine, settings: Settings, client: TestClient, now: datetime, take: Take
) -> None:
    take("items", "item_id,format\nodd,nonsense\n", max_reject_share=1.0)
    with transaction(couriers) as session:
        [import_id] = session.scalars(select(imports.c.import_id).where(imports.c.rejected > 0))
    run = nightly(couriers, settings, now=now)  # its models are stored, as explanations need them
    # Nobody has been told of the run beforehand; role and unit of the examples have members, and stay.
    arguments = {"run_id": run["run_id"], "code": "example", "unit": "Example", "import_id": import_id}
    failed = []
    # Its one run cannot be rolled back, and publishing it again would plan pushes that the deliveries compete with.
    for operation in (row for row in OPERATIONS if row[1] not in {"/v1/runs/rollback", "/v1/runs/{run_id}/publish"}):
        verb, path, _ = operation
        for kind, example in bodies(operation):
            answer = ask(client, operation, kind, example, arguments=arguments)
            if (verb, path) == ("post", "/v1/endpoints"):
                arguments |= {
                    "endpoint_id": answer.json()["endpoint_id"],
                    "delivery_id": planned_delivery(couriers, run),
                }
            if not answer.is_success:
                failed.append(f"{verb} {path} {kind}: {answer.status_code} {answer.text[:200]}")
    assert failed == []
