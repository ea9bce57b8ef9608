"""The rules of the house that no linter knows (CONTRIBUTING.md)."""

import ast
import io
import json
import os
import re
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.limits import HANG_SECONDS

ROOT = Path(__file__).parents[1]
PACKAGES = ("content_catalog", "features", "recommender", "infra", "jobs", "api", "simulator", "client/xuelu_client")
LINES_OF_A_MODULE, LINES_OF_A_TEST_MODULE = 300, 400
MODULES_OF_A_FOLDER = 10
NAMELESS = {"core", "common", "utils", "util", "helpers", "helper", "manager", "service", "misc", "base_utils"}

CIRCLING = re.compile(r"(What|Who|Whom|Whose|Where|How|When|Which)\b")
PRIVATE_WORDS = re.compile(r"\b(told|anew|nobody|somebody|whoever)\b", re.IGNORECASE)
NAMING_THEM = {"CHANGELOG.md", "CONTRIBUTING.md", "servers.py"}
"""Old names, the rule itself, and the operating system's user ``nobody``."""
NAMES_OF_NOTHING = {"one", "found", "made", "told", "given", "kept", "known"}

SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:|pyright:|mypy:)")
SILENCED_FOR_A_REASON = re.compile(
    r"#\s*(noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|type: ignore\[[a-z-]+(, ?[a-z-]+)*\])\s+([-#]\s*)?[^\W\d_].{2,}"
)

# Put together, so that this file does not hold what it looks for.
LEFTOVER = re.compile(rf"\b({'|'.join(['TO' + 'DO', 'FIX' + 'ME', 'X' * 3, 'HA' + 'CK'])})\b")
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "npmmirror" + ".com",
    "tuna." + "tsinghua",
]
FOLDERS = ["wo" + "rk", "ro" + "ot", "ho" + "me", "tm" + "p/scratch"]
MACHINE = re.compile(rf"(?<![\w.])/({'|'.join(FOLDERS)})/")


@cache
def tracked(*endings: str) -> list[Path]:
    """Return the project's files, those not committed yet included, that end in one of these."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=HANG_SECONDS).stdout
    paths = [ROOT / name for name in listed.split("\0") if name.endswith(endings)]
    return sorted(path for path in paths if path.is_file())


def named(path: Path) -> str:
    """Return what a message calls a file."""
    return str(path.relative_to(ROOT))


@cache
def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file; none of one that holds no text."""
    content = path.read_bytes()
    return [] if b"\0" in content else content.decode("utf-8", "replace").splitlines()


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module, or of all code in a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return ast.parse(text)


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return list(ast.walk(tree_of(path)))


def comments_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of the comments of a module."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def offences(pattern: re.Pattern[str], *endings: str) -> list[str]:
    """Return where a pattern stands."""
    return [
        f"{named(path)}:{number}"
        for path in tracked(*endings)
        for number, line in enumerate(lines_of(path), 1)
        if pattern.search(line)
    ]


def test_the_project_has_files_to_look_at() -> None:
    assert {path.name for path in tracked(".py")} >= {"night.py", "ingest.py", "test_house.py", "core_tables.py"}
    assert len(tracked("")) > len(tracked(".py")) > 50


def test_modules_are_short() -> None:
    for path in tracked(".py"):
        most = LINES_OF_A_TEST_MODULE if path.is_relative_to(ROOT / "tests") else LINES_OF_A_MODULE
        assert len(lines_of(path)) <= most, f"{named(path)} has more than {most} lines: it is more than one module"


def test_every_module_and_folder_has_a_name_that_says_what_it_is() -> None:
    for path in tracked(".py"):
        parts = {path.stem, *path.relative_to(ROOT).parent.parts}
        assert not parts & NAMELESS, f"{named(path)} is named after nothing"


def test_at_most_ten_modules_stand_side_by_side() -> None:
    """Models, rules, routers and migrations are lists of like things; all other folders are read whole."""
    folders = Counter(path.parent for path in tracked(".py") if path.name != "__init__.py")
    crowded = {named(folder): count for folder, count in folders.items() if count > MODULES_OF_A_FOLDER}
    lists_of_likes = {
        "recommender/models",
        "recommender/policy/rules",
        "api/routers",
        "infra/db/migrations/versions",
        "benchmarks",
    }
    assert {name for name in crowded if not name.startswith("tests")} <= lists_of_likes, crowded


def test_every_module_of_a_package_says_what_it_is() -> None:
    for package in PACKAGES:
        for path in tracked(".py"):
            if path.is_relative_to(ROOT / package) and tree_of(path).body:
                assert ast.get_docstring(tree_of(path)), named(path)


def first_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and first line of every docstring of a module, those below values included."""
    for node in nodes_of(path):
        body = node.body if isinstance(node, ast.Module | ast.ClassDef) else []
        for above, below in pairwise(body):
            match above, below:
                case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text))):
                    yield below.lineno, text.strip().splitlines()[0]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = (ast.get_docstring(node, clean=False) or "").strip()
            if docstring:
                yield getattr(node, "lineno", 1), docstring.splitlines()[0]


def test_docstrings_name_the_thing_and_do_not_circle_it() -> None:
    circling = [
        f"{named(path)}:{number}: {line}"
        for path in tracked(".py")
        if path.parent.name != "versions"  # migrations stay as they were run
        for number, line in first_lines(path)
        if CIRCLING.match(line)
    ]
    assert circling == []


def test_code_and_pages_use_the_terms_of_the_field() -> None:
    sources = [path for path in tracked(".py", ".md") if not path.is_relative_to(ROOT / "tests")]
    private = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in sources
        if path.parent.name not in {"adr", "versions"} and path.name not in NAMING_THEM
        for number, line in enumerate(lines_of(path), 1)
        if PRIVATE_WORDS.search(line)
    ]
    assert private == []


def bindings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the variables, parameters and functions of a module, with their lines."""
    for node in nodes_of(path):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.arg(arg=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                yield node.lineno, name


def test_values_have_names_that_say_what_they_are() -> None:
    nameless = [
        f"{named(path)}:{number}: {name}"
        for path in tracked(".py", ".ipynb")
        if path.parent.name != "versions"
        for number, name in bindings(path)
        if name in NAMES_OF_NOTHING
    ]
    assert nameless == []


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for package in set(PACKAGES) - {"client/xuelu_client"}:  # its answers are the service's
        for path in tracked(".py"):
            if path.is_relative_to(ROOT / package):
                for node in tree_of(path).body:
                    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                        places.setdefault(node.name, []).append(named(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_nothing_is_silenced_without_a_reason_on_the_line() -> None:
    silent = [
        f"{named(path)}:{number}: {comment}"
        for path in tracked(".py")
        if any(SILENCED.search(line) for line in lines_of(path))  # tokens take ten times as long
        for number, comment in comments_of(path)
        if SILENCED.search(comment) and not SILENCED_FOR_A_REASON.search(comment)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("comment", "good"),
    [
        ("# noqa: S608 - our own names", True),
        ("# type: ignore[attr-defined]  # a DB-API connection has no type of its own", True),
        ("# type: ignore[misc]  that it cannot be set is what is tested", True),
        ("# type: ignore[attr-defined] # hypothesis' Random", True),
        ("# noqa: S608, S603 - our own names", True),
        ("# noqa", False),
        ("# noqa: S608", False),
        ("# noqa: S608 -", False),
        ("# type: ignore", False),
        ("# type: ignore[misc]", False),
        ("# type: ignore  # all of it", False),
        ("# pragma: no cover", False),
    ],
)
def test_a_reason_is_told_from_none(comment: str, good: bool) -> None:
    assert SILENCED.search(comment)
    assert bool(SILENCED_FOR_A_REASON.search(comment)) is good


SKIPPING = {"skip", "skipif", "xfail", "importorskip"}


def skips_of(path: Path) -> Iterator[tuple[int, bool]]:
    """Yield the line of every skip and expected failure of a test module, and whether it has a reason."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SKIPPING:
            name = ast.unparse(node.func)
            if name in {"pytest.skip", "pytest.xfail", "pytest.importorskip"}:
                yield node.lineno, bool(node.args) and ast.unparse(node.args[0]) not in {"''", '""'}
            elif name.startswith("pytest.mark."):
                reasons = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "reason"]
                yield node.lineno, reasons not in ([], ["''"])
        elif isinstance(node, ast.FunctionDef):
            yield from (
                (decorator.lineno, False)
                for decorator in node.decorator_list
                if ast.unparse(decorator) in {"pytest.mark.skip", "pytest.mark.xfail"}
            )


def test_no_test_is_skipped_without_a_reason() -> None:
    skips = [(named(path), *skip) for path in tracked(".py") if "tests" in path.parts for skip in skips_of(path)]
    assert [skip for skip in skips if not skip[2]] == []
    assert skips, "tests on real data skip where there is none: this test must see them"


def errors_of(path: Path) -> list[str]:
    """Return the names of the errors a module makes."""
    classes = [node for node in tree_of(path).body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if node.name.endswith(("Error", "Exception", "Warning"))]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_errors_of_a_package_stand_in_one_module_and_are_drawn_there(package: str) -> None:
    by_module = {named(path): errors_of(path) for path in tracked(".py") if path.is_relative_to(ROOT / package)}
    home = f"{package}/errors.py"
    assert [name for name, errors in by_module.items() if errors and name != home] == []
    drawn = (ast.get_docstring(tree_of(ROOT / home)) or "") if by_module.get(home) else ""
    tree = set(re.findall(r"\w+Error\b", drawn))
    assert set(by_module.get(home, [])) <= tree, f"{home}: its docstring draws the tree of its errors"


def test_no_file_names_a_registry_or_a_place_on_somebodys_machine() -> None:
    own = {urlsplit(value).hostname for name, value in os.environ.items() if name.endswith("INDEX_URL")} - {None}
    hosts = re.compile("|".join(re.escape(host) for host in [*REGISTRIES, *sorted(filter(None, own))]))
    assert offences(hosts, "") == []
    assert offences(MACHINE, "") == []


def test_nothing_is_left_to_do_in_the_code() -> None:
    assert offences(LEFTOVER, ".py", ".toml", ".md", ".po", ".mako", "Makefile") == []


def test_no_file_is_larger_than_a_reader_would_want() -> None:
    for path in tracked(""):
        vendored = "vendored" in path.parts  # as published; tests/api/routers/test_pages.py compares the digests
        assert vendored or path.stat().st_size < 700_000, f"{named(path)}: data stays outside"
