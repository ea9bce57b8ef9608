"""What xuelu wrote into files about members, taken out of them again: rejects, and batches for apps that take files."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def erase_lines(files: Iterable[Path], member_id: str) -> int:
    """Take the lines that hold an id out of text files; return how many. A file is exchanged whole, or not at all."""
    needle, total = member_id.encode(), 0
    for path in files:
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if needle not in line]
        if len(kept) < len(lines):
            _exchange(path, b"".join(kept))
            total += len(lines) - len(kept)
    return total


def erase_lists(folder: Path, organisation: str, member_id: str) -> int:
    """Take a member's lists out of an organisation's batches in a folder; return how many.

    The manifest of a batch tells its new rows, bytes and SHA-256, so that what is there still passes for whole.
    """
    total = 0
    for path in sorted(folder.glob("*/manifest.json")):
        manifest = orjson.loads(path.read_bytes())
        if manifest["organisation"] != organisation:
            continue
        removed = sum(_erase_from(path.parent, file, member_id) for file in manifest["files"])
        if removed:
            manifest["lists"] -= removed
            _exchange(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
            total += removed
    return total


def _erase_from(folder: Path, file: dict[str, Any], member_id: str) -> int:
    """Take a member's lists out of one file of a batch, bring its entry in the manifest up to date, and count them."""
    path = folder / file["name"]
    content, rows, removed = (_lists_kept if path.suffix == ".jsonl" else _rows_kept)(path, member_id)
    if removed:
        _exchange(path, content)
        file.update(rows=rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return removed


def _lists_kept(path: Path, member_id: str) -> tuple[bytes, int, int]:
    needle = orjson.dumps(member_id)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if needle not in line or orjson.loads(line)["member_id"] != member_id]
    return b"".join(kept), len(kept), len(lines) - len(kept)


def _rows_kept(path: Path, member_id: str) -> tuple[bytes, int, int]:
    table = pq.read_table(path)
    theirs = pc.equal(table["member_id"], member_id)
    removed = len(pc.unique(table.filter(theirs)["delivery_id"]))
    kept = table.filter(pc.invert(theirs))
    sink = pa.BufferOutputStream()
    pq.write_table(kept, sink, compression="zstd")
    return sink.getvalue().to_pybytes(), kept.num_rows, removed


def _exchange(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
