"""The reference pages name everything there is, with the values the code has, and nothing else."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import annotated_types
import pytest
import typer
from pydantic import AfterValidator, BaseModel

from api.errors import STATUS
from api.schemas.lists import Problem
from content_catalog.errors import XueluError
from content_catalog.io.mapping import Mapping, load_mapping, shipped_mappings
from content_catalog.schema import CURATIONS, HOURS, ITEMS, REJECT_COLUMNS, REQUIREMENTS, Column, Schema
from content_catalog.taxonomy import SHIPPED, shipped
from features.schema import EVENTS, MEMBERS, UNITS
from features.weights import VERB_STRENGTH
from infra.errors import ImportRefusedError
from infra.settings.settings import Settings
from jobs.cli.main import BAD_USE, UNSOUND, app
from recommender.explanations.translations import DATED_MESSAGES, LANGUAGES, MESSAGES, Words
from recommender.registry import STRATEGIES
from tests.api.operations import DOCUMENT as OPENAPI
from tests.docs.pages import DOCS, REFERENCE, ROOT, Row, plain, rows

KINDS = {"_zone": "a time zone", "_web_address": "a web address", "_iri": "an IRI"}
PACKAGES = ("content_catalog", "features", "recommender", "infra", "jobs", "api", "simulator")


def under(page: str, heading: str) -> list[Row]:
    """Return the rows of a reference page under a heading."""
    return [row for row in rows(REFERENCE / page) if plain(row.heading) == heading]


def settings_of(model: type[BaseModel], section: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield name, variable, default and bounds of every setting, as the page writes them."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from settings_of(type(field.default), f"{name}.")
            continue
        default = str(field.default) if isinstance(field.default, Path) else field.default
        full = section + name
        yield full, f"XUELU_{full.replace('.', '__').upper()}", json.dumps(default), bounds(field.metadata)


def bounds(metadata: list[Any]) -> str:
    """Return the bounds of a setting in the words of the page."""
    phrases = []
    for bound in metadata:
        match bound:
            case annotated_types.Gt(gt=value):
                phrases.append(f"> {value}")
            case annotated_types.Ge(ge=value):
                phrases.append(f"≥ {value}")
            case annotated_types.Le(le=value):
                phrases.append(f"≤ {value}")
            case annotated_types.MinLen(min_length=value):
                phrases.append(f"≥ {value} characters")
            case annotated_types.MaxLen(max_length=value):
                phrases.append(f"≤ {value} characters")
            case AfterValidator():
                phrases.append(KINDS[bound.func.__name__])
            case _ if getattr(bound, "pattern", None) == HOURS:
                phrases.append("hours")
            case _:
                pytest.fail(f"a bound that the page has no word for: {bound}")
    return ", ".join(phrases) or "any"


def test_every_setting_is_documented_with_its_variable_default_and_bounds() -> None:
    documented = [
        tuple(plain(row[name]) for name in ("setting", "variable", "default", "bounds"))
        for row in rows(REFERENCE / "settings.md")
    ]

    assert documented == list(settings_of(Settings))


def test_pages_name_settings_with_their_section() -> None:
    names = {name for name, *_ in settings_of(Settings)}
    last = {name.partition(".")[2] for name in names} - {""}
    pages = [page for page in DOCS.rglob("*.md") if page.parent.name != "adr"]
    named = {
        match
        for page in pages
        for match in re.findall(r"(?<![\w.])((?!benchmarks)\w+\.\w+)\b", page.read_text(encoding="utf-8"))
    }
    assert {name for name in named if name.partition(".")[2] in last} <= names


def commands_below(group: Any, before: str = "") -> dict[str, Any]:
    """Return all commands by name, those in groups after the group's name: `keys create`."""
    commands: dict[str, Any] = {}
    for name in group.list_commands(None):
        command = group.commands[name]
        inside = commands_below(command, f"{before}{name} ") if hasattr(command, "commands") else None
        commands |= inside or {f"{before}{name}": command}
    return commands


COMMANDS = commands_below(typer.main.get_command(app))


def told_default(parameter: Any) -> str:
    """Return the default of an argument or option as the page writes it."""
    if parameter.required:
        return "required"
    if parameter.default is None:
        return "-"
    return "off" if parameter.default is False else str(parameter.default)


def test_every_command_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")

    documented = [line.removeprefix("## xuelu ") for line in page.splitlines() if line.startswith("## ")]

    assert documented == list(COMMANDS)


def test_pages_and_messages_name_commands_that_exist() -> None:
    texts = [
        page.read_text(encoding="utf-8")
        for page in (*DOCS.rglob("*.md"), *ROOT.glob("*.md"))
        if page.name != "CHANGELOG.md"
    ]
    texts += [path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    named = {match for text in texts for match in re.findall(r"(?:`|^\$ )xuelu ([a-z][a-z-]+)", text, re.MULTILINE)}

    assert named - {name.split()[0] for name in COMMANDS} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_is_documented_with_its_default(name: str) -> None:
    documented = [(row.first, plain(row["default"])) for row in under("cli.md", f"xuelu {name}")]

    expected = [
        (", ".join([*parameter.opts, *parameter.secondary_opts]), told_default(parameter))
        for parameter in COMMANDS[name].params
    ]
    assert documented == expected


OPERATIONS = {
    f"{verb.upper()} {path}": operation for path, verbs in OPENAPI["paths"].items() for verb, operation in verbs.items()
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def test_every_route_is_documented() -> None:
    page = (REFERENCE / "api.md").read_text(encoding="utf-8")

    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]

    assert {heading for heading in headings if heading.startswith(METHODS)} == set(OPERATIONS)


def told_parameter(parameter: dict[str, Any]) -> tuple[str, str, str]:
    """Return name, place and default of a parameter as the page writes them."""
    default = parameter["schema"].get("default", "-")
    default_text = json.dumps(default) if isinstance(default, bool) else str(default)
    return parameter["name"], parameter["in"], "required" if parameter["required"] else default_text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_parameter_of_a_route_is_documented_with_its_place_and_default(operation: str) -> None:
    table = [row for row in under("api.md", operation) if "parameter" in row.cells]
    documented = [tuple(plain(row[name]) for name in ("parameter", "in", "default")) for row in table]

    assert documented == [told_parameter(parameter) for parameter in OPERATIONS[operation].get("parameters", [])]


def test_the_bounds_of_n_are_those_on_the_page() -> None:
    meanings = [row["meaning"] for row in rows(REFERENCE / "api.md") if row.first == "n" and "in" in row.cells]
    expected = [
        f"Most items to return, {parameter['schema']['minimum']} to {parameter['schema']['maximum']}."
        for operation in OPERATIONS.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "n"
    ]

    assert meanings == expected


ANSWERS = OPENAPI["components"]["schemas"] | {"Problem": Problem.model_json_schema()}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_field_of_an_answer_is_documented(name: str) -> None:
    fields = [row.first for row in under("api.md", name) if "field" in row.cells]

    assert fields == list(ANSWERS[name]["properties"])


def errors_of(root: type[Exception]) -> Iterator[type[Exception]]:
    """Yield an error and all below it."""
    yield root
    for kind in root.__subclasses__():
        yield from errors_of(kind)


def all_errors() -> set[type[Exception]]:
    """Return every error of the packages."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name:  # a migration runs when it is imported
                importlib.import_module(module.name)
    return {error for error in errors_of(XueluError) if error.__module__.split(".")[0] in PACKAGES}


def test_every_error_is_documented_with_its_exit_status_and_http_status() -> None:
    table = [row for row in rows(REFERENCE / "errors.md") if "error" in row.cells]
    documented = {row.first: (int(row["exit status"]), int(row["HTTP status"])) for row in table}

    expected = {
        error.__name__: (
            UNSOUND if issubclass(error, ImportRefusedError) else BAD_USE,
            int(next(status for kind, status in STATUS.items() if issubclass(error, kind))),
        )
        for error in all_errors()
    }
    assert documented == expected


def told_bounds(column: Column) -> str:
    """Return what bounds a column, as the page writes it."""
    if column.choices:
        return ", ".join(column.choices)
    match column.kind:
        case "number":
            return f"{column.low:g}..{column.high:g}"
        case "text" | "list":
            return f"≤ {column.longest} characters"
        case "instant" | "date":
            return "1970 to 2199"
        case "flag" | "hours" | "zone":
            return "see above"


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Events", EVENTS),
        ("Members", MEMBERS),
        ("Items", ITEMS),
        ("Units", UNITS),
        ("Requirements", REQUIREMENTS),
        ("Curations", CURATIONS),
    ],
    ids=["events", "members", "items", "units", "requirements", "curations"],
)
def test_every_column_is_documented_with_its_kind_and_bounds(heading: str, schema: Schema) -> None:
    documented = [
        tuple(plain(row[name]) for name in ("column", "kind", "required", "bounds or choices"))
        for row in under("schemas.md", heading)
    ]

    expected = [
        (column.name, column.kind, "yes" if column.required else "no", told_bounds(column)) for column in schema.columns
    ]
    assert documented == expected


def test_every_column_of_rejects_is_documented() -> None:
    assert [row.first for row in under("schemas.md", "Rejects")] == REJECT_COLUMNS


def test_every_key_of_a_mapping_file_is_documented() -> None:
    assert {row.first for row in under("mappings.md", "The file")} == set(Mapping.model_fields)


def kind_of(name: str) -> str:
    """Return the kind of a shipped mapping."""
    text = files("content_catalog").joinpath("mappings", f"{name}.toml").read_text(encoding="utf-8")
    return next(kind for kind in ("events", "members", "items") if f'kind = "{kind}"' in text)


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_mapping_is_documented_with_its_columns(name: str) -> None:
    mapping = load_mapping(name, kind_of(name))
    table = [row for row in under("mappings.md", name) if "canonical column" in row.cells]

    documented = {row.first: plain(row["source"]) for row in table}

    assert list(documented) == [*mapping.columns, *mapping.threshold, *mapping.constants]
    for column, origin in mapping.columns.items():
        sources = origin if isinstance(origin, list) else [origin]
        assert documented[column].startswith(" and ".join(sources))
    for column, factor in mapping.scale.items():
        assert f"× {factor:g}" in documented[column]
    for column, constant in mapping.constants.items():
        assert documented[column] == f"always {constant}"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_code_of_a_shipped_taxonomy_is_documented_with_its_names(name: str) -> None:
    table = shipped(name).table
    columns = ["parent", "name_en", "name_zh", "short_en", "short_zh", *(["isic"] if "isic" in table else [])]

    documented = [
        [row.first, *(plain(row[column]) for column in columns)]
        for row in rows(REFERENCE / "taxonomies.md")
        if name in row.heading
    ]

    codes = table[columns].fillna("").reset_index(names="code")
    assert documented == codes.to_numpy().tolist()


SHOWN_ARGUMENTS = ("title", "role", "industry", "topic", "series", "position", "length", "when")
DAY = "2026-03-01"
WRITTEN_DAY = {"en": "March 1, 2026", "zh-CN": "2026年3月1日"}


def test_every_reason_is_documented_in_both_languages() -> None:
    class Named(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return f"{{{key}}}"

    table = [row for row in rows(REFERENCE / "reasons.md") if "code" in row.cells]
    assert [row.first for row in table] == list(MESSAGES)
    for row in table:
        arguments = {name: f"{{{name}}}" for name in SHOWN_ARGUMENTS}
        day = {"due_on": DAY} if "due_on" in row["arguments"] else {}
        sentences = {
            language: Words(language, titles=Named(), taxonomies={})
            .tell({"code": row.first, "arguments": arguments | day})
            .replace(WRITTEN_DAY[language], "{due_on}")
            for language in LANGUAGES
        }
        assert (row["English"], row["zh-CN"]) == (sentences["en"], sentences["zh-CN"])


def test_every_dated_reason_is_documented_in_both_languages() -> None:
    table = [row for row in rows(REFERENCE / "reasons.md") if "dated" in row.cells]
    assert [row.first for row in table] == list(DATED_MESSAGES)
    for row in table:
        arguments = {name: f"{{{name}}}" for name in ("role", "industry", "topic")} | {"until": "2026-03-02"}
        for language, column, day in (("en", "English", "March 2"), ("zh-CN", "zh-CN", "3月2日")):
            dated = Words(language, titles={}, taxonomies={}).tell({"code": row.first, "arguments": arguments})
            assert row[column] == dated.replace(day, "{until}")


def test_the_strengths_of_verbs_are_those_on_the_page() -> None:
    page = rows(DOCS / "explanation" / "interaction-weights.md")

    assert {row.first: float(row["strength"]) for row in page if "strength" in row.cells} == VERB_STRENGTH


def test_the_weights_of_retrievers_are_those_on_the_page() -> None:
    page = [row for row in rows(DOCS / "explanation" / "models.md") if "retriever" in row.cells]

    documented = [(row.first, plain(row["retriever"]), float(row["weight"])) for row in page]

    assert documented == [
        (strategy, name, weight) for strategy, weights in STRATEGIES.items() for name, weight in weights.items()
    ]
