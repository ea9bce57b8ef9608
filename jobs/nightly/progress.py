"""What is told of the steps of a night while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["begun", "done", "resumed"]
STEPS: Final = ("snapshot", "features", "fit", "rank", "lists", "gate", "publish", "enqueue")
"""The steps of a night, in order."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """What is told of a step: that it begins, is done, or was done by the night that goes on here."""

    step: str
    state: State
    seconds: float = 0.0
    rows: int = 0
    peak_bytes: int = 0


Tell = Callable[[StepProgress], None]


def silent(_told: StepProgress) -> None:
    """Tell nobody."""
