"""Keys by HTTP: who is let in, to what, and what everybody else is told."""

from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from httpx2 import Response
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api import dependencies
from api.auth import auth, rate_limit
from infra.access import api_keys, audit
from infra.catalog import organisations
from infra.db.engine import transaction
from tests.api.conftest import MakeKey
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE
from tests.together import together

MEMBER = "/v1/members/d1/push-list"
WRONG = "xuelu_0a1b2c3d4e5f_secret"

pytestmark = pytest.mark.usefixtures("served")


def ask(client: TestClient, authorization: str | None, path: str = MEMBER) -> Response:
    """Ask for a list with this header."""
    return client.get(path, headers={} if authorization is None else {"Authorization": authorization})


def test_a_key_opens_the_lists_of_its_organisation(anonymous: TestClient, make_key: MakeKey) -> None:
    token = make_key("lists:read")
    for header in (f"Bearer {token}", f"bearer  {token}", f"Basic {b64encode(f'app:{token}'.encode()).decode()}"):
        assert ask(anonymous, header).status_code == 200


@together(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic ?",
        "Basic YQ==",
        "Digest a=b",
        f"Bearer {WRONG}",
        "Bearer xuelu_0a1b2c3d4e5f_\x7f",
    ],
)
def test_without_a_key_that_opens_nobody_is_let_in_and_is_told_how(
    anonymous: TestClient, authorization: str | None
) -> None:
    answer = ask(anonymous, authorization)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == 'Bearer realm="xuelu"'
    assert "Authorization: Bearer" in answer.json()["detail"]
    assert WRONG not in answer.text


def test_a_key_is_good_for_its_scopes_only_and_admin_is_all_of_them(anonymous: TestClient, make_key: MakeKey) -> None:
    for scope in api_keys.SCOPES:
        answer = ask(anonymous, f"Bearer {make_key(scope)}")
        assert answer.status_code == (200 if scope in {"lists:read", "admin"} else 403)
    assert "not for lists:read" in ask(anonymous, f"Bearer {make_key('runs:write')}").json()["detail"]


def test_an_expired_key_and_a_revoked_one_are_told_the_same_as_an_unknown_one(
    anonymous: TestClient, make_key: MakeKey, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "KEY_CACHE_SECONDS", 0.0)
    expired = make_key(at=datetime.now(UTC) - timedelta(days=2))
    revoked = make_key()
    assert ask(anonymous, f"Bearer {revoked}").status_code == 200
    with transaction(engine) as session:
        api_keys.revoke(session, 1, api_keys.key_id_of(revoked) or "", now=datetime.now(UTC))
    answers = [ask(anonymous, f"Bearer {token}") for token in (WRONG, expired, revoked, revoked[:-1] + "~")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_a_key_sees_nothing_of_another_organisation(anonymous: TestClient, make_key: MakeKey) -> None:
    theirs = f"Bearer {make_key(organisation='bakers')}"
    for path in (MEMBER, "/v1/items/v1/similar"):
        there, nowhere = (
            ask(anonymous, theirs, path),
            ask(anonymous, theirs, path.replace("d1", "q").replace("v1/s", "q/s")),
        )
        assert there.status_code == nowhere.status_code == 404
        assert there.text.replace("d1", "q").replace("v1", "q") == nowhere.text


def test_every_reading_of_a_list_is_in_the_audit_log(client: TestClient, engine: Engine) -> None:
    for _ in range(3):
        assert client.get(MEMBER).status_code == 200
    assert client.get("/v1/members/nobody/push-list").status_code == 404
    client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        times: Counter[str] = Counter()
        for entry in audit_entries(session, owner):  # of one flush, or of several where the machine is slow
            times.update(orjson.loads(entry["detail"])["subjects"])
            assert (entry["actor"], entry["action"]) == (api_keys.list_keys(session, owner)[0]["key_id"], "lists.read")
        assert times == {audit.subjects(session, owner, ["d1"])["d1"]: 3}
        assert api_keys.list_keys(session, owner)[0]["last_used_at"] is not None


@ON_SQLITE
def test_keys_are_guessed_a_bounded_number_of_times_a_minute_here_and_at_the_console(
    anonymous: TestClient, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MAX_FAILURES", 2)
    moment = datetime.now(UTC).replace(second=30)
    app: Any = anonymous.app
    app.state.clock = lambda: moment
    monkeypatch.setattr(dependencies, "clock", lambda: moment)
    assert [ask(anonymous, f"Bearer {WRONG}").status_code for _ in range(3)] == [401, 401, 429]
    refused = anonymous.post("/console/login", data={"key": WRONG})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert ask(anonymous, f"Bearer {make_key()}").status_code == 200, "all clients of a proxy have one address"
    moment += timedelta(minutes=1)
    assert ask(anonymous, f"Bearer {WRONG}").status_code == 401


@ON_SQLITE
def test_keys_that_nobody_made_are_not_remembered_without_end(
    anonymous: TestClient, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "MAX_CACHED_KEYS", 3)
    for number in range(10):
        assert ask(anonymous, f"Bearer xuelu_{number:012d}_x").status_code == 401
    assert ask(anonymous, f"Bearer {make_key()}").status_code == 200
