"""Keys and the audit log by the command line."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine, text

from infra.access import api_keys
from infra.db.engine import transaction
from tests.jobs.conftest import Answer

Xuelu = Callable[..., Answer]


def test_a_key_is_made_shown_once_listed_and_revoked(xuelu: Xuelu, engine: Engine, now: datetime) -> None:
    made = xuelu("keys", "create", "study app", "--scope", "lists:read", "--scope", "events:write")
    assert made.status == 0
    assert made.out.count("\n") == 1
    token, key_id = made.out.strip(), api_keys.key_id_of(made.out.strip())
    assert f"Key {key_id} of 'default' for events:write, lists:read" in made.err
    [row] = xuelu("keys", "list", "--json").json
    assert (row["key_id"], row["name"], row["scopes"]) == (key_id, "study app", ["events:write", "lists:read"])
    shown = xuelu("keys", "list")
    assert "study app" in shown.out
    assert token not in shown.out
    assert xuelu("keys", "revoke", key_id).out == f"Key {key_id} is revoked.\n"
    with transaction(engine) as session:
        found = api_keys.find(session, key_id or "")
    assert found is not None
    assert not found.accepts(token, now=now)


def test_a_key_for_scripts(xuelu: Xuelu) -> None:
    made = xuelu("keys", "create", "app", "--scope", "admin", "--organisation", "couriers", "--json").json
    assert api_keys.key_id_of(made["key"]) == made["key_id"]
    assert (made["organisation"], made["scopes"], made["name"]) == ("couriers", ["admin"], "app")
    revoked = xuelu("keys", "revoke", made["key_id"], "--organisation", "couriers", "--json")
    assert revoked.json == {"key_id": made["key_id"], "revoked": True}


def test_what_is_wrong_with_a_key_is_told(xuelu: Xuelu) -> None:
    assert "scope 'lists:eat': known scopes" in xuelu("keys", "create", "a", "--scope", "lists:eat").complaint
    xuelu("keys", "create", "a")
    assert "no key 'k1'; `xuelu keys list`" in xuelu("keys", "revoke", "k1").complaint


def test_the_audit_log_tells_of_keys_and_shows_what_was_changed(xuelu: Xuelu, engine: Engine) -> None:
    key_id = xuelu("keys", "create", "a", "--json").json["key_id"]
    xuelu("keys", "revoke", key_id)
    assert xuelu("audit", "verify").out == "The chain holds: 2 entries.\n"
    assert xuelu("audit", "verify", "--json").json == {"organisation": "default", "entries": 2, "fault": None}
    with engine.begin() as connection:
        connection.execute(text("UPDATE audit_entries SET action = 'x' WHERE sequence = 2"))
    broken = xuelu("audit", "verify")
    assert (broken.status, broken.out) == (
        1,
        "The chain holds for 1 entries, and then not: entry 2 was changed, or one before it was exchanged.\n",
    )
