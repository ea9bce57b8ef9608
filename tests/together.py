"""Cases of a test that share its database and service: each of them alone costs more to set up than to try."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def together(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Decorate a test to run on one case after the other; as ``parametrize``, for cases that leave no traces."""
    parameters = names.split(", ") if isinstance(names, str) else names

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def on_every_case(**fixtures: Any) -> None:
            for case in cases:
                values = (case,) if len(parameters) == 1 else case
                try:
                    test(**fixtures, **dict(zip(parameters, values, strict=True)))
                except BaseException as error:
                    error.add_note(f"case: {case!r}")
                    raise

        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in parameters]
        on_every_case.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]  # read by inspect
        return on_every_case

    return decorate
