"""Copy of an organisation's study events as Parquet files by month, from which nights read them in bounded memory.

The database stays the truth: it is asked for a digest of each day, and the days that differ are read from it and
written again, whatever changed them (new and late events, voids, retention, erasure, a restored backup).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import structlog
from sqlalchemy import BigInteger, ColumnElement, LargeBinary, cast, func, literal, select, type_coerce
from sqlalchemy.orm import Session

from features.schema import SHOWN, VERBS
from features.study_time import DAY_MICROSECONDS
from infra.db import bulk
from infra.db.core_tables import EPOCH, MICROSECOND, events
from infra.events import month_files
from infra.events.store import counting

log = structlog.get_logger("xuelu.nightly")
Digests = dict[int, tuple[int, int]]
"""Number of events and sum of their checksums, by day."""
COPIED: Final = [name for name in month_files.SCHEMA.names if name != month_files.CHECKSUM]
SEPARATOR: Final = "\x1f"
LOW_BITS: Final = 0xFFFF_FFFF
NO_ROWS: Final = month_files.SCHEMA.empty_table()


def study_events(
    session: Session, organisation_key: int, folder: Path, *, members: pd.Index, items: pd.Index, before: datetime
) -> pd.DataFrame:
    """Return the rows of :func:`infra.events.store.study_events`, in another order, by the copy in a folder."""
    digests = day_digests(session, organisation_key)
    n_rows = sum(number for number, _ in digests.values())
    empty = month_files.numbered(NO_ROWS, members, items)
    columns = {name: np.empty(n_rows, dtype=values.dtype) for name, values in empty.items()}
    end, limit = 0, (before - EPOCH) // MICROSECOND
    for table in months(session, organisation_key, folder, digests):
        rows = month_files.numbered(table, members, items)
        counts = (rows["member"] >= 0) & (rows["item"] >= 0) & (rows["occurred_at"] < limit)
        start, end = end, end + int(counts.sum())
        for name, values in rows.items():
            columns[name][start:end] = values[counts]
    whole: dict[str, Any] = {name: values[:end] for name, values in columns.items()}
    whole["verb"] = pd.Categorical.from_codes(whole["verb"], dtype=pd.CategoricalDtype(VERBS))
    return pd.DataFrame(whole, copy=False)


def months(session: Session, organisation_key: int, folder: Path, digests: Digests) -> Iterator[pa.Table]:
    """Yield the events of each month as the database has them; write the files of those that differ.

    A file that cannot be written is left for another night: what is yielded is right without it.
    """
    by_month: dict[str, Digests] = {}
    for day, digest in digests.items():
        by_month.setdefault(month_files.month_of(day), {})[day] = digest
    _tidy(folder, by_month)
    for month, expected in sorted(by_month.items()):
        table = _stored(folder, month)
        changed = _different(expected, month_files.digests(table))
        if changed:
            days = range(min(changed), max(changed) + 1)
            unchanged = table.filter(pa.array(~np.isin(month_files.day_of(table["occurred_at"]), days)))
            table = pa.concat_tables([unchanged, _from_database(session, organisation_key, days)])
            try:
                month_files.write(folder, month, table)
            except OSError as error:
                log.warning("a month of the event copy cannot be written", month=month, error=str(error))
        yield table


def day_digests(session: Session, organisation_key: int) -> Digests:
    """Return the digest of each day's study events in the database."""
    checksum = cast(func.sum(_checksum(session.get_bind().dialect.name)), BigInteger)
    query = select(_day().label("day"), func.count(), checksum).group_by("day")
    rows = session.execute(query.where(counting(organisation_key), events.c.verb != SHOWN))
    return {day: (number, total) for day, number, total in rows}


def _tidy(folder: Path, by_month: Mapping[str, Digests]) -> None:
    """Make the folder; remove unfinished files and those of months without events."""
    try:
        month_files.prepare(folder)
        for month in month_files.months_in(folder):
            if month not in by_month:
                month_files.path_of(folder, month).unlink()
    except OSError as error:
        log.warning("the folder of the event copy cannot be written", folder=str(folder), error=str(error))


def _stored(folder: Path, month: str) -> pa.Table:
    """Return the rows in the file of a month; none where it is missing or damaged."""
    try:
        return month_files.read(folder, month)
    except FileNotFoundError:
        return NO_ROWS
    except month_files.UNREADABLE as error:
        log.warning("a month of the event copy is damaged and written again", month=month, error=str(error))
        return NO_ROWS


def _different(expected: Digests, present: Digests) -> set[int]:
    return {day for day in expected.keys() | present.keys() if expected.get(day) != present.get(day)}


def _from_database(session: Session, organisation_key: int, days: range) -> pa.Table:
    """Return the study events of some days in a row."""
    checksum = _checksum(session.get_bind().dialect.name).label(month_files.CHECKSUM)
    query = select(*bulk.raw_columns(events, COPIED), checksum).where(
        counting(organisation_key),
        events.c.verb != SHOWN,
        _day().between(days[0], days[-1]),
    )
    parts = [pa.table(part, schema=month_files.SCHEMA) for part in bulk.read_columns(session, query)]
    return pa.concat_tables([NO_ROWS, *parts])


def _day() -> ColumnElement[int]:
    """Return the day of an event, in UTC, counted from 1970-01-01."""
    return type_coerce(events.c.occurred_at, BigInteger) // DAY_MICROSECONDS


def _checksum(dialect: str) -> ColumnElement[int]:
    """Return a number of 32 bits from an event's id, member and item: the rest of an event never changes."""
    text = events.c.event_id + SEPARATOR + events.c.member_id + SEPARATOR + events.c.item_id
    if dialect == "postgresql":
        return func.hashtextextended(text, 0).op("&", return_type=BigInteger())(literal(LOW_BITS, BigInteger))
    return func.crc32(cast(text, LargeBinary), type_=BigInteger())
