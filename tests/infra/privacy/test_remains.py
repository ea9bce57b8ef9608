"""Search after an erasure for what is left of a member, and redaction of its id in texts about others."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from infra.access import audit
from infra.catalog import organisations
from infra.db.core_tables import imports, members
from infra.db.engine import transaction
from infra.db.policy_tables import waivers
from infra.delivery import endpoints
from infra.privacy import erasure, receipts, remains
from infra.privacy.files import REPLACEMENT
from infra.settings.settings import Settings
from tests.conftest import Take
from tests.infra.privacy.erasing import erase

GONE = "rare-person"


@pytest.fixture
def key(engine: Engine, take: Take) -> int:
    """Return the organisation of the member."""
    take("members", f"member_id\n{GONE}\n12\nwu\n")
    with transaction(engine) as session:
        return organisations.key_of(session, "default")


def test_texts_about_others_lose_the_id_as_a_word_alone(
    engine: Engine, settings: Settings, key: int, now: datetime
) -> None:
    reason = f"as for {GONE}, not {GONE}-2; 12 months"
    row = {"organisation_key": key, "member_id": "wu", "requirement_id": "r", "reason": reason, "waived_at": now}
    counts = {"rows": 1, "stored": 1, "duplicates": 0, "rejected": 0, "reasons": {}}
    imported = {
        "organisation_key": key,
        "import_id": "im_1",
        "kind": "events",
        "status": "imported",
        "finished_at": now,
    } | counts
    with transaction(engine) as session:
        session.execute(insert(waivers).values(**row))
        session.execute(insert(imports).values(**imported, file_name=f"{GONE}.csv"))
    report = erase(engine, settings, now, GONE)
    assert (report["left"], report["erased"]["texts"]) == ([], 2)
    assert "texts" not in erase(engine, settings, now, "12")["erased"], "a short id is a number as well"
    with transaction(engine) as session:
        assert session.scalar(select(waivers.c.reason)) == f"as for (erased), not {GONE}-2; 12 months"
        names = session.scalars(select(imports.c.file_name)).all()
    assert "(erased).csv" in names


@pytest.mark.parametrize("member_id", ["m12", "王小伟", 'o\'neil "x"', "50%_*"])
def test_an_id_amid_chinese_or_in_json_is_erased_or_left(
    engine: Engine, settings: Settings, key: int, now: datetime, member_id: str
) -> None:
    row = {"organisation_key": key, "member_id": "wu", "requirement_id": "r", "waived_at": now}
    with transaction(engine) as session:
        session.execute(insert(members).values(organisation_key=key, member_id=member_id))
        session.execute(insert(waivers).values(**row, reason=f"因{member_id}请假，m123不变"))
        detail = {"reason": f"由{member_id}要求"}
        audit.append(session, key, actor="a", action="runs.publish", subject=None, now=now, detail=detail)
    report = erase(engine, settings, now, member_id)
    assert report["erased"]["texts"] == 1
    assert report["left"] == ["audit entry 1 names the member in its detail; entries are never changed"]
    with transaction(engine) as session:
        assert session.scalar(select(waivers.c.reason)) == "因(erased)请假，m123不变"


def test_an_audit_log_that_names_the_subject_of_the_members_token_is_left(
    engine: Engine, settings: Settings, key: int, now: datetime
) -> None:
    with transaction(engine) as session:
        audit.append(session, key, actor=f"oidc:{GONE}", action="lists.read", subject="wu", now=now)
        report = erasure.erase(session, settings, key, "12", actor="oidc:12", now=now)
    named = ["the audit log names the subject of the member's own tokens as actor; entries are never changed"]
    assert report["left"] == named
    assert erase(engine, settings, now, GONE)["left"] == named
    assert erase(engine, settings, now, "wu")["left"] == []


def test_what_cannot_be_erased_is_left_in_report_and_receipt(
    engine: Engine, settings: Settings, key: int, now: datetime, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"receipt_key": receipts.new_key()})
    with transaction(engine) as session:
        endpoints.add_endpoint(session, key, "jsonl", str(tmp_path), now=now)
        audit.append(
            session, key, actor="a", action="runs.publish", subject=None, now=now, detail={"reason": f"asked by {GONE}"}
        )
    batch = tmp_path / "20260302T080000Z-0"
    batch.mkdir()
    (batch / "lists.jsonl").write_text(f'{{"member_id":"{GONE}"}}\n', encoding="utf-8")
    (batch / f".lists.jsonl{REPLACEMENT}").write_text(GONE, encoding="utf-8")
    (batch / "lists.parquet").write_bytes(b"PAR1 cut off")
    report = erase(engine, settings, now, GONE)
    assert report["left"] == [
        "audit entry 1 names the member in its detail; entries are never changed",
        f"{batch / 'lists.jsonl'} names the member; remove it",
        f"{batch / 'lists.parquet'} names the member; remove it",
    ]
    assert receipts.verify(report["receipt"], settings.receipt_key or "")["complete"] is False
    assert not list(batch.glob(".*"))
    (batch / "lists.parquet").unlink()
    (batch / "lists.jsonl").unlink()


def test_rows_that_something_wrote_again_are_left(
    engine: Engine, settings: Settings, key: int, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    remaining = remains.of_subject

    def write_again(subject: Any, **options: Any) -> Iterator[str]:
        row = {"organisation_key": key, "member_id": GONE, "requirement_id": "r", "waived_at": now}
        subject.session.execute(insert(waivers).values(**row))
        return remaining(subject, **options)

    monkeypatch.setattr(remains, "of_subject", write_again)
    assert erase(engine, settings, now, GONE)["left"] == ["1 rows of waivers; run this again"]
    with transaction(engine) as session:
        assert session.scalar(select(members.c.member_id).where(members.c.member_id == GONE)) is None
