"""Pages of documentation taken apart: code blocks with the comments before them, and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^(#+) (.+)$")
CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, its text, its line, and what the comment before it says."""

    language: str
    text: str
    line: int
    note: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is the content of, if it is one."""
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else None

    @property
    def executed(self) -> bool:
        """Whether the block is executed."""
        return not self.note.startswith("not executed: ")


@dataclass(frozen=True)
class Row:
    """A row of a table: the heading it stands under, and its cells by the names of their columns."""

    heading: str
    cells: dict[str, str]

    @property
    def first(self) -> str:
        """The first cell, as plain text."""
        return plain(next(iter(self.cells.values())))

    def __getitem__(self, name: str) -> str:
        """Return a cell by its column."""
        return self.cells[name]


def all_pages() -> list[Path]:
    """Return every Markdown file of the project."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(fence["language"], fence["text"], text[: fence.start()].count("\n") + 1, fence["note"] or "")
        for fence in FENCE.finditer(text)
    ]


def rows(page: Path) -> list[Row]:
    """Return the rows of all tables of a page, in order."""
    return list(_rows(page.read_text(encoding="utf-8").splitlines()))


def _rows(lines: list[str]) -> Iterator[Row]:
    heading, header = "", None
    for line in lines:
        if match := HEADING.match(line):
            heading = match[2]
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(line)[1:-1]]
        if header is None:
            header = cells
        elif not all(set(cell) <= {"-", ":"} for cell in cells):
            yield Row(heading, dict(zip(header, cells, strict=True)))


def plain(cell: str) -> str:
    """Return a cell without the marks of code."""
    return cell.replace("`", "")
