"""Keys and the audit log by the command line."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, text

from infra.access import api_keys
from infra.db.engine import transaction
from tests.jobs.conftest import Answer

Xuelu = Callable[..., Answer]


def test_a_key_is_made_shown_once_listed_and_revoked(xuelu: Xuelu, engine: Engine, now: datetime) -> None:
    answer = xuelu("keys", "create", "study app", "--scope", "lists:read", "--scope", "events:write")
    assert answer.status == 0
    assert answer.out.count("\n") == 1
    token, key_id = answer.out.strip(), api_keys.key_id_of(answer.out.strip())
    assert f"Key {key_id} of 'default' for events:write, lists:read" in answer.err
    [row] = xuelu("keys", "list", "--json").json
    assert (row["key_id"], row["name"], row["scopes"]) == (key_id, "study app", ["events:write", "lists:read"])
    shown = xuelu("keys", "list")
    assert "study app" in shown.out
    assert token not in shown.out
    assert xuelu("keys", "revoke", key_id).out == f"Key {key_id} is revoked.\n"
    with transaction(engine) as session:
        api_key = api_keys.find(session, key_id or "")
    assert api_key is not None
    assert not api_key.accepts(token, now=now)


def test_a_key_for_scripts(xuelu: Xuelu) -> None:
    api_key = xuelu("keys", "create", "app", "--scope", "admin", "--organisation", "couriers", "--json").json
    assert api_keys.key_id_of(api_key["key"]) == api_key["key_id"]
    assert (api_key["organisation"], api_key["scopes"], api_key["name"]) == ("couriers", ["admin"], "app")
    revoked = xuelu("keys", "revoke", api_key["key_id"], "--organisation", "couriers", "--json")
    assert revoked.json == {"key_id": api_key["key_id"], "revoked": True}


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


def test_a_cut_log_with_a_reset_head_shows_beside_the_head_that_was_kept(xuelu: Xuelu, engine: Engine) -> None:
    for name in "abc":
        xuelu("keys", "create", name)
    head = xuelu("audit", "head").out.strip()
    assert head.startswith("3:")
    assert xuelu("audit", "head", "--json").json == {
        "organisation": "default",
        "sequence": 3,
        "hash": head.removeprefix("3:"),
    }
    assert xuelu("audit", "verify", "--head", head).status == 0
    xuelu("keys", "create", "d")
    assert xuelu("audit", "verify", "--head", head).status == 0, "entries may follow"
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_entries WHERE sequence > 2"))
        last = connection.execute(text("SELECT hash FROM audit_entries WHERE sequence = 2")).scalar_one()
        connection.execute(text("UPDATE audit_heads SET sequence = 2, hash = :hash"), {"hash": last})
    assert xuelu("audit", "verify").status == 0, "without a head from elsewhere this cannot be seen"
    cut = xuelu("audit", "verify", "--head", head)
    assert (cut.status, "entry 3 is missing: the given head is entry 3" in cut.out) == (1, True)
    xuelu("keys", "create", "e")
    replaced = xuelu("audit", "verify", "--head", head)
    assert (replaced.status, "entry 3 is not that of the given head" in replaced.out) == (1, True)
    assert "`xuelu audit head` printed" in xuelu("audit", "verify", "--head", "3").complaint


def test_the_audit_log_is_listed_by_actor_action_member_and_time(xuelu: Xuelu, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("member_id\nli\nana\n")
    (tmp_path / "roles.csv").write_text("code,parent,name_en,name_zh\nr1,,Role,角色\n")
    xuelu("ingest", "members", tmp_path / "members.csv")
    xuelu("ingest", "roles", tmp_path / "roles.csv")
    xuelu("keys", "create", "a")
    xuelu("erase", "li", "--yes")
    listed = xuelu("audit", "list", "--json").json
    assert [row["action"] for row in listed] == ["members.erase", "keys.create", "taxonomies.import", "members.import"]
    assert listed[3]["detail"] == {"lines": 2, "stored": 2, "duplicates": 0, "rejected": 0}
    assert [row["action"] for row in xuelu("audit", "list", "--action", "keys", "--json").json] == ["keys.create"]
    assert xuelu("audit", "list", "--action", "key", "--json").json == []
    assert xuelu("audit", "list", "--actor", "someone", "--json").json == []
    assert len(xuelu("audit", "list", "-n", "2", "--json").json) == 2
    assert xuelu("audit", "list", "--until", "2020-01-01", "--json").json == []
    assert len(xuelu("audit", "list", "--since", "2020-01-01T00:00:00Z", "-n", 99, "--json").json) == 10
    assert xuelu("choices", "li").status == 2, "an erased member leaves no read behind"
    xuelu("choices", "ana")
    choices, reading, *_ = xuelu("audit", "list", "--json").json
    assert (choices["action"], [*choices["detail"]["subjects"].values()]) == ("members.read", [1])
    assert (reading["action"], reading["detail"]) == ("audit.read", {"entries": 10})
    assert "keys.create" in xuelu("audit", "list").out
