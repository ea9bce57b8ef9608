"""Errors of the client.

::

    ClientError
    ├── ProblemError      the service answered with a problem (RFC 9457)
    └── UnreachableError  the service gave no answer to any attempt
"""

from typing import Any


class ClientError(Exception):
    """A request failed; the message says why."""


class ProblemError(ClientError):
    """The service answered with a problem.

    Attributes
    ----------
    status : int
        The HTTP status.
    problem : dict
        The whole body: ``title, detail`` and further members, such as ``errors``.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(status, problem)  # the arguments that it is made of again by another process
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.status} {self.problem.get('title', '')}: {self.problem.get('detail', '')}"


class UnreachableError(ClientError):
    """The service gave no answer to any attempt."""
