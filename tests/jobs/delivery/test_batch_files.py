"""Batch files for apps that push by themselves."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import update

from infra.db.core_tables import members
from infra.delivery.endpoints import Kind
from jobs.delivery.batch_files import COLUMNS
from tests.jobs.delivery.delivery_setup import DeliverySetup

MEMBERS = 23


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for batches."""
    batch_folder = tmp_path / "batches"
    batch_folder.mkdir()
    return batch_folder


def planned(setup: DeliverySetup, folder: Path, kind: Kind) -> None:
    """Register a folder and plan its lists."""
    setup.add(str(folder), kind)
    assert setup.enqueue()["planned"] == MEMBERS


def test_a_batch_is_written_at_once_and_tells_when_to_push(setup: DeliverySetup, folder: Path) -> None:
    planned(setup, folder, "jsonl")
    assert +setup.deliver() == {"delivered": MEMBERS}

    [batch] = folder.iterdir()
    assert batch.stat().st_mode & 0o007 == 0
    lines = [json.loads(line) for line in (batch / "lists.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = {row["delivery_id"]: row for row in setup.rows()}
    assert {line["delivery_id"] for line in lines} == set(rows)
    for line in lines:
        row = rows[line["delivery_id"]]
        assert datetime.fromisoformat(line["push_at"]) == row["push_at"] == datetime(2026, 3, 2, 8, tzinfo=UTC)
        assert datetime.fromisoformat(line["expires_at"]) == row["expires_at"]
        assert line["member_id"] == row["member_id"]
        assert line["items"][0]["reason"]["text"]
    manifest = json.loads((batch / "manifest.json").read_bytes())
    content = (batch / "lists.jsonl").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": "lists.jsonl", "rows": MEMBERS, "bytes": len(content), "sha256": digest}
    assert manifest == {"batch": batch.name, "organisation": "default", "lists": MEMBERS, "files": [file]}
    assert {attempt["outcome"] for attempt in setup.attempts()} == {"written"}
    assert +setup.deliver() == {}


def test_parquet_has_one_row_per_item(setup: DeliverySetup, folder: Path) -> None:
    planned(setup, folder, "parquet")
    setup.deliver()

    [batch] = folder.iterdir()
    table = pq.read_table(batch / "lists.parquet")
    assert table.schema.equals(COLUMNS)
    rows = table.to_pylist()
    manifest = json.loads((batch / "manifest.json").read_bytes())
    assert manifest["files"][0]["rows"] == len(rows) == sum(Counter(row["delivery_id"] for row in rows).values())
    assert manifest["lists"] == len({row["member_id"] for row in rows}) == MEMBERS
    assert all(row["reason_text"] and row["item_id"] and row["rank"] >= 1 for row in rows)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", ["claimed", "send", "sent", "record"])
def test_a_worker_that_dies_leaves_a_whole_batch_or_none_and_the_next_one_no_second(
    setup: DeliverySetup, folder: Path, name: str
) -> None:
    def die(step: str) -> None:
        if step == name:
            raise Killed

    planned(setup, folder, "jsonl")
    with pytest.raises(Killed):
        setup.deliver(step=die)
    left = [path for path in folder.iterdir() if not path.name.startswith(".")]
    assert len(left) == (name in {"sent", "record"})
    setup.later(hours=1)
    assert +setup.deliver() == {"delivered": MEMBERS}

    [batch] = folder.iterdir()
    assert sorted(path.name for path in batch.iterdir()) == ["lists.jsonl", "manifest.json"]
    assert left in ([], [batch])
    assert {attempt["number"] for attempt in setup.attempts()} == {1, 2}


def test_a_folder_that_is_gone_is_a_failure_that_is_tried_again(setup: DeliverySetup, folder: Path) -> None:
    planned(setup, folder, "jsonl")
    folder.rmdir()
    assert +setup.deliver() == {"pending": MEMBERS}
    assert {row["reason"] for row in setup.rows()} == {f"{next(iter(setup.rows()))['reason']}"}
    assert "No such file or directory" in setup.rows()[0]["reason"]
    folder.mkdir()
    setup.later(minutes=1)
    assert +setup.deliver() == {"delivered": MEMBERS}
    assert len(list(folder.iterdir())) == 1


def test_a_folder_that_stays_gone_kills_the_deliveries(setup: DeliverySetup, folder: Path) -> None:
    delivery_settings = setup.settings.delivery.model_copy(update={"retry_seconds": (1.0,)})
    setup.settings = setup.settings.model_copy(update={"delivery": delivery_settings})
    planned(setup, folder, "jsonl")
    folder.rmdir()
    for _ in range(3):
        setup.deliver()
        setup.later(minutes=1)

    assert setup.statuses() == {"dead": MEMBERS}


def test_members_without_pushes_are_in_no_file_and_an_empty_batch_is_none(setup: DeliverySetup, folder: Path) -> None:
    planned(setup, folder, "jsonl")
    setup.do(lambda session, _: session.execute(update(members).values(pushes=False)))

    assert +setup.deliver() == {"dropped": MEMBERS}

    assert list(folder.iterdir()) == []
