"""Own models: classes in modules of an analyst's, named in the settings as ``MODULE:CLASS``."""

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from recommender.errors import ModelError
from recommender.models.base import Model

SPEC: Final = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z]\w*)", re.ASCII)
RANK_FEATURE: Final = "rank_by_"


def own_specs(specs: Iterable[str], *, taken: Collection[str]) -> dict[str, str]:
    """Return ``MODULE:CLASS`` of own models by name, which is the class's.

    Raises
    ------
    ModelError
        One is not of that form, or its name is taken.

    Examples
    --------
    >>> own_specs(["my_models:Recency"], taken={"als"})
    {'Recency': 'my_models:Recency'}
    """
    by_name: dict[str, str] = {}
    for spec in specs:
        match = SPEC.fullmatch(spec)
        if match is None:
            raise ModelError(f"own model {spec!r}; write it as MODULE:CLASS, such as my_models:Recency")
        name = match["name"]
        if name in taken or name in by_name or name.startswith(RANK_FEATURE):
            raise ModelError(f"own model {spec!r}: the name {name!r} is taken; rename the class")
        by_name[name] = spec
    return by_name


def import_own(spec: str) -> type[Model]:
    """Return the class of an own model. Its module is searched for in the working folder, too.

    Raises
    ------
    ModelError
        The module cannot be imported, or has no such model.
    """
    own_specs([spec], taken=())
    module_name, _, name = spec.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"own model {spec!r}: module {module_name!r} cannot be imported ({type(error).__name__}: {error}); install"
            " it, or run xuelu in its folder"
        ) from error
    own = getattr(module, name, None)
    if own is None:
        raise ModelError(f"own model {spec!r}: module {module_name!r} has no class {name!r}; check the spelling")
    if not (isinstance(own, type) and issubclass(own, Model)):
        raise ModelError(f"own model {spec!r} is no subclass of recommender.models.base.Model; derive it from there")
    if lacking := sorted(own.__abstractmethods__):
        raise ModelError(f"own model {spec!r} lacks the method {lacking[0]!r}; write it")
    needed = [
        parameter.name
        for parameter in inspect.signature(own).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
    if needed:
        raise ModelError(f"own model {spec!r}: parameter {needed[0]!r} has no default; give it one")
    return own


def make_own(spec: str, parameters: Mapping[str, float]) -> Model:
    """Return a new own model.

    Raises
    ------
    ModelError
        It cannot be made: see :func:`import_own`, or a parameter is unknown or refused.
    """
    own = import_own(spec)
    names = list(inspect.signature(own).parameters)
    if unknown := [name for name in parameters if name not in names]:
        raise ModelError(f"own model {spec!r} has no parameter {unknown[0]!r}; it has {', '.join(names) or 'none'}")
    try:
        return own(**parameters)
    except Exception as error:
        raise ModelError(
            f"own model {spec!r} cannot be made of {dict(parameters)}: {type(error).__name__}: {error}"
        ) from error


def source_digest(spec: str) -> str:
    """Return the SHA-256 of the source of an own model's module, in hexadecimal."""
    module = inspect.getmodule(import_own(spec))
    return hashlib.sha256(inspect.getsource(module).encode()).hexdigest() if module else ""
