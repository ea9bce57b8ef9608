"""xuelu endpoints, deliver and deliveries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study_app import Reply, StudyApp
from infra.access import audit_log
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.settings.settings import Settings
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE
from tests.jobs.conftest import Answer
from tests.together import together

Run = Callable[..., Answer]
MEMBERS = 23
OPEN = {"STUDY_HOURS": "00:00-24:00", "QUIET_HOURS": "00:00-00:01", "MAX_PER_WEEK": "7"}
"""Whatever the hour is at which these tests run, but one minute."""


@pytest.fixture
def ready(xuelu: Run, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs commands on an organisation with lists, with all hours open."""
    del served
    monkeypatch.setenv("XUELU_DELIVERY__SECRET_KEY", "a key of more than thirty-two characters")
    monkeypatch.setenv("XUELU_DELIVERY__ALLOW_PRIVATE_ADDRESSES", "true")
    for name, value in OPEN.items():
        monkeypatch.setenv(f"XUELU_DELIVERY__{name}", value)
    return xuelu


def publish_again(ready: Run) -> None:
    """Serve the run anew, which plans its pushes."""
    [run] = ready("runs", "list", "--json").json
    assert ready("runs", "publish", run["run_id"]).status == 0


def test_an_app_is_registered_served_and_removed(ready: Run, settings: Settings) -> None:
    with StudyApp() as app:
        endpoint = ready("endpoints", "add", app.url, "--json").json
        publish_again(ready)
        pending = ready("deliveries", "list", "--status", "pending", "--json").json
        done = ready("deliver", "--json")
        shown = ready("deliveries", "show", pending[0]["delivery_id"], "--json").json

    assert endpoint["secret"].startswith("whsec_")
    assert len(pending) == len(app.seen) == MEMBERS
    assert (done.status, done.json) == (0, {"pending": 0, "delivered": MEMBERS, "dead": 0, "dropped": 0})
    assert (shown["status"], [attempt["outcome"] for attempt in shown["tries"]]) == ("delivered", ["status 204"])
    [listed] = ready("endpoints", "list", "--json").json
    assert (listed["endpoint_id"], listed["status"], "secret" in listed) == (endpoint["endpoint_id"], "active", False)
    rotated = ready("endpoints", "rotate", endpoint["endpoint_id"], "--json").json
    assert rotated["secret"] not in {endpoint["secret"], None}
    assert ready("endpoints", "remove", endpoint["endpoint_id"], "--json").json["dropped"] == 0
    assert ready("endpoints", "list", "--json").json == []
    engine = make_engine(settings.database_url)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert audit_log.verify(session, key)
        text = str(audit_entries(session, key))
    engine.dispose()
    assert endpoint["secret"] not in text


@ON_SQLITE
def test_dead_deliveries_are_told_retried_and_dropped(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUELU_DELIVERY__RETRY_SECONDS", "[]")
    replies = [Reply(500)] * MEMBERS
    with StudyApp(lambda _push: replies.pop() if replies else Reply()) as app:
        ready("endpoints", "add", app.url)
        publish_again(ready)
        failed = ready("deliver", "--json")
        dead = ready("deliveries", "list", "--status", "dead", "--json").json
        table = ready("deliveries", "list", "--status", "dead", "-n", "3").out
        dropped = ready("deliveries", "drop", dead[0]["delivery_id"])
        again = ready("deliveries", "retry", "--all-dead", "--json").json
        done = ready("deliver", "--once", "--json").json
        replayed = ready("deliveries", "redeliver", dead[1]["delivery_id"])
        refused = ready("deliveries", "retry", dead[1]["delivery_id"])

    assert (failed.status, failed.json["dead"]) == (1, MEMBERS)
    assert {delivery["reason"] for delivery in dead} == {"status 500"}
    assert table.count("status 500") == 3, "its reason, in one piece on a narrow terminal too"
    assert dropped.out == "1 dropped\n"
    assert (len(again["pending"]), again["left"]) == (MEMBERS - 1, [])
    assert done["delivered"] == MEMBERS - 1
    assert "will be sent again at" in replayed.out
    assert "is pending and will be sent" in refused.complaint


def test_what_stays_dead_is_told_with_its_reason(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUELU_DELIVERY__RETRY_SECONDS", "[]")
    with StudyApp(lambda _push: Reply(500)) as app:
        ready("endpoints", "add", app.url)
        publish_again(ready)
        ready("deliver")
    monkeypatch.setenv("XUELU_DELIVERY__MAX_PER_DAY", "0")

    output = ready("deliveries", "retry", "--all-dead").out

    assert output.startswith(f"0 will be sent again, {MEMBERS} stay as they are\n")
    assert output.count("gets no push, capped") == MEMBERS


@ON_SQLITE
def test_people_read_tables_and_figures(ready: Run, tmp_path: Path) -> None:
    added = ready("endpoints", "add", tmp_path, "--kind", "jsonl")
    [endpoint] = ready("endpoints", "list", "--json").json
    publish_again(ready)
    metrics = tmp_path / "metrics.prom"
    done = ready("deliver", "--metrics-file", metrics)
    [name] = [row["delivery_id"] for row in ready("deliveries", "list", "-n", "1", "--json").json]

    assert endpoint["endpoint_id"] in added.out
    assert "secret" not in added.out
    assert endpoint["endpoint_id"][:4] in ready("endpoints", "list").out
    assert f"delivered                {MEMBERS}" in done.out
    assert f'xuelu_delivery_attempts_total{{status="delivered"}} {MEMBERS}.0' in metrics.read_text(encoding="utf-8")
    assert done.out.startswith("Attempts made now, by the status of their delivery afterwards")
    listed = ready("deliveries", "list", "-n", "1").out
    assert all(part in listed for part in (name, endpoint["endpoint_id"], "due at", " UTC"))
    assert "written" in ready("deliveries", "show", name).out
    assert ready("endpoints", "enable", endpoint["endpoint_id"]).out == f"{endpoint['endpoint_id']} is active\n"
    assert ready("endpoints", "enable", endpoint["endpoint_id"], "--json").json["status"] == "active"
    assert "rotate webhooks only" in ready("endpoints", "rotate", endpoint["endpoint_id"]).complaint
    assert "0 pending deliveries were dropped" in ready("endpoints", "remove", endpoint["endpoint_id"]).out


def test_people_see_a_new_secret_once(ready: Run) -> None:
    added = ready("endpoints", "add", "https://app.example/pushes").out
    [endpoint] = ready("endpoints", "list", "--json").json
    rotated = ready("endpoints", "rotate", endpoint["endpoint_id"], "--overlap-hours", "2").out

    assert added.count("whsec_") == rotated.count("whsec_") == 1
    assert "not shown again" in added
    assert "Older secrets sign along for 2 hours" in rotated
    assert "whsec_" not in ready("endpoints", "list").out


@together(
    ("command", "complaint"),
    [
        (("endpoints", "add", "ftp://app.example/"), "write https://host/path"),
        (("endpoints", "add", "https://app.example/", "--kind", "mail"), "kind 'mail' is unknown; use webhook"),
        (("endpoints", "remove", "ep_unknown"), "no endpoint 'ep_unknown'"),
        (("deliveries", "list", "--status", "lost"), "status 'lost' is unknown; use pending"),
        (("deliveries", "show", "dl_unknown"), "no delivery 'dl_unknown'"),
        (("deliveries", "drop", "dl_unknown"), "no delivery 'dl_unknown'"),
        (
            (
                "deliveries",
                "retry",
            ),
            "name deliveries to retry, or give --all-dead",
        ),
        (("deliveries", "retry", "dl_1", "--all-dead"), "name deliveries to retry, or give --all-dead"),
    ],
)
def test_bad_use_is_told_in_one_line(ready: Run, command: tuple[str, ...], complaint: str) -> None:
    answer = ready(*command)

    assert answer.status == 2
    assert complaint in answer.complaint


def test_without_a_key_no_webhook_is_registered(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XUELU_DELIVERY__SECRET_KEY")

    answer = ready("endpoints", "add", "https://app.example/")

    assert "openssl rand -hex 32" in answer.complaint
    assert ready("endpoints", "list", "--json").json == []
