"""The commands of the tutorial and of the guides do what the pages say."""

import doctest
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from infra.settings.settings import Settings
from jobs.cli.keys import create_key
from tests.docs.pages import DOCS, REFERENCE, ROOT, Block, blocks, rows
from tests.docs.terminal import Terminal, shell

DATA = Path(os.environ.get("XUELU_DATA", ROOT.parent / "shared" / "data"))
INSTALLED = "tutorial.md"
HERE = threading.local()
KINDS = re.compile(r"^(format_|topic_).*")
AT_ONCE = 2
PROMPT = "$ "
# What a terminal or a build server would set, and what would make other output than the pages show.
LEFT_OUT = ("XUELU_", "COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "COVERAGE", "COV_CORE")
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]


@dataclass
class Walk:
    """One page, gone through in a folder of its own."""

    page: Path
    folder: Path
    commands: int = 0
    faults: list[str] = field(default_factory=list)


Walks = dict[str, Future[Walk]]


def needs_data(page: Path) -> bool:
    """Return whether a page's commands read the logs from outside."""
    return any("XUELU_DATA" in block.text for block in blocks(page) if block.language == "console")


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a block with the output that the page shows below it."""
    command, shown = "", list[str]()
    for line in block.text.splitlines():
        if line.startswith(PROMPT):
            if command:
                yield command, "\n".join(shown)
            command, shown = line.removeprefix(PROMPT), []
        else:
            shown.append(line)
    yield command, "\n".join(shown)


def environment() -> dict[str, str]:
    """Return an environment without settings, in which ``xuelu`` is the one beside this Python."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    path = os.pathsep.join([str(Path(sys.executable).parent), variables.get("PATH", "")])
    return variables | {"PATH": path, "XUELU_DATA": str(DATA.resolve()), "PYTHONUTF8": "1"}


def go_through(page: Path, folder: Path) -> Walk:
    """Make the files of a page and run its commands, one after the other, until one fails."""
    walk = Walk(page, folder)
    # A newcomer's first command is the installed one; to start Python for each would take minutes.
    run = shell if page.name == INSTALLED else HERE.terminal.run
    for block in blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        if block.language != "console" or not block.executed:
            continue
        for command, shown in commands_of(block):
            status, printed = run(command, folder=folder, environment=environment())
            walk.commands += 1
            run = HERE.terminal.run if command.startswith("xuelu ") else run
            if status != 0:
                walk.faults.append(f"{command}\nends with exit status {status}:\n{printed}")
                return walk
            if shown and not as_shown(shown, printed):
                walk.faults.append(f"{command}\nthe page shows:\n{shown}\nit prints:\n{printed}")
    return walk


def as_shown(shown: str, printed: str) -> bool:
    """Return whether a command printed what the page shows; ``...`` there stands for anything."""
    lines = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return doctest.OutputChecker().check_output(f"{shown}\n", lines, doctest.ELLIPSIS)


@pytest.fixture(scope="module")
def walks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    """Start to go through all pages, two at a time."""
    terminals: list[Terminal] = []

    def open_terminal() -> None:
        HERE.terminal = Terminal()
        terminals.append(HERE.terminal)

    # The longest first.
    pages = sorted(wanted_pages(request.session.items), key=lambda page: (page.name != INSTALLED, not needs_data(page)))
    with ThreadPoolExecutor(AT_ONCE, initializer=open_terminal) as pool:
        yield {page.name: pool.submit(go_through, page, tmp_path_factory.mktemp(page.stem)) for page in pages}
    for terminal in terminals:
        terminal.close()


def wanted_pages(tests: list[pytest.Item]) -> set[Path]:
    """Return the pages that the chosen tests need and that can be gone through here."""
    named = " ".join(test.name for test in tests if test.path == Path(__file__))
    return {page for page in PAGES if page.name in named and (DATA.is_dir() or not needs_data(page))}


def walked(walks: Walks, name: str) -> Walk:
    """Return a page that was gone through; skip where its logs are not here."""
    if name not in walks:
        pytest.skip(f"the logs from outside are not in {DATA}")
    return walks[name].result()


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_the_commands_of_a_page_succeed_and_print_what_it_shows(name: str, walks: Walks) -> None:
    walk = walked(walks, name)

    assert walk.commands or "<!-- not executed: " in walk.page.read_text(encoding="utf-8")
    assert not walk.faults, "\n\n".join(walk.faults)


REQUEST = re.compile(r"^(?P<method>GET|POST|PUT|PATCH|DELETE) (?P<url>\S+)(?: -> (?P<status>\d+))?$", re.MULTILINE)


class Request(NamedTuple):
    """A request of a page, and the answer it shows, if any."""

    method: str
    path: str
    status: int
    body: str
    answer: str


def requests_of(page: Path) -> list[Request]:
    """Return the requests of a page; what stands below the line of one is its body."""
    requests: list[Request] = []
    page_blocks = blocks(page)
    for block, following in zip(page_blocks, [*page_blocks[1:], None], strict=True):
        if block.language != "http":
            continue
        answer = following.text if following and following.language == "json" and not following.file else ""
        lines = list(REQUEST.finditer(block.text))
        for line, after in zip(lines, [*lines[1:], None], strict=True):
            path = urlsplit(line["url"])
            body = block.text[line.end() : after.start() if after else None].strip()
            asked = f"{path.path}?{path.query}".rstrip("?")
            requests.append(Request(line["method"], asked, int(line["status"] or 200), body, answer))
            answer = ""
    return requests


def shape(value: Any) -> Any:
    """Return the names in a JSON value, without what they hold; of a list its first element."""
    if isinstance(value, dict):
        # Arguments differ by reason.
        return {name: shape(part) for name, part in value.items() if name != "arguments"}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("name", ["tutorial.md", "serve-lists.md"])
def test_the_requests_of_a_page_are_answered_as_it_says(name: str, walks: Walks) -> None:
    walk = walked(walks, name)
    settings = Settings(database_url=f"sqlite:///{walk.folder / 'xuelu.db'}")
    asked = requests_of(walk.page)
    assert asked

    created_key = create_key(settings, "test", ["admin"], days=1, now=datetime.now(UTC))
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {created_key['key']}"}) as client:
        for request in asked:
            headers = {"Content-Type": "application/json"} if request.body else {}
            answer = client.request(request.method, request.path, content=request.body or None, headers=headers)
            assert answer.status_code == request.status, request.path
            if request.answer:
                assert shape(json.loads(request.answer)) == shape(answer.json()), request.path


def test_the_matrices_have_the_documented_columns(walks: Walks) -> None:
    """The matrices of tutorial.md."""
    walk = walked(walks, "tutorial.md")
    documented = [row.first for row in rows(REFERENCE / "schemas.md") if row.heading == "Feature matrices"]
    hours = [f"hour_{hour:02d}" for hour in range(24)]
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    ranges = {"hour_00 … hour_23": hours, "monday … sunday": days}
    expected = [part for name in documented for part in ranges.get(name, [name])]

    written = [
        name
        for file in ("interactions", "profiles", "mastery")
        for name in pq.read_schema(walk.folder / "matrices" / f"{file}.parquet").names
    ]

    # Formats and topics stand in one place, however many there are.
    shown = [KINDS.sub(r"\1…", name) for name in written]
    assert list(dict.fromkeys(shown[8:])) == list(dict.fromkeys(expected[8:]))
    assert shown[:8] == expected[:8]
