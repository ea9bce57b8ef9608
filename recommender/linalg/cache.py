"""Bounded cache of computed values, empty after pickling."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Answers(Generic[Answer]):
    """The latest answers, by question.

    Parameters
    ----------
    most : int
        Answers kept.

    Examples
    --------
    >>> answers = Answers[int](2)
    >>> [answers.once(key, made) for key, made in ((1, lambda: 1), (1, lambda: 2), (2, lambda: 3), (3, lambda: 4))]
    [1, 1, 3, 4]
    >>> answers.once(1, lambda: 5)
    5
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[Hashable, Answer] = {}
        self._lock = Lock()

    def once(self, question: Hashable, make: Callable[[], Answer]) -> Answer:
        """Return the answer to a question, made where it is not kept."""
        if (kept := self._kept.get(question)) is not None:
            return kept
        made = make()
        with self._lock:
            self._kept[question] = made
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return made

    def __reduce__(self) -> tuple[type["Answers[Answer]"], tuple[int]]:
        """Return what is stored: no answers."""
        return type(self), (self._most,)
