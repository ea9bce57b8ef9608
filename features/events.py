"""Study events: validation, derived ids, deduplication, blocks of members."""

from collections.abc import Iterator
from uuid import UUID, uuid5

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from content_catalog.io.files import rejects_frame
from content_catalog.io.times import BASIC_DAY
from content_catalog.io.validation import TextRows, check_rows, joined_rejects
from content_catalog.io.values import stripped
from features.schema import CONTENT, EVENTS, VOIDED

EVENT_NAMESPACE = UUID("5f0a6f5e-3c1b-5d0e-9a44-7d5e4f0f6b11")
FIELD_SEPARATOR = "\x1f"
DATE = rf"^(?:{BASIC_DAY})$"
LOCAL_TIME = r"[T ]\d{2}[\d:.,]*$"
"""The end of a time without an offset; a date alone is no time."""
BLOCK_EVENTS = 1_000_000
"""Events of a block, about: interactions are made of as many in 250 MB."""
MISSING = "missing, and required"
SAME_ID = "another event with this id says something else; ids must be unique"


def check_events(frame: pd.DataFrame | TextRows, *, zone: str = "UTC") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the valid events of a chunk of text rows, each with an id, and the rejects.

    A voiding event needs ``voided_event_id``, any other one a member and an item.

    Parameters
    ----------
    zone : str
        IANA name of the zone of times without an offset.
    """
    events, rejects = check_rows(frame, EVENTS, zone=zone)
    events = _with_dates(events, frame, zone)
    verbs = pa.array(events["verb"], from_pandas=True)
    voiding = pc.fill_null(pc.equal(verbs, VOIDED), fill_value=False).to_numpy(zero_copy_only=False)
    faults = [
        *_missing(events, "voided_event_id", voiding, "a voided event must name the event it voids"),
        *(fault for name in ("member_id", "item_id") for fault in _missing(events, name, ~voiding, MISSING)),
        *(_missing_too(frame, rejects) if len(rejects) else ()),
    ]
    if faults:
        wrong = rejects_frame(faults)
        events = events.drop(index=wrong["line"].unique(), errors="ignore")
        rejects = joined_rejects([rejects, wrong])
    return with_event_ids(events), rejects


def has_local_times(frame: pd.DataFrame) -> bool:
    """Return whether events have times without an offset."""
    if "occurred_at" not in frame:
        return False
    return bool(pc.any(pc.match_substring_regex(stripped(frame["occurred_at"]), LOCAL_TIME)).as_py())


def _with_dates(events: pd.DataFrame, frame: pd.DataFrame | TextRows, zone: str) -> pd.DataFrame:
    """Return the events with ``date_only`` filled in, and those that are so at midnight UTC of their date.

    An event is date-only where ``occurred_at`` is written without a time, unless its ``date_only`` says otherwise.
    """
    date_only = np.zeros(len(events), dtype=bool)
    if "occurred_at" in frame:
        written = pc.match_substring_regex(stripped(frame["occurred_at"]), DATE).fill_null(fill_value=False)
        lines = frame.index[np.asarray(written.to_numpy(zero_copy_only=False), dtype=bool)]
        date_only = np.asarray(events.index.isin(lines)) if len(lines) else date_only
    date_only = np.asarray(events["date_only"].fillna(pd.Series(date_only, index=events.index)), dtype=bool)
    events = events.assign(date_only=date_only)
    if date_only.any():
        day = events["occurred_at"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize().dt.tz_localize("UTC")
        events["occurred_at"] = events["occurred_at"].where(~date_only, day)
    return events


def _missing(events: pd.DataFrame, name: str, where: np.ndarray, reason: str) -> list[tuple[int, str, str, str]]:
    absent = where & events[name].isna().to_numpy()
    return [(int(line), name, "", reason) for line in events.index[absent]] if absent.any() else []


def _missing_too(frame: pd.DataFrame | TextRows, rejects: pd.DataFrame) -> Iterator[tuple[int, str, str, str]]:
    """Yield the ids that rejected lines lack too, so that a reader sees all their faults."""
    names = ("verb", "voided_event_id", "member_id", "item_id")
    texts = {name: stripped(frame[name]) for name in names if name in frame}
    for position in np.flatnonzero(np.isin(frame.index, rejects["line"])):
        values = {name: column[position].as_py() for name, column in texts.items()}
        if values.get("verb") != VOIDED and not values.get("voided_event_id"):
            line = int(frame.index[position])
            yield from ((line, name, "", MISSING) for name in ("member_id", "item_id") if not values.get(name))


def with_event_ids(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events; those without an id get a UUIDv5 of their content (RFC 9562, 5.5)."""
    without_id = events["event_id"].isna()
    if not without_id.any():
        return events
    contents = _contents(events[without_id])
    named = events.copy()
    named.loc[without_id, "event_id"] = [str(uuid5(EVENT_NAMESPACE, content)) for content in contents]
    return named


def _contents(events: pd.DataFrame) -> list[str]:
    """Return each event's content as one text, the same whatever file format it came from."""
    columns = []
    for name in CONTENT:
        values = pa.array(events[name], from_pandas=True)
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        columns.append(pc.fill_null(values.cast(pa.string()), ""))
    texts: list[str] = pc.binary_join_element_wise(*columns, FIELD_SEPARATOR).to_pylist()
    return texts


def deduplicate(events: pd.DataFrame) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """Return a chunk's distinct events, the number of exact duplicates, and rejects for ids with two contents."""
    if pc.count_distinct(pa.array(events["event_id"], from_pandas=True)).as_py() == len(events):
        return events, 0, rejects_frame(())
    repeated = events["event_id"].duplicated().to_numpy()
    first = events[~repeated]
    other, same = compare_content(events[repeated], first)
    return first, int(same), other


def compare_content(events: pd.DataFrame, stored: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return rejects of the events that are stored with other content, and the number stored with the same.

    Events whose id is not stored count as neither.
    """
    against = stored.set_index("event_id").reindex(events["event_id"])
    exists = events["event_id"].isin(stored["event_id"]).to_numpy()
    differs = np.zeros(len(events), dtype=bool)
    for name in CONTENT:
        sent, recorded = events[name].reset_index(drop=True), against[name].reset_index(drop=True)
        differs |= ~((sent == recorded) | (sent.isna() & recorded.isna())).fillna(value=False).to_numpy(dtype=bool)
    clash = events[exists & differs]
    rejects = rejects_frame((int(line), "event_id", str(value), SAME_ID) for line, value in clash["event_id"].items())
    return rejects, int((exists & ~differs).sum())


def by_members(events: pd.DataFrame, n_members: int, block_events: int = BLOCK_EVENTS) -> Iterator[pd.DataFrame]:
    """Yield events in blocks of whole members, in the order of these; members are row numbers.

    >>> [block["member"].tolist() for block in by_members(pd.DataFrame({"member": [2, 0, 2, 1]}), 3, block_events=2)]
    [[0, 1], [2, 2]]
    """
    if 0 < len(events) <= block_events:
        yield events
    elif len(events):
        member = events["member"].to_numpy()
        block = ((np.cumsum(np.bincount(member, minlength=n_members)) - 1) // block_events)[member].astype(np.int16)
        order = np.argsort(block, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
            yield events.iloc[rows]
