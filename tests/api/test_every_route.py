"""Every route of the OpenAPI document, asked by those who may not: never data, never a hint, nothing changed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api import dependencies
from api.app import create_app
from api.auth import auth, rate_limit
from infra.access import api_keys
from infra.catalog import organisations
from infra.db.core_tables import metadata
from infra.db.engine import make_engine, transaction
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.operations import KEYED, OPERATIONS, Operation, ask, bodies, scope_of

OPEN = {"/v1/health/live", "/v1/health/ready", "/xAPI/about"}
DRAWN = re.compile(r"(?<=ep_|im_)\w+|(?<=whsec_)[\w+/=]+|\w{8}-(?:\w{4}-){3}\w{12}|(?<=\"at\":\")[^\"]+|[0-9a-f]{64}")
"""Random ids, secrets and hashes, and times of audit entries."""
MOMENT = datetime(2026, 3, 2, 9, tzinfo=UTC)
BESIDE = {"api_keys", "audit_entries", "audit_heads", "rate_counts"}
"""Tables in which a refusal may leave a trace: of itself."""


def contents(engine: Engine, organisation_key: int) -> dict[str, list[Any]]:
    """Return what an organisation holds, table by table."""
    tables = [table for table in metadata.sorted_tables if "organisation_key" in table.c and table.name not in BESIDE]
    with transaction(engine) as session:
        return {
            table.name: sorted(
                (
                    tuple(row)
                    for row in session.execute(select(table).where(table.c.organisation_key == organisation_key))
                ),
                key=repr,
            )
            for table in tables
        }


def arguments_of(run_id: str) -> dict[str, str]:
    """Return ids of things that the organisation `default` has."""
    return {"run_id": run_id, "member_id": "d1", "item_id": "v1", "unit": "North"}


def test_the_routes_without_a_key_are_those_that_tell_of_nobody() -> None:
    keyed = {path for _, path, _ in KEYED}
    assert {path for _, path, _ in OPERATIONS} - keyed == OPEN
    assert {scope_of(operation) for operation in KEYED} == set(api_keys.SCOPES)


def test_who_may_not_gets_a_problem_and_changes_nothing(
    anonymous: TestClient, make_key: MakeKey, engine: Engine, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "KEY_CACHE_SECONDS", 0.0)
    monkeypatch.setattr(rate_limit, "MAX_FAILURES", 10_000)  # more keys are refused here than a minute allows
    owner, arguments = served["organisation_key"], arguments_of(served["run_id"])
    expired, revoked = make_key(at=datetime.now(UTC) - timedelta(days=2)), make_key()
    with transaction(engine) as session:
        api_keys.revoke(session, owner, api_keys.key_id_of(revoked) or "", now=datetime.now(UTC))
    closed = [None, "Bearer xuelu_0a1b2c3d4e5f_secret", f"Bearer {expired}", f"Bearer {revoked}"]
    others = {
        scope: make_key(*(other_scope for other_scope in api_keys.SCOPES if other_scope not in {scope, api_keys.ADMIN}))
        for scope in api_keys.SCOPES
    }
    before = contents(engine, owner)
    failed = []
    for operation in KEYED:
        verb, path, _ = operation
        kind, example = next(bodies(operation))
        unknown = [
            ask(anonymous, operation, kind, example, arguments=arguments, authorization=authorization)
            for authorization in closed
        ]
        authorization = f"Bearer {others[scope_of(operation)]}"
        forbidden = ask(anonymous, operation, kind, example, arguments=arguments, authorization=authorization)
        statuses = [answer.status_code for answer in (*unknown, forbidden)]
        problems = all(answer.headers["content-type"] == "application/problem+json" for answer in (*unknown, forbidden))
        same = len({answer.text for answer in unknown[1:]}) == 1
        if statuses != [401] * 4 + [403] or not problems or not same or not hides(forbidden):
            failed.append((verb, path, statuses, forbidden.text))
    assert failed == []
    assert contents(engine, owner) == before


def hides(answer: Response) -> bool:
    """Return whether an answer says nothing of what the organisation `default` has."""
    return not re.search(r"\bd\d\b|\bv\d\b|安全驾驶|Depot", answer.text)


@contextmanager
def other(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Yield the settings of a database of the same kind that holds no organisation."""
    kind = "sqlite" if settings.database_url.startswith("sqlite") else "postgresql"
    states = request.getfixturevalue(f"{kind}_states")
    with states.database("migrated") as url:
        yield settings.model_copy(update={"database_url": url})


def walk(settings: Settings, arguments: dict[str, str]) -> list[tuple[Any, ...]]:
    """Return what a stranger, the organisation `bakers`, is answered on every route, one after the other."""
    engine = make_engine(settings.database_url)
    with transaction(engine) as session:
        owner = organisations.ensure(session, "bakers", now=MOMENT)
        key_id, token = api_keys.create(session, owner, name="test", scopes=[api_keys.ADMIN], now=MOMENT)
    answers = []
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        for operation in KEYED:
            for kind, example in bodies(operation):
                answer = ask(client, operation, kind, example, arguments=arguments, authorization=f"Bearer {token}")
                client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
                answers.append((*operation[:2], answer.status_code, DRAWN.sub("…", answer.text).replace(key_id, "…")))
    engine.dispose()
    return answers


def own(client: TestClient, operations: list[Operation], token: str) -> dict[str, str]:
    """Make what the examples make, as `default`, and return the ids that were drawn."""
    drawn = {}
    for operation in operations:
        if operation[0] in {"put", "post"}:
            for kind, example in bodies(operation):
                answer = ask(client, operation, kind, example, authorization=f"Bearer {token}", arguments=drawn)
                if operation[1] == "/v1/endpoints":
                    drawn["endpoint_id"] = answer.json()["endpoint_id"]
    return drawn


@pytest.mark.parametrize(
    ("database_url", "ids"),
    [("sqlite", "of the couriers"), ("postgresql", "of the examples")],
    indirect=["database_url"],
)
def test_a_stranger_is_answered_as_if_the_other_organisation_were_not_there(
    settings: Settings, engine: Engine, anonymous: TestClient, make_key: MakeKey, served: dict[str, Any],
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ids: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(dependencies, "clock", lambda: MOMENT)
    drawn = own(anonymous, KEYED, make_key())
    arguments = drawn | (arguments_of(served["run_id"]) if ids == "of the couriers" else {})
    before = contents(engine, served["organisation_key"])
    beside = walk(settings, arguments)
    assert contents(engine, served["organisation_key"]) == before
    with other(settings, request) as empty:
        alone = walk(empty, arguments)
    assert beside == alone
    assert {status for *_, status, _ in beside} >= {200, 201, 404}
