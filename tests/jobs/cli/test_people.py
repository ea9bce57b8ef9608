"""The commands erase, receipt and retain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.catalog.profiles import delete_topic
from infra.db.engine import transaction
from infra.policy import member_choices
from infra.runs import store as runs
from infra.settings.settings import Settings
from jobs.cli import people
from tests.conftest import NOW, ON_SQLITE, Take

Run = Callable[..., Any]


@pytest.mark.usefixtures("couriers")
def test_erasing_prints_what_went_and_a_receipt_that_holds(
    xuelu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = xuelu("receipt", "--new-key").out
    monkeypatch.setenv("XUELU_RECEIPT_KEY", key)
    erasure = xuelu("erase", "c1", "--yes", "--json").json
    assert (erasure["member_id"], erasure["erased"]["members"]) == ("c1", 1)
    file = tmp_path / "c1.receipt"
    file.write_text(erasure["receipt"], encoding="utf-8")
    claims = xuelu("receipt", file).json
    file.write_text(f"Erased of 'c1'\n  members                  1\n{erasure['receipt']}\n", encoding="utf-8")
    assert (claims["sub"], claims["organisation"], claims["erased"]) == ("c1", "default", erasure["erased"])
    public = xuelu("receipt", "--public")
    assert "d" not in public.json
    monkeypatch.setenv("XUELU_RECEIPT_KEY", public.out)
    assert xuelu("receipt", file).json == claims
    assert "sign with the private one" in xuelu("erase", "c2", "--yes").complaint
    monkeypatch.setenv("XUELU_RECEIPT_KEY", xuelu("receipt", "--new-key").out)
    assert "the receipt does not hold" in xuelu("receipt", file).complaint
    assert "no member 'c1'" in xuelu("erase", "c1", "--yes").complaint
    assert xuelu("audit", "verify").status == 0


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_erasing_asks_first_and_tells_people(xuelu: Run) -> None:
    refused = xuelu("erase", "c1")
    assert refused.status != 0
    answer = xuelu("erase", "c1", "--yes")
    assert answer.out.splitlines()[0] == "Erased of 'c1'"
    assert answer.out.splitlines()[-1].startswith("no receipt: set XUELU_RECEIPT_KEY")


@ON_SQLITE
def test_a_receipt_wants_something_to_do_and_a_sound_key(xuelu: Run, tmp_path: Path) -> None:
    assert "nothing to do" in xuelu("receipt").complaint
    assert "no JSON Web Key" in xuelu("receipt", "--public").complaint
    assert "missing.receipt" in xuelu("receipt", tmp_path / "missing.receipt").complaint


def test_an_organisation_keeps_its_number_of_days(xuelu: Run, engine: Engine, served: dict[str, Any]) -> None:
    assert xuelu("retain").out == "events are kept for ever; give --days to change that\n"
    dry = xuelu("retain", "--days", "1", "--json").json
    assert (dry["applied"], dry["events"] > 0) == (False, True)
    assert xuelu("retain", "--json").json == {"keep_events_days": None, "applied": False}
    assert served["counts"]["events"] == 61
    assert xuelu("retain", "--days", "1", "--apply", "--json").json["events"] == dry["events"]
    with transaction(engine) as session:
        counts = runs.latest(session, served["organisation_key"])["counts"]
    assert counts["events"] == 0, "the next run is not held for what left no total, groups being too small"
    again = xuelu("retain", "--apply")
    assert again.out.splitlines()[0] == "Deleted events"
    assert xuelu("retain", "--json").json["events"] == 0
    assert xuelu("retain", "--for-ever", "--apply", "--json").json == {"keep_events_days": None, "applied": True}


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_an_organisation_has_the_time_zone_it_was_given_or_that_of_the_settings(
    xuelu: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert xuelu("timezone", "--json").json == {"timezone": "UTC", "own": False}
    monkeypatch.setenv("XUELU_TIMEZONE", "gmt+8")
    assert xuelu("timezone", "--json").json == {"timezone": "Etc/GMT-8", "own": False}
    assert xuelu("timezone", "北京时间").out == "Asia/Shanghai, set for 'default'\n"
    assert xuelu("timezone", "--unset", "--json").json == {"timezone": "Etc/GMT-8", "own": False}
    assert "'Asia' is no time zone of the IANA database; nearest: Asia/Shanghai" in xuelu("timezone", "Asia").complaint
    monkeypatch.setenv("XUELU_TIMEZONE", "CST")
    assert "nearest: Asia/Shanghai or America/Chicago" in xuelu("timezone").complaint


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_erasing_prints_what_is_left_and_ends_with_1(xuelu: Run, settings: Settings) -> None:
    (settings.rejects_folder / "default" / "members.csv.rejects.csv").mkdir(parents=True)
    answer = xuelu("erase", "c1", "--yes")
    assert answer.status == 1
    assert "left: " in answer.out
    assert xuelu("erase", "c2", "--yes", "--json").status == 1


@pytest.mark.usefixtures("couriers")
def test_the_choices_of_a_member_are_shown_with_its_change_of_role(
    xuelu: Run, take: Take, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "clock", lambda: NOW)
    take("members", "member_id,role,less_topics\nd1,41,policy\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        member_choices.save(session, key, "d1", "v5", now=NOW)
        delete_topic(session, key, "d1", "safety", now=NOW)
    choices = xuelu("choices", "d1", "--json").json
    assert [item["item_id"] for item in choices["saved"]] == ["v5"]
    assert [row["topic"] for row in choices["deleted_topics"]] == ["safety"]
    assert (choices["resting"], choices["less_topics"], choices["follows"]) == ([], ["policy"], [])
    assert choices["previous_role"] == "83"
    assert "saved: v5, 2026-03-02" in xuelu("choices", "d1").out
    assert "no member 'nobody'" in xuelu("choices", "nobody").complaint
