"""Batch files: what is due for an app that takes files, in one folder that is there whole or not at all."""

import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine

from infra.db.engine import transaction
from infra.delivery import claims
from infra.delivery.claims import Claimed, Settled
from infra.delivery.endpoints import Endpoint
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, PENDING
from infra.delivery.payloads import lists_to_push
from infra.settings.sections import DeliverySettings

CHUNK = 1_000
LARGEST_BATCH = 1_000_000
LEASE: Final = timedelta(minutes=30)
MANIFEST: Final = "manifest.json"

TEXT, MOMENT = pa.string(), pa.timestamp("us", "UTC")
COLUMNS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("delivery_id", "member_id", "list_id", "run_id", "path", "language")),
        *((name, MOMENT) for name in ("made_at", "push_at", "expires_at")),
        ("rank", pa.int32()),
        *((name, TEXT) for name in ("item_id", "title", "format")),
        ("duration_seconds", pa.float64()),
        *((name, TEXT) for name in ("item_language", "url", "reason_code", "reason_text")),
    ]
)
"""One row per item of a list in Parquet."""

Made = dict[str, Any]


def write_batch(
    engine: Engine,
    settings: DeliverySettings,
    endpoint: Endpoint,
    *,
    clock: Callable[[], datetime],
    step: Callable[[str], None] = lambda _name: None,
) -> Counter[str]:
    """Write what is due for an endpoint as one batch, and return how many deliveries have which status now.

    The folder ``TIME-DIGEST`` holds ``lists.jsonl`` or ``lists.parquet`` and ``manifest.json`` with the rows, bytes and
    SHA-256 of it. Its name tells the deliveries in it: where a worker died between writing and saying so, the next one
    finds the folder and writes nothing twice.
    """
    step("claim")
    now = clock()
    with transaction(engine) as session:
        claimed = claims.claim(session, endpoint["endpoint_key"], limit=LARGEST_BATCH, lease=LEASE, now=now)
    if not claimed:
        return Counter()
    step("claimed")
    claimed.sort(key=lambda one: one["delivery_id"])
    kept_out: dict[int, str] = {}
    fault = ""
    try:
        _write_folder(
            Path(endpoint["target"]), endpoint, claimed, _lists(engine, settings, claimed, kept_out, now), step
        )
    except OSError as error:
        fault = f"{error.filename or endpoint['target']}: {error.strerror or error}"
    results = [_settled(one, kept_out.get(one["delivery_key"], ""), fault, settings, clock()) for one in claimed]
    step("settle")
    with transaction(engine) as session:
        claims.settle(session, results)
    step("settled")
    return Counter(one.status for one in results)


def _lists(
    engine: Engine, settings: DeliverySettings, claimed: list[Claimed], kept_out: dict[int, str], now: datetime
) -> Iterator[list[Made]]:
    """Yield lists a thousand at a time, and note which deliveries have none and why."""
    for start in range(0, len(claimed), CHUNK):
        part = claimed[start : start + CHUNK]
        with transaction(engine) as session:
            shown = lists_to_push(session, part, n=settings.list_length, now=now)
        made = []
        for one in part:
            found = shown[one["delivery_key"]]
            if isinstance(found, str):
                kept_out[one["delivery_key"]] = found
            else:
                made.append({**{name: one[name] for name in ("delivery_id", "push_at", "expires_at")}, **found})
        yield made


def _settled(one: Claimed, kept_out: str, fault: str, settings: DeliverySettings, now: datetime) -> Settled:
    number = {"delivery_key": one["delivery_key"], "number": one["attempts"], "finished_at": now}
    if fault:
        if one["failures"] >= len(settings.retry_seconds):
            return Settled(**number, outcome=fault, status=DEAD)
        due_at = now + timedelta(seconds=settings.retry_seconds[one["failures"]])
        return Settled(**number, outcome=fault, status=PENDING, due_at=due_at)
    if kept_out:
        return Settled(**number, outcome=kept_out, status=DROPPED, failed=False)
    return Settled(**number, outcome="written", status=DELIVERED)


def _write_folder(
    folder: Path, endpoint: Endpoint, claimed: list[Claimed], parts: Iterator[list[Made]], step: Callable[[str], None]
) -> None:
    digest = hashlib.sha256("\n".join(one["delivery_id"] for one in claimed).encode()).hexdigest()[:16]
    first = min(one["due_at"] for one in claimed).astimezone(UTC)
    whole = folder / f"{first:%Y%m%dT%H%M%SZ}-{digest}"
    half = folder / f".{endpoint['endpoint_id']}-{whole.name}.part"
    shutil.rmtree(half, ignore_errors=True)  # a worker that died may have left it
    if whole.exists():
        for _ in parts:  # what is kept out is noted on the way
            pass
        return
    try:
        half.mkdir()
        with _WRITERS[endpoint["kind"]](half) as writer:
            for part in parts:
                step("send")
                writer.add(part)
        file = writer.path
        if not writer.lists:
            shutil.rmtree(half)
            return
        manifest = {
            "batch": whole.name,
            "organisation": endpoint["organisation"],
            "lists": writer.lists,
            "files": [{"name": file.name, "rows": writer.rows, **_sums(file)}],
        }
        (half / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
        for path in (file, half / MANIFEST, half):
            _keep(path)
        half.rename(whole)
        _keep(folder)
    except OSError:
        shutil.rmtree(half, ignore_errors=True)
        raise
    step("sent")


def _sums(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}


def _keep(path: Path) -> None:
    """Have the disk hold what was written, before anyone is told that it is there."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class _Writer(ABC):
    """Writes the lists of a batch; use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lists = self.rows = 0
        self._file: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @abstractmethod
    def add(self, lists: list[Made]) -> None:
        """Write some lists."""


class _JsonLines(_Writer):
    """One line per list."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "lists.jsonl")
        self._file = self.path.open("wb")

    def add(self, lists: list[Made]) -> None:
        self._file.writelines(orjson.dumps(one, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for one in lists)
        self.lists += len(lists)
        self.rows += len(lists)


class _Parquet(_Writer):
    """One row per item of a list."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "lists.parquet")
        self._file = pq.ParquetWriter(self.path, COLUMNS, compression="zstd")

    def add(self, lists: list[Made]) -> None:
        rows = [_flat(one, item) for one in lists for item in one["items"]]
        self._file.write_table(pa.Table.from_pylist(rows, schema=COLUMNS))
        self.lists += len(lists)
        self.rows += len(rows)


def _flat(one: Made, item: dict[str, Any]) -> dict[str, Any]:
    reason = item["reason"]
    return {
        **{name: value for name, value in one.items() if name != "items"},
        **{name: value for name, value in item.items() if name not in {"reason", "language"}},
        "item_language": item["language"],
        "reason_code": reason["code"],
        "reason_text": reason["text"],
    }


_WRITERS: dict[str, Callable[[Path], _Writer]] = {"jsonl": _JsonLines, "parquet": _Parquet}
