"""Batch files: due lists for an app that takes files, in one folder that appears whole or not at all."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine

from infra.db.engine import transaction
from infra.delivery import claims
from infra.delivery.claims import AttemptResult, Claim
from infra.delivery.endpoints import Endpoint
from infra.delivery.outbox import DELIVERED, DROPPED
from infra.delivery.payloads import lists_to_push
from infra.policy.required_entries import list_rules
from infra.privacy.files import MANIFEST, erase_batches
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings

CHUNK = 1_000
MAX_BATCH = 1_000_000
LEASE: Final = timedelta(minutes=30)
BATCH_MODE: Final = 0o770
"""Batches name members: their owner, and the group of the app that takes them, read them; the umask may forbid more."""

TEXT, MOMENT = pa.string(), pa.timestamp("us", "UTC")
COLUMNS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("delivery_id", "member_id", "list_id", "run_id", "strategy", "language")),
        *((name, MOMENT) for name in ("made_at", "push_at", "expires_at")),
        ("rank", pa.int32()),
        *((name, TEXT) for name in ("item_id", "title", "format")),
        ("duration_seconds", pa.float64()),
        *((name, TEXT) for name in ("item_language", "url", "reason_code", "reason_text")),
    ]
)
"""One row per item of a list in Parquet."""

PushList = dict[str, Any]
Write = Callable[[list[PushList]], int]
"""Writes some lists and returns the number of their rows."""


def write_batch(
    engine: Engine,
    settings: Settings,
    endpoint: Endpoint,
    *,
    clock: Callable[[], datetime],
    step: Callable[[str], None] = lambda _name: None,
) -> Counter[str]:
    """Write what is due for an endpoint as one batch, and return how many deliveries have which status now.

    The folder ``TIME-DIGEST`` holds ``lists.jsonl`` or ``lists.parquet`` and ``manifest.json`` with the rows, bytes and
    SHA-256 of it. Its name is derived from its deliveries: where a worker died between writing and recording, the next
    one finds the folder and writes nothing twice.
    """
    step("claim")
    now = clock()
    with transaction(engine) as session:
        batch = claims.claim(session, endpoint["endpoint_key"], limit=MAX_BATCH, lease=LEASE, now=now)
    if not batch:
        return Counter()
    step("claimed")
    batch.sort(key=lambda claim: claim["delivery_id"])
    left_out: dict[int, str] = {}
    fault = ""
    try:
        _write_folder(Path(endpoint["target"]), endpoint, batch, _lists(engine, settings, batch, left_out, now), step)
    except OSError as error:
        fault = f"{error.filename or endpoint['target']}: {error.strerror or error}"
    _erase_members_gone(engine, endpoint, batch)
    results = [
        _result(claim, left_out.get(claim["delivery_key"], ""), fault, settings.delivery, clock()) for claim in batch
    ]
    step("record")
    with transaction(engine) as session:
        claims.record_results(session, results)
    step("recorded")
    return Counter(result.status for result in results)


def _erase_members_gone(engine: Engine, endpoint: Endpoint, batch: list[Claim]) -> None:
    """Remove lists of members who were erased while the batch was being written: their deliveries are gone.

    An erasure searches the folder after its own deletions, so that either side finds a list that was written between.
    """
    with transaction(engine) as session:
        gone = claims.missing(session, batch)
    for claim in gone:
        erase_batches(Path(endpoint["target"]), endpoint["organisation"], claim["member_id"])


def _lists(
    engine: Engine, settings: Settings, batch: list[Claim], left_out: dict[int, str], now: datetime
) -> Iterator[list[PushList]]:
    """Yield lists a thousand at a time; deliveries without a list go into ``left_out`` with the reason."""
    length, rules = settings.delivery.list_length, list_rules(settings)
    for start in range(0, len(batch), CHUNK):
        part = batch[start : start + CHUNK]
        with transaction(engine) as session:
            payloads = lists_to_push(session, part, n=length, now=now, rules=rules)
        push_lists = []
        for claim in part:
            payload = payloads[claim["delivery_key"]]
            if isinstance(payload, str):
                left_out[claim["delivery_key"]] = payload
            else:
                push_lists.append(
                    {**{name: claim[name] for name in ("delivery_id", "push_at", "expires_at")}, **payload}
                )
        yield push_lists


def _result(claim: Claim, left_out: str, fault: str, settings: DeliverySettings, now: datetime) -> AttemptResult:
    if fault:
        return claims.result_of_failure(claim, fault, settings.retry_seconds, now=now)
    result = partial(AttemptResult, claim["delivery_key"], claim["attempts"], now)
    return result(left_out, DROPPED, failed=False) if left_out else result("written", DELIVERED)


def _write_folder(
    folder: Path,
    endpoint: Endpoint,
    batch: list[Claim],
    parts: Iterator[list[PushList]],
    step: Callable[[str], None],
) -> None:
    """Write the lists of a batch as a folder that appears whole; none where nothing is left to push."""
    digest = hashlib.sha256("\n".join(claim["delivery_id"] for claim in batch).encode()).hexdigest()[:16]
    first = min(claim["due_at"] for claim in batch).astimezone(UTC)
    final = folder / f"{first:%Y%m%dT%H%M%SZ}-{digest}"
    unfinished = folder / f".{endpoint['endpoint_id']}-{final.name}.part"
    shutil.rmtree(unfinished, ignore_errors=True)  # a worker that died may have left it
    if final.exists():
        for _ in parts:  # fills in which deliveries are left out
            pass
        return
    try:
        unfinished.mkdir(mode=BATCH_MODE)
        if not _write_files(unfinished, final.name, endpoint, parts, step):
            shutil.rmtree(unfinished)
            return
        unfinished.rename(final)
        _fsync(folder)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    step("sent")


def _write_files(
    folder: Path, name: str, endpoint: Endpoint, parts: Iterator[list[PushList]], step: Callable[[str], None]
) -> int:
    """Write the lists of a batch, and its manifest where there are any, to the disk; return the number of lists."""
    file = folder / f"lists.{endpoint['kind']}"
    n_lists = n_rows = 0
    with _WRITERS[endpoint["kind"]](file) as write:
        for part in parts:
            step("send")
            n_rows += write(part)
            n_lists += len(part)
    if n_lists:
        manifest = {
            "batch": name,
            "organisation": endpoint["organisation"],
            "lists": n_lists,
            "files": [{"name": file.name, "rows": n_rows, **_sums(file)}],
        }
        (folder / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
        for path in (file, folder / MANIFEST, folder):
            _fsync(path)
    return n_lists


def _sums(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}


def _fsync(path: Path) -> None:
    """Flush a file or folder to disk before its delivery is recorded."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _json_lines(path: Path) -> Iterator[Write]:
    """Open a file of one line per list."""
    with path.open("wb") as file:

        def write(lists: list[PushList]) -> int:
            options = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
            file.writelines(orjson.dumps(push_list, option=options) for push_list in lists)
            return len(lists)

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    """Open a file of one row per item of a list."""
    with pq.ParquetWriter(path, COLUMNS, compression="zstd") as file:

        def write(lists: list[PushList]) -> int:
            rows = [_flat(push_list, item) for push_list in lists for item in push_list["items"]]
            file.write_table(pa.Table.from_pylist(rows, schema=COLUMNS))
            return len(rows)

        yield write


def _flat(push_list: PushList, item: dict[str, Any]) -> dict[str, Any]:
    reason = item["reason"]
    return {
        **{name: value for name, value in push_list.items() if name != "items"},
        **{name: value for name, value in item.items() if name not in {"reason", "language"}},
        "item_language": item["language"],
        "reason_code": reason["code"],
        "reason_text": reason["text"],
    }


_WRITERS: Final = {"jsonl": _json_lines, "parquet": _parquet}
