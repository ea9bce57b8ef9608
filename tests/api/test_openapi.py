"""The OpenAPI document in the docs is the service's, and every example in it works."""

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.openapi import main
from infra.db.core_tables import imports
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from infra.delivery import outbox
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.api import operations
from tests.api.operations import OPERATIONS, ask, bodies
from tests.conftest import ON_SQLITE, Take
from tests.docs.pages import DOCS, REFERENCE, blocks

DOCUMENT = REFERENCE / "openapi.json"
CONFIGURED = DOCS / "how-to" / "catalogue-over-http.md"


def test_the_document_in_the_docs_is_that_of_the_service(tmp_path: Path) -> None:
    assert main([str(tmp_path / "openapi.json")]) == 0
    written = (tmp_path / "openapi.json").read_text(encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == written, "run `make openapi`"


def test_the_document_is_valid_openapi_and_describes_its_tags() -> None:
    validate(operations.DOCUMENT)
    described = [tag["name"] for tag in operations.DOCUMENT["tags"]]
    assert set(described) == {tag for _, _, operation in OPERATIONS for tag in operation["tags"]}


@pytest.mark.parametrize(
    ("command", "configuration"),
    [
        ("redocly lint --extends recommended {document}", ""),
        ("spectral lint --ruleset {folder}/x.yaml {document}", "extends: spectral:oas"),
        (
            "openapi-python-client generate --fail-on-warning --meta none --config {folder}/x.yaml --path {document}",
            "post_hooks: []\n" + next(block.text for block in blocks(CONFIGURED) if block.language == "yaml"),
        ),
    ],
    ids=["redocly", "spectral", "openapi-python-client"],
)
def test_other_tools_take_the_document_without_an_error(command: str, configuration: str, tmp_path: Path) -> None:
    program, *arguments = command.format(document=DOCUMENT, folder=tmp_path).split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed; see .ci/run")
    (tmp_path / "x.yaml").write_text(configuration, encoding="utf-8")
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    run = subprocess.run(
        [path, *arguments], env=os.environ | quiet, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def planned_delivery(engine: Engine, run: dict[str, Any]) -> str:
    """Plan the pushes of a run and return the id of one."""
    with transaction(engine) as session:
        outbox.enqueue(session, run["organisation_key"], run["run_key"], Settings(), now=run["made_at"])
        return str(session.scalar(select(deliveries.c.delivery_id).limit(1)))


@ON_SQLITE
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
