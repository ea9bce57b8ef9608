"""Deliveries and batch files of an erased member."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy.orm import Session

from infra.privacy import erasure
from tests.jobs.delivery.delivery_setup import DeliverySetup

MEMBERS = 23
GONE = "d1"


@pytest.mark.parametrize(("kind", "name"), [("jsonl", "lists.jsonl"), ("parquet", "lists.parquet")])
def test_the_lists_of_an_erased_member_are_in_no_batch_and_the_manifest_still_holds(
    setup: DeliverySetup, tmp_path: Path, kind: Any, name: str
) -> None:
    folder = tmp_path / "batches"
    folder.mkdir()
    setup.add(str(folder), kind)
    setup.enqueue()
    setup.deliver()
    [batch] = folder.iterdir()
    others = batch.parent / "theirs"
    others.mkdir()
    foreign = {"organisation": "bakers", "lists": 1, "files": [{"name": name}]}
    (others / "manifest.json").write_text(json.dumps(foreign), encoding="utf-8")
    (others / name).write_bytes((batch / name).read_bytes())
    rows_before = setup.rows()
    assert GONE in {row["member_id"] for row in rows_before}

    def erase(session: Session, key: int) -> dict[str, Any]:
        return erasure.erase(session, setup.settings, key, GONE, actor="test", now=setup.now)

    erased = setup.do(erase)["erased"]
    assert (erased["lists_in_batches"], erased["deliveries"]) == (1, 1)
    content = (batch / name).read_bytes()
    manifest = json.loads((batch / "manifest.json").read_bytes())
    [file] = manifest["files"]
    assert (manifest["lists"], file["bytes"], file["sha256"]) == (
        MEMBERS - 1,
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    if kind == "parquet":
        left = pq.read_table(batch / name)
        assert file["rows"] == left.num_rows
        listed = set(left["member_id"].to_pylist())
    else:
        lines = [json.loads(line) for line in content.splitlines()]
        assert file["rows"] == len(lines)
        listed = {line["member_id"] for line in lines}
    assert (GONE in listed, len(listed)) == (False, MEMBERS - 1)
    assert json.loads((others / "manifest.json").read_text(encoding="utf-8")) == foreign, "another organisation's"
    assert len(setup.rows()) == len(rows_before) - 1
    assert len(setup.attempts()) == MEMBERS - 1
