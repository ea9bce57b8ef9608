"""Models of an analyst's own modules."""

import sys
from pathlib import Path

import pytest

from content_catalog.taxonomy import shipped
from recommender.errors import ModelError
from recommender.own_models import make_own, source_digest
from recommender.registry import ModelParameters, make_models, own_in_pipeline, own_models

MODULE = """
from recommender.models.base import Model
from recommender.models.popularity import Popularity

class Mine(Popularity):
    def __init__(self, half_life_days=2.0):
        if half_life_days < 0:
            raise ValueError("below 0")
        super().__init__(half_life_days)

class Needy(Popularity):
    def __init__(self, days):
        super().__init__(days)

class Half(Model):
    def _fit(self, interactions):
        pass

class NoModel:
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module in the working folder."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"broken_{name}.py").write_text("1 / 0")
    (tmp_path / f"leaving_{name}.py").write_text("raise SystemExit(4)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_an_own_model_is_made_by_its_class_name_with_its_parameters(module: str) -> None:
    parameters = ModelParameters(extra=(f"{module}:Mine",), extra_parameters={"Mine": {"half_life_days": 5.0}})
    taxonomies = {"roles": shipped("isco08"), "industries": shipped("gbt4754_2017")}

    models = make_models(parameters, **taxonomies, names=["Mine", "newest"])

    assert list(models) == ["Mine", "newest"]
    assert models["Mine"].get_params() == {"half_life_days": 5.0}
    with pytest.raises(ModelError, match=r"there is no model 'Yours'; the models are .*, Mine"):
        make_models(parameters, **taxonomies, names=["Yours"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing:Mine", r"module 'missing' cannot be imported \(ModuleNotFoundError: .*\); install it, or run"),
        ("broken_{}:Mine", r"module 'broken_.*' cannot be imported \(ZeroDivisionError"),
        ("leaving_{}:Mine", r"module 'leaving_.*' cannot be imported \(SystemExit: 4\)"),
        ("{}:Absent", "has no class 'Absent'; check the spelling"),
        ("{}:NoModel", "is no subclass of recommender.models.base.Model"),
        ("{}:Half", "lacks the method '_score'; write it"),
        ("{}:Needy", "parameter 'days' has no default; give it one"),
        ("{}.Mine", "write it as MODULE:CLASS"),
        ("os;rm:Mine", "write it as MODULE:CLASS"),
        ("../up:Mine", "write it as MODULE:CLASS"),
    ],
)
def test_what_is_no_own_model_is_refused_with_its_reason(module: str, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_own(name.format(module), {})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"days": 3.0}, "has no parameter 'days'; it has half_life_days"),
        ({"half_life_days": -1.0}, r"cannot be made of \{'half_life_days': -1.0\}: ValueError: below 0"),
    ],
)
def test_bad_parameters_are_refused(module: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_own(f"{module}:Mine", parameters)


@pytest.mark.parametrize("spec", ["m:als", "m:default", "m:ranker", "m:weekday", "m:rank_by_als", "other:Mine"])
def test_a_taken_name_is_refused(spec: str) -> None:
    with pytest.raises(ModelError, match=r"the name '\w+' is taken; rename the class"):
        own_models(["m:Mine", spec])


def test_only_models_that_are_named_take_part_in_the_pipeline() -> None:
    assert own_in_pipeline(["m:Mine", "m:Yours"], ["als", "Yours", "Yours"]) == ["m:Yours"]
    with pytest.raises(ModelError, match=r"models.in_pipeline: there is no model 'Ours'"):
        own_in_pipeline(["m:Mine"], ["Ours"])


def test_the_digest_of_the_source_is_that_of_the_module(module: str) -> None:
    assert source_digest(f"{module}:Mine") == source_digest(f"{module}:NoModel".replace("NoModel", "Mine"))
    assert len(source_digest(f"{module}:Mine")) == 64
