"""Record of erasures in a file beside the database, so that restoring a backup does not bring erased members back.

A line holds no id but its HMAC under a key of the organisation. The key is in the database and in each backup,
never in the file: without it a line says nothing. An organisation has a key from its first backup on.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from infra.db.core_tables import organisations
from infra.file_modes import FILE_MODE, FOLDER_MODE

NAME: Final = "erasures.jsonl"
LINE_START: Final = b'{"organisation":'


class RecordedErasure(NamedTuple):
    """An erasure as the file records it."""

    organisation: str
    digest: str
    erased_at: datetime


def make_keys(session: Session) -> None:
    """Give a key to every organisation that has none."""
    missing = select(organisations.c.organisation_key).where(organisations.c.erasure_key.is_(None))
    for organisation_key in session.scalars(missing).all():
        own = organisations.c.organisation_key == organisation_key
        session.execute(update(organisations).where(own).values(erasure_key=secrets.token_hex(32)))


def digest_of(member_id: str, erasure_key: str) -> str:
    """Return the keyed digest of a member's id.

    >>> digest_of("m1", "00")[:12], digest_of("m1", "01")[:12]
    ('7dd809e6929e', '3036844d7d6f')
    """
    return hmac.new(bytes.fromhex(erasure_key), member_id.encode(), hashlib.sha256).hexdigest()


def record(session: Session, folder: Path, organisation_key: int, member_id: str, *, now: datetime) -> list[str]:
    """Append an erasure to the file in a folder, if there can be a backup with the member; return what is left to do.

    It stands there before the erasure is committed: an erasure that is not recorded could be undone by a restore.
    """
    query = select(organisations.c.name, organisations.c.erasure_key)
    name, erasure_key = session.execute(query.where(organisations.c.organisation_key == organisation_key)).one()
    if erasure_key is None:
        return []
    line = orjson.dumps({"organisation": name, "digest": digest_of(member_id, erasure_key), "erased_at": now})
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
        try:
            size = os.fstat(file).st_size
            cut_off = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            os.write(file, b"\n" * cut_off + line + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        return [f"{path} cannot be written ({error.strerror}): erase the member again after restoring a backup"]
    return []


def read(paths: Iterable[Path]) -> Iterator[RecordedErasure]:
    """Yield the erasures that files record.

    Raises
    ------
    OSError
    ValueError
        A line is not one that :func:`record` writes; a line that a crash cut off is passed over.
    """
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            begins = line.startswith(LINE_START) or LINE_START.startswith(line)
            if begins and not line.endswith(b"}"):
                continue
            recorded = orjson.loads(line)
            erased_at = datetime.fromisoformat(recorded["erased_at"])
            yield RecordedErasure(recorded["organisation"], recorded["digest"], erased_at)
