"""Progress of a night, step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["started", "finished", "resumed"]
STEPS: Final = ("snapshot", "rank", "features", "fit", "lists", "gate", "publish", "enqueue")
"""The steps of a night, in order."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step that has started, finished, or been taken over from the run that is resumed."""

    step: str
    state: State
    seconds: float = 0.0
    rows: int = 0
    peak_bytes: int = 0


Progress = Callable[[StepProgress], None]


def no_progress(_step: StepProgress) -> None:
    """Default: no-op."""
