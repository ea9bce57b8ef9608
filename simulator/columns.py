"""Dataclasses whose fields are arrays of one length, handled as the small tables they are."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Table = TypeVar("Table", bound="DataclassInstance")


def stacked(tables: Sequence[Table]) -> Table:
    """Return one table with the rows of all tables (at least one), in their order."""
    names = [field.name for field in fields(tables[0])]
    return replace(tables[0], **{name: np.concatenate([getattr(table, name) for table in tables]) for name in names})


def rows_of(table: Table, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Table:
    """Return the given rows (positions or flags) of a table."""
    return replace(table, **{field.name: getattr(table, field.name)[rows] for field in fields(table)})
