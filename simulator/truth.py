"""The truth behind the log: which item each member would study next, for measuring regret."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.behaviour.study import Singles
from simulator.organisation.catalogue import Floats, Ints
from simulator.organisation.world import World

TRUTH_FILE: Final = "truth.parquet"
SEGMENTS_FILE: Final = "truth_segments.parquet"
MASTERY_FILE: Final = "truth_mastery.parquet"
PACE_FILE: Final = "truth_pace.parquet"
TRUTH_ITEMS: Final = 50
"""Items kept per member; the interests of the others are the rest to 1."""
MEMBERS_SCHEMA: Final = pa.schema([
    ("member_id", pa.string()), ("item_id", pa.string()), ("interest", pa.float32()),
])  # fmt: skip
SEGMENTS_SCHEMA: Final = pa.schema([
    ("role", pa.string()), ("industry", pa.string()), ("item_id", pa.string()), ("interest", pa.float64()),
])  # fmt: skip
MASTERY_SCHEMA: Final = pa.schema([
    ("member_id", pa.string()), ("topic", pa.string()), ("mastery", pa.float64()),
])  # fmt: skip
PACE_SCHEMA: Final = pa.schema([("member_id", pa.string()), ("pace_seconds", pa.float64())])


class StudyTruthFiles:
    """Writes ``truth_mastery.parquet`` and ``truth_pace.parquet`` block by block.

    ``rows`` counts what has been written, by file.
    """

    def __init__(self, folder: Path, topics: list[str]) -> None:
        self._topics = topics
        self._stack = ExitStack()
        schemas = {MASTERY_FILE: MASTERY_SCHEMA, PACE_FILE: PACE_SCHEMA}
        self._writers = {
            name: self._stack.enter_context(pq.ParquetWriter(folder / name, schema)) for name, schema in schemas.items()
        }
        self.rows = dict.fromkeys(schemas, 0)

    def __enter__(self) -> Self:
        """Return the files, open for writing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._stack.close()

    def add(self, member_ids: list[str], mastery: Floats, pace_seconds: Floats) -> None:
        """Write the mastery of topics (members, topics) and the pace of members.

        A topic without any quiz has no mastery: it is not-a-number there.
        """
        member, topic = np.nonzero(~np.isnan(mastery))
        columns = [
            pa.array(member_ids).take(pa.array(member)),
            pa.array(self._topics).take(pa.array(topic)),
            mastery[member, topic],
        ]
        tables = {
            MASTERY_FILE: pa.table(columns, schema=MASTERY_SCHEMA),
            PACE_FILE: pa.table([pa.array(member_ids), pace_seconds], schema=PACE_SCHEMA),
        }
        for name, table in tables.items():
            self._writers[name].write_table(table)
            self.rows[name] += table.num_rows


class TruthFiles:
    """Writes ``truth.parquet`` block by block and ``truth_segments.parquet`` at the end.

    Parameters
    ----------
    folder
        Where the files go.
    world
        Kinds of work.
    item_ids
        Ids of the items, in the order of the columns of ``interest``.

    ``member_rows`` and ``segment_rows`` count what has been written.
    """

    def __init__(self, folder: Path, *, world: World, item_ids: list[str]) -> None:
        self._folder = folder
        self._world = world
        self._item_ids = item_ids
        self._top = min(TRUTH_ITEMS, len(item_ids))
        self._sums = np.zeros((len(world.works), len(item_ids)))
        self._members = np.zeros(len(world.works), dtype=np.int64)
        self._writer = pq.ParquetWriter(folder / TRUTH_FILE, MEMBERS_SCHEMA)
        self.member_rows = 0
        self.segment_rows = 0

    def __enter__(self) -> Self:
        """Return the files, open for writing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file of members."""
        self._writer.close()

    def add_segments(self, work: Ints, interest: Singles) -> None:
        """Count members who have not studied yet, shape (members, items), towards the mean of their segment."""
        for number in np.unique(work):
            own = interest[work == number]
            self._sums[number] += own.sum(axis=0, dtype=np.float64)
            self._members[number] += len(own)

    def add_members(self, member_ids: list[str], interest: Singles) -> None:
        """Write the items that each member most likely studies next, likeliest first."""
        best = np.argpartition(-interest, self._top - 1, axis=1)[:, : self._top]
        weight = np.take_along_axis(interest, best, axis=1)
        order = np.argsort(-weight, axis=1, kind="stable")
        best, weight = np.take_along_axis(best, order, axis=1), np.take_along_axis(weight, order, axis=1)
        member = np.repeat(np.arange(len(member_ids)), self._top)
        positive = weight.ravel() > 0
        columns = [
            pa.array(member_ids).take(pa.array(member[positive])),
            pa.array(self._item_ids).take(pa.array(best.ravel()[positive])),
            pa.array(weight.ravel()[positive], pa.float32()),
        ]
        self._writer.write_table(pa.table(columns, schema=MEMBERS_SCHEMA))
        self.member_rows += int(positive.sum())

    def write_segments(self) -> None:
        """Write the mean interest of every role and industry that has members."""
        parts = []
        for number in np.flatnonzero(self._members):
            work = self._world.works[number]
            mean = self._sums[number] / self._members[number]
            items = np.flatnonzero(mean > 0)
            items = items[np.argsort(-mean[items], kind="stable")]
            constants = [pa.array([value] * len(items)) for value in (work.role, work.industry)]
            columns = [*constants, pa.array(self._item_ids).take(pa.array(items)), pa.array(mean[items])]
            parts.append(pa.table(columns, schema=SEGMENTS_SCHEMA))
        table = pa.concat_tables(parts)
        pq.write_table(table, self._folder / SEGMENTS_FILE)
        self.segment_rows = table.num_rows
