"""Erasure of a member's data from files: rejects, and batches for apps that take files."""

import csv
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from content_catalog.io.files import shortened
from content_catalog.io.values import WHITE_SPACE
from content_catalog.schema import ITEMS
from features.schema import EVENTS, MEMBERS
from infra.ingest.rejects import unescape_formula

MANIFEST: Final = "manifest.json"
ERASED: Final = "(erased)"
"""Takes the place of an erased id in texts and names of files."""
REPLACEMENT: Final = ".xuelu-new"
"""Ending of a file that takes another one's place once it is whole."""

OTHER_COLUMNS: Final = frozenset({*EVENTS.names, *MEMBERS.names, *ITEMS.names} - {"member_id"})
"""Columns whose values are no ids of members; other fields hold ids, whole lines or parts of statements."""

EXPORT_MANIFEST: Final = "export.json"
"""File that names the organisation and the files of an export."""

EXPORT_FORMATS: Final = ("parquet", "csv", "jsonl")

SEPARATORS: Final = re.compile(r"[,;\t|\"'{}\[\]\s]+")

JSON_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")

LETTER: Final = r"[^\W\u0900-\U0010ffff]"
"""Letter, digit or underscore of a script with spaces between words: Latin, Cyrillic, Arabic, not Chinese."""

MIN_WORD_LENGTH: Final = 6
"""Shorter numbers and words, such as ``12`` and ``sick``, mean something else in a text as well."""


def is_distinctive(member_id: str) -> bool:
    """Return whether an id in a text names the member, and is no number or word that stands there by itself.

    >>> [is_distinctive(member_id) for member_id in ("12", "sick", "m12", "王伟", "x", "123456")]
    [False, False, True, True, False, True]
    """
    mixed = len(member_id) > 1 and not (member_id.isascii() and (member_id.isdecimal() or member_id.isalpha()))
    return mixed or len(member_id) >= MIN_WORD_LENGTH


def written_forms(member_id: str) -> list[str]:
    """Return an id as it stands in texts, in JSON with and without escapes of other scripts, and in quoted CSV.

    >>> len(written_forms('Zoë "Z"')), written_forms("m1")
    (4, ['m1'])
    """
    in_json = (json.dumps(member_id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return list(dict.fromkeys([member_id, *in_json, member_id.replace('"', '""')]))


def mention_of(member_id: str) -> re.Pattern[str]:
    """Return the pattern of an id in a text: not as part of a longer id or name, but amid Chinese, which has no spaces.

    >>> pattern = mention_of("wang5")
    >>> [bool(pattern.search(text)) for text in ("因wang5请假", "for wang5.", "wang57", "x-wang5")]
    [True, True, False, False]
    """
    forms, accents = "|".join(map(re.escape, written_forms(member_id))), "[-\u0300-\u036f]"
    return re.compile(rf"(?<!{LETTER})(?<!{accents})(?:{forms})(?!{accents})(?!{LETTER})")


def erase_rejects(path: Path, member_id: str) -> int:
    """Remove the rejects that name a member from a rejects file, and its id from the file's name; return how many.

    The file is replaced whole.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    remaining = [row for row in rows if not _names(row, member_id)]
    if len(remaining) < len(rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *remaining])
        _replace(path, text.getvalue().encode("utf-8", "surrogateescape"))
    if is_distinctive(member_id) and (name := mention_of(member_id).sub(ERASED, path.name)) != path.name:
        path.replace(path.with_name(name))
    return len(rows) - len(remaining)


def _names(row: list[str], member_id: str) -> bool:
    """Return whether a reject, ``line, field, value, reason``, names a member."""
    _, field, value, *_ = [*row, "", "", ""]
    value = unescape_formula(value)
    if field in OTHER_COLUMNS:
        return False
    if field == "member_id":
        return value.strip(WHITE_SPACE) in {member_id, shortened(member_id)}
    text = f"{value}\n{_unescaped(value)}"
    if is_distinctive(member_id):
        return any(mention_of(name).search(text) for name in {member_id, shortened(member_id)})
    words = (word.strip(":").removeprefix("mailto:") for word in SEPARATORS.split(text))
    return member_id in words


def _unescaped(text: str) -> str:
    r"""Return a text without the escapes of JSON, which programs write in several ways.

    >>> _unescaped(r"http:\/\/x\/\u738B\n\ud83d\ude00") == "http://x/王 😀"
    True
    """
    plain = JSON_ESCAPE.sub(lambda part: chr(int(part[1], 16)) if part[1] else _SPACES.get(part[2], part[2]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_SPACES: Final = dict.fromkeys("nrtbf", " ")


def export_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of the export in a folder: ``organisation, files``; None where there is none."""
    try:
        manifest = orjson.loads((folder / EXPORT_MANIFEST).read_bytes())
        names = [str(name) for name in manifest["files"]]
        return {
            "organisation": str(manifest["organisation"]),
            "files": [name for name in names if Path(name).name == name],
        }
    except (OSError, ValueError, LookupError, TypeError):
        return None


def remove_export(folder: Path, organisation: str) -> int:
    """Remove the files of an organisation's export in a folder, unfinished ones too; return how many."""
    manifest = export_manifest(folder)
    if manifest is not None and manifest["organisation"] != organisation:
        return 0
    present = [path for name in (manifest["files"] if manifest else ()) if (path := folder / name).is_file()]
    present += [path for form in EXPORT_FORMATS for path in folder.glob(f".*.{form}.part")]
    for path in present:
        path.unlink()
    (folder / EXPORT_MANIFEST).unlink(missing_ok=True)
    return len(present)


def remove_unfinished(folder: Path, endpoint_id: str) -> None:
    """Remove what was not finished: batches of an endpoint, whose worker fails and retries, and files of erasures."""
    for part in folder.glob(f".{endpoint_id}-*.part"):
        shutil.rmtree(part)
    remove_replacements(folder.glob("*/"))


def remove_replacements(places: Iterable[Path]) -> None:
    """Remove the files that an erasure which was killed had not put in their place."""
    for place in places:
        for path in place.glob(f".*{REPLACEMENT}"):
            path.unlink(missing_ok=True)


def erase_batches(folder: Path, organisation: str, member_id: str) -> int:
    """Remove a member's lists from an organisation's batches in a folder; return how many.

    The manifest of a batch is updated with the new rows, bytes and SHA-256, so that what is left passes as whole.
    Folders that hold no batch of the organisation are not touched.
    """
    return sum(erase_from_batch(path.parent, organisation, member_id) for path in sorted(folder.glob(f"*/{MANIFEST}")))


def erase_from_batch(batch: Path, organisation: str, member_id: str) -> int:
    """Remove a member's lists from one batch; return how many."""
    manifest = _manifest(batch / MANIFEST)
    if manifest is None or manifest["organisation"] != organisation:
        return 0
    removed = sum(_erase_from(batch, file, member_id) for file in manifest["files"])
    if removed:
        manifest["lists"] -= removed
        _replace(batch / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return removed


def _manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a batch; None where the file is something else."""
    try:
        manifest = orjson.loads(path.read_bytes())
        names = [file["name"] for file in manifest["files"]]
        ours = all(name in _ERASERS for name in names) and {"organisation", "lists"} <= set(manifest)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return manifest if ours else None


def _erase_from(batch: Path, file: dict[str, Any], member_id: str) -> int:
    """Remove a member's lists from one file of a batch, update its entry in the manifest, and count them."""
    path = batch / file["name"]
    if not path.exists():  # the app has taken it
        return 0
    content, rows, removed = _ERASERS[file["name"]](path, member_id)
    if removed:
        _replace(path, content)
        file.update(rows=rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return removed


def _without_lists(path: Path, member_id: str) -> tuple[bytes, int, int]:
    needle = orjson.dumps(member_id)
    lines = path.read_bytes().splitlines(keepends=True)
    remaining = [line for line in lines if needle not in line or orjson.loads(line)["member_id"] != member_id]
    return b"".join(remaining), len(remaining), len(lines) - len(remaining)


def _without_rows(path: Path, member_id: str) -> tuple[bytes, int, int]:
    table = pq.read_table(path)
    rows = pc.equal(table["member_id"], member_id)
    removed = len(pc.unique(table.filter(rows)["delivery_id"]))
    remaining = table.filter(pc.invert(rows))
    sink = pa.BufferOutputStream()
    pq.write_table(remaining, sink, compression="zstd")
    return sink.getvalue().to_pybytes(), remaining.num_rows, removed


_ERASERS: dict[str, Callable[[Path, str], tuple[bytes, int, int]]] = {
    "lists.jsonl": _without_lists,
    "lists.parquet": _without_rows,
}


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}{REPLACEMENT}")
    part.write_bytes(b"")
    shutil.copymode(path, part)
    part.write_bytes(content)
    part.replace(path)
