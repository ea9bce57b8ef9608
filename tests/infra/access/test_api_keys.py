"""Keys of the API: shown once, bound to one organisation, ended by time or by hand."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from infra.access import api_keys as keys
from infra.catalog import organisations
from infra.db.access_tables import api_keys
from infra.db.engine import transaction
from infra.errors import NotFoundError, SettingsError
from tests.conftest import ON_SQLITE
from tests.together import together

A_DAY = timedelta(days=1)


def make(engine: Engine, now: datetime, *, organisation: str = "couriers", expires_at: datetime | None = None) -> str:
    """Return the token of a new key for reading lists."""
    with transaction(engine) as session:
        owner = organisations.ensure(session, organisation, now=now)
        return keys.create(session, owner, name="app", scopes=["lists:read"], now=now, expires_at=expires_at)[1]


def key_of(engine: Engine, token: str) -> keys.ApiKey:
    """Return the key that a token belongs to."""
    with transaction(engine) as session:
        key = keys.find(session, keys.key_id_of(token) or "")
    assert key is not None
    return key


def test_a_key_opens_what_its_own_token_says_and_nothing_else(engine: Engine, now: datetime) -> None:
    mine, other = make(engine, now), make(engine, now)
    key = key_of(engine, mine)
    assert (key.organisation, key.scopes) == ("couriers", {"lists:read"})
    assert key.accepts(mine, now=now)
    for token in (other, mine[:-1], mine + "x", "", "\udcff"):
        assert not key.accepts(token, now=now)


def test_no_two_keys_are_the_same_and_none_of_them_is_stored(engine: Engine, now: datetime) -> None:
    tokens = {make(engine, now) for _ in range(20)}
    assert len(tokens) == 20
    with transaction(engine) as session:
        stored = repr(session.execute(select(api_keys)).all())
    for token in tokens:
        assert token not in stored
        assert token.split("_", 2)[2] not in stored
        assert keys.digest_of(token) in stored


def test_a_key_opens_nothing_from_the_moment_it_expires(engine: Engine, now: datetime) -> None:
    token = make(engine, now, expires_at=now + A_DAY)
    key = key_of(engine, token)
    assert key.accepts(token, now=now + A_DAY - timedelta(microseconds=1))
    assert not key.accepts(token, now=now + A_DAY)


def test_a_revoked_key_opens_nothing_and_stays_revoked_since_then(engine: Engine, now: datetime) -> None:
    token = make(engine, now)
    key = key_of(engine, token)
    for day in (0, 1):
        with transaction(engine) as session:
            keys.revoke(session, key.organisation_key, key.key_id, now=now + day * A_DAY)
    assert not key_of(engine, token).accepts(token, now=now)
    assert key_of(engine, token).revoked_at == now


def test_a_key_of_another_organisation_cannot_be_revoked_or_seen(engine: Engine, now: datetime) -> None:
    key = key_of(engine, make(engine, now))
    with transaction(engine) as session:
        other = organisations.ensure(session, "bakers", now=now)
        assert keys.list_keys(session, other) == []
    with pytest.raises(NotFoundError, match=key.key_id), transaction(engine) as session:
        keys.revoke(session, other, key.key_id, now=now)


def test_a_list_of_keys_tells_everything_but_what_opens(engine: Engine, now: datetime) -> None:
    token = make(engine, now, expires_at=now + A_DAY)
    with transaction(engine) as session:
        [row] = keys.list_keys(session, key_of(engine, token).organisation_key)
    assert (row["key_id"], row["name"], row["scopes"]) == (keys.key_id_of(token), "app", ["lists:read"])
    assert (row["created_at"], row["expires_at"], row["revoked_at"]) == (now, now + A_DAY, None)
    assert "digest" not in row


def test_the_last_use_is_the_latest_that_was_noted(engine: Engine, now: datetime) -> None:
    key = key_of(engine, make(engine, now))
    for at in (now + A_DAY, now):
        with transaction(engine) as session:
            keys.note_uses(session, {key.key_id: at, "0a1b2c3d4e5f": at})
    with transaction(engine) as session:
        keys.note_uses(session, {})
        [row] = keys.list_keys(session, key.organisation_key)
    assert row["last_used_at"] == now + A_DAY


@together(
    ("changes", "message"),
    [
        ({"name": ""}, "1 to 100 characters"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"scopes": []}, "known scopes are events:write, "),
        ({"scopes": ["lists:read", "lists:eat"]}, "scope 'lists:eat'"),
        ({"expires_at": datetime.fromisoformat("2026-03-02T01:30:00Z")}, "of no use"),
    ],
)
@ON_SQLITE
def test_a_key_that_could_not_be_used_is_not_made(
    engine: Engine, now: datetime, changes: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {"name": "app", "scopes": ["lists:read"], "now": now, **changes}
    with transaction(engine) as session:
        owner = organisations.ensure(session, "couriers", now=now)
    with pytest.raises(SettingsError, match=message), transaction(engine) as session:
        keys.create(session, owner, **arguments)  # type: ignore[arg-type]  # one of them is wrong
    with transaction(engine) as session:
        assert session.execute(select(api_keys)).all() == []


@pytest.mark.parametrize(
    "token", ["", "xuelu", "xuelu_", "xuelu_0a1b2c3d4e5f", "xuelu_0a1b2c3d4e5f_", "other_0a1b2c3d4e5f_x"]
)
def test_what_is_no_key_has_no_id(token: str) -> None:
    assert keys.key_id_of(token) is None
