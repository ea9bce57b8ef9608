"""Commands about runs, and a dry run of other settings."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, select, text

from infra.catalog import organisations
from infra.db.access_tables import audit_entries
from infra.db.core_tables import list_entries, metadata
from infra.db.engine import transaction
from infra.runs import list_contents
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, Take

Run = Callable[..., Any]
DAY = timedelta(days=1)


@pytest.fixture
def second(engine: Engine, settings: Settings, served: dict[str, Any], take: Take, now: datetime) -> dict[str, Any]:
    """Return the run of a second night, before which members studied."""
    del served
    take("events", "member_id,item_id,verb,occurred_at\nd1,v5,completed,2026-03-02T09:00:00Z\nc1,o6,liked,2026-03-02\n")
    return nightly(engine, settings, now=now + DAY)


def bytes_of(engine: Engine, run: dict[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of the entries of every member of a run, from the stored bytes."""
    with transaction(engine) as session:
        run_lists = list_contents.lists_of(session, runs.get(session, run["run_key"]))
    hashed = {content: hashlib.sha256(entries.encode()).hexdigest() for content, entries in run_lists.entries.items()}
    assert all(content == digest for content, digest in hashed.items())
    return dict(run_lists.hashes)


def everything(engine: Engine) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.execute(select(table)).all())) for name, table in metadata.tables.items()
        }


@ON_SQLITE
def test_runs_are_listed_the_newest_first(xuelu: Run, served: dict[str, Any], second: dict[str, Any]) -> None:
    listed_runs = xuelu("runs", "list", "--json").json
    assert [(run["run_id"], run["status"], run["lists"]) for run in listed_runs] == [
        (second["run_id"], "published", 24),
        (served["run_id"], "published", 24),
    ]
    assert "Runs, the newest first" in xuelu("runs", "list", "-n", "1").out


@ON_SQLITE
def test_a_run_tells_what_it_was_made_from_its_steps_and_its_checks(xuelu: Run, served: dict[str, Any]) -> None:
    run = xuelu("runs", "show", served["run_id"][:8], "--json").json
    assert {name: run[name] for name in ("data_digest", "settings_digest", "code_version", "seeds")} == {
        name: served[name] for name in ("data_digest", "settings_digest", "code_version", "seeds")
    }
    assert [step["name"] for step in run["steps"]][-3:] == ["publish", "enqueue", "online_model"]
    assert all(check["passed"] for check in run["checks"] if check["name"] != "ranking")
    shown = xuelu("runs", "show", served["run_id"]).out
    assert served["data_digest"] in shown
    assert "peak_bytes" in shown
    assert "warning" in shown, "of the ranking, which is not learned"


@ON_SQLITE
@pytest.mark.parametrize(("run_id", "why"), [("ffff", "no run 'ffff'"), ("", "no run ''")])
@pytest.mark.usefixtures("served")
def test_a_run_that_does_not_exist_is_one_line(xuelu: Run, run_id: str, why: str) -> None:
    answer = xuelu("runs", "show", run_id)
    assert answer.status == 2
    assert why in answer.complaint


def test_rolling_back_serves_the_same_bytes_as_before_to_every_member(
    xuelu: Run, engine: Engine, served: dict[str, Any], second: dict[str, Any]
) -> None:
    first_bytes = bytes_of(engine, served)
    assert bytes_of(engine, second) != first_bytes
    assert xuelu("runs", "rollback", "--json").json == {"served": served["run_id"]}
    with transaction(engine) as session:
        latest = runs.latest(session, organisations.key_of(session, "default"))
    assert latest["run_id"] == served["run_id"]
    assert bytes_of(engine, latest) == first_bytes
    assert "no run was published before" in xuelu("runs", "rollback").complaint
    assert xuelu("show", "d1", "--json").json["run_id"] == served["run_id"], "what could not be done was not done"
    assert xuelu("runs", "publish", second["run_id"][:8]).out == f"run {second['run_id']} is served now\n"
    published, rolled_back = xuelu("audit", "list", "--action", "runs", "--json").json
    assert (published["action"], published["detail"]["run_id"]) == ("runs.publish", second["run_id"])
    assert (rolled_back["action"], rolled_back["detail"]) == (
        "runs.roll_back",
        {"held": second["run_id"], "served": served["run_id"]},
    )
    assert xuelu("show", "d1", "--json").json["run_id"] == second["run_id"]


@ON_SQLITE
def test_a_held_run_can_be_served_by_hand_unless_it_has_no_lists(
    xuelu: Run, engine: Engine, settings: Settings, served: dict[str, Any], now: datetime
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM events WHERE event_id LIKE 'c%'"))
    held = nightly(engine, settings, now=now + DAY)
    assert held["status"] == "held"
    assert "give a reason" in xuelu("runs", "publish", held["run_id"]).complaint
    answer = xuelu("runs", "publish", held["run_id"], "--reason", "the clerks have left", "--json")
    assert answer.json == {"served": held["run_id"]}
    with transaction(engine) as session:
        newest = select(audit_entries).order_by(audit_entries.c.sequence.desc()).limit(1)
        entry = session.execute(newest).mappings().one()
    assert (entry["action"], orjson.loads(entry["detail"])["reason"]) == ("runs.publish", "the clerks have left")
    assert "no events are missing" in orjson.loads(entry["detail"])["failed_checks"]
    assert xuelu("runs", "rollback", "--json").json == {"served": served["run_id"]}
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM items"))
    empty = nightly(engine, settings, now=now + DAY)
    assert "has no lists" in xuelu("runs", "publish", empty["run_id"]).complaint


@ON_SQLITE
def test_the_list_of_a_past_night_stays_the_same_bytes(
    xuelu: Run, engine: Engine, settings: Settings, served: dict[str, Any], take: Take, now: datetime
) -> None:
    before = {
        member: xuelu("show", member, "--as-of", "2026-03-02", "--json").out for member in ("d1", "c1", "unknown")
    }
    assert orjson.loads(before["d1"])["run_id"] == served["run_id"]
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        stored = list_contents.lists_of(session, runs.get(session, served["run_key"]))
        for member, printed in before.items():
            shown = [
                (item["item_id"], item["reason"]["code"], item["reason"]["arguments"])
                for item in orjson.loads(printed)["items"]
            ]
            entries = orjson.loads(stored.entries[stored.hashes[member]])
            assert shown == [
                (entry["item_id"], entry["reason"]["code"], entry["reason"]["arguments"]) for entry in entries[:10]
            ]
        assert (
            orjson.loads(before["d1"])["items"]
            == push_lists.shown(session, key, "d1", ListRequest(n=10, now=now))["items"]
        )
    take("items", "item_id,title,hidden\nv1,Another title,true\nv4,Renamed,\nnew,,true\n")
    take("members", "member_id,language\nd1,en\n")
    take("events", "member_id,item_id,verb,occurred_at\nd1,v4,completed,2026-03-02T09:00:00Z\n")
    nightly(engine, settings, now=now + DAY)
    after = {member: xuelu("show", member, "--as-of", "2026-03-02", "--json").out for member in before}
    assert {name: hashlib.sha256(output.encode()).hexdigest() for name, output in after.items()} == {
        name: hashlib.sha256(output.encode()).hexdigest() for name, output in before.items()
    }
    later = xuelu("show", "d1", "--as-of", "2026-03-03", "--json").json
    assert later["run_id"] != served["run_id"]
    assert "v1" not in {item["item_id"] for item in later["items"]}
    assert "no lists of a night up to 2026-03-01 23:59 UTC" in xuelu("show", "d1", "--as-of", "2026-03-01").complaint


def test_old_runs_are_removed_with_what_only_they_hold(
    xuelu: Run, engine: Engine, settings: Settings, served: dict[str, Any], second: dict[str, Any], now: datetime
) -> None:
    entries_hashes = set(bytes_of(engine, second).values())
    folder = settings.artefacts_folder / served["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    assert xuelu("runs", "prune", "--json").json == {"removed": [served["run_id"]]}, "made long before the present"
    assert not folder.exists()
    [pruned] = xuelu("audit", "list", "--action", "runs.prune", "--json").json
    assert pruned["detail"] == {"run_ids": [served["run_id"]]}
    with transaction(engine) as session:
        assert set(session.scalars(select(list_entries.c.entries_hash))) == entries_hashes
    assert xuelu("runs", "prune", "--keep-days", "1").out == "0 runs removed\n", "the served one stays"
    third = nightly(engine, settings, now=now + 100 * DAY)
    assert [run["run_id"] for run in xuelu("runs", "list", "--json").json] == [third["run_id"]]


@ON_SQLITE
def test_a_dry_run_of_settings_equals_the_later_difference_row_for_row_and_writes_nothing(
    xuelu: Run, engine: Engine, settings: Settings, served: dict[str, Any], now: datetime, tmp_path: Path
) -> None:
    rules = tmp_path / "new.toml"
    rules.write_text(
        "[models]\nlist_length = 3\npopularity_half_life_days = 1.0\nals_factors = 4\nals_iterations = 3\n"
    )
    before = everything(engine)
    differences = xuelu("policy", "diff", "--settings", rules, "--json").json
    assert everything(engine) == before
    assert {row["change"] for row in differences} == {"loses", "gains"} or {row["change"] for row in differences} == {
        "loses"
    }
    changed = settings.models.model_copy(update={"list_length": 3, "popularity_half_life_days": 1.0})
    later = nightly(engine, settings.model_copy(update={"models": changed}), now=now)
    assert xuelu("runs", "diff", served["run_id"], later["run_id"], "--json").json == differences
    assert "items gained" in xuelu("runs", "diff", served["run_id"], later["run_id"], "-n", "2").out


@ON_SQLITE
def test_a_run_does_not_differ_from_itself(xuelu: Run, served: dict[str, Any]) -> None:
    answer = xuelu("runs", "diff", served["run_id"], served["run_id"])
    assert answer.out == "0 members: 0 items gained, 0 lost\n"
