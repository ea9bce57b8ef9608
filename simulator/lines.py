"""Events as the lines of a CSV file, in the order a careless exporter would write them."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import EVENTS, VERBS, VOIDED
from simulator.events import EventColumns
from simulator.organisation.catalogue import DAY_SECONDS, Flags, Floats, Ints
from simulator.organisation.members import DEVICES, Block

VOIDED_SHARE: Final = 0.003
VOIDABLE: Final = ("viewed", "started", "progressed", "liked", "bookmarked", "shared")
"""Verbs whose voiding neither reopens an item nor changes an affinity."""


def event_lines(
    block: Block, log: EventColumns, *, item_ids: list[str], prefix: str, rng: np.random.Generator
) -> list[bytes]:
    """Return the lines of the events of a block, a few of them voided by a line before or after their own.

    Parameters
    ----------
    block, log
        Members and their events.
    item_ids
        Ids of the items of the catalogue.
    prefix
        Begins the id of every event; no other block may have it.
    rng
        Random numbers.
    """
    target, void_at, position = _voids(log, rng)
    rows = np.concatenate([np.arange(len(log.verb)), target])
    is_void = np.arange(len(rows)) >= len(log.verb)
    ids = pc.binary_join_element_wise(prefix, pa.array(np.arange(1, len(rows) + 1)).cast(pa.string()), "-")
    members = log.member[rows]
    columns = {
        "event_id": ids,
        "member_id": pa.array(block.member_ids).take(pa.array(members)),
        "item_id": pa.array(item_ids).take(pa.array(log.item[rows])),
        "verb": pa.array(VERBS).take(pa.array(np.where(is_void, VERBS.index(VOIDED), log.verb[rows]))),
        "occurred_at": _instants(np.concatenate([log.occurred_at, void_at])),
        "duration_seconds": _whole(log.duration_seconds[rows], is_void),
        "progress": _hundredths(log.progress[rows], is_void),
        "score": _hundredths(log.score[rows], is_void),
        "rating": _whole(log.rating[rows], is_void),
        "device": pa.array(DEVICES).take(pa.array(block.device[members])),
        "voided_event_id": ids.take(pa.array(rows, mask=~is_void)),
    }
    empty = pa.nulls(len(rows), pa.string())
    joined = pc.binary_join_element_wise(
        *[columns.get(name, empty) for name in EVENTS.names], ",", null_handling="replace", null_replacement=""
    )
    order = np.argsort(np.concatenate([log.occurred_at, position]), kind="stable")
    lines: list[bytes] = joined.take(pa.array(order)).cast(pa.binary()).to_pylist()
    return lines


def _voids(log: EventColumns, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], Ints, Ints]:
    """Return the rows to be voided, when, and the instant by which the voiding line is sorted into the file."""
    voidable = np.isin(log.verb, [VERBS.index(verb) for verb in VOIDABLE])
    target = np.flatnonzero(voidable & (rng.random(len(log.verb)) < VOIDED_SHARE))
    latest = log.occurred_at[-1] if len(target) else 0
    void_at = np.minimum(log.occurred_at[target] + rng.integers(1, 3600, len(target)), latest)
    early = log.occurred_at[target] - rng.integers(1, DAY_SECONDS, len(target))
    return target, void_at, np.where(rng.random(len(target)) < 0.5, early, void_at)


def _instants(seconds: Ints) -> pa.StringArray:
    """Return ISO 8601 instants in UTC; days and times of day are each spelt once and then looked up."""
    days = seconds // DAY_SECONDS
    first = int(days.min(initial=0 if len(days) == 0 else days[0]))
    dates = np.datetime_as_string(np.arange(first, days.max(initial=first) + 1).astype("datetime64[D]"))
    return pc.binary_join_element_wise(
        pa.array(dates).take(pa.array(days - first)), _times_of_day().take(pa.array(seconds % DAY_SECONDS)), "T"
    )


@cache
def _times_of_day() -> pa.StringArray:
    seconds = np.arange(DAY_SECONDS).astype("datetime64[s]")
    return pa.array([f"{text[11:]}Z" for text in np.datetime_as_string(seconds)])


@cache
def _spelt_hundredths() -> pa.StringArray:
    return pa.array([f"{number / 100:g}" for number in range(101)])


def _whole(values: Floats, hidden: Flags) -> pa.StringArray:
    mask = np.isnan(values) | hidden
    return pa.array(np.where(mask, 0, values).astype(np.int64), mask=mask).cast(pa.string())


def _hundredths(values: Floats, hidden: Flags) -> pa.StringArray:
    mask = np.isnan(values) | hidden
    return _spelt_hundredths().take(pa.array(np.rint(np.where(mask, 0, values) * 100).astype(np.int64), mask=mask))
