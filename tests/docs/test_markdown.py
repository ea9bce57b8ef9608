"""Pages hold together: links lead somewhere, examples are true, decisions are short, the site needs no network."""

import doctest
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from content_catalog.io.mapping import Mapping
from infra.settings.settings import Settings
from tests.docs.pages import DOCS, ROOT, all_pages, blocks

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//""", re.IGNORECASE)
IMPORTED = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", re.IGNORECASE)
MAX_DECISION = 50
SETTINGS_KEYS = set(Settings.model_fields)


def name_of(page: Path) -> str:
    """Return a page's name in test reports."""
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in heads}


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.is_file() or (anchor and anchor not in anchors(file)):
            broken.append(link)

    assert broken == []


def examples_of(page: Path) -> str:
    """Return the examples of a page in a row: later ones know what earlier ones imported."""
    return "\n".join(block.text for block in blocks(page) if ">>>" in block.text)


@pytest.mark.parametrize("page", [page for page in all_pages() if examples_of(page)], ids=name_of)
def test_python_examples_are_true(page: Path) -> None:
    examples = examples_of(page)
    test = doctest.DocTestParser().get_doctest(examples, {}, name_of(page), name_of(page), 0)

    result = doctest.DocTestRunner().run(test)

    assert result.attempted
    assert not result.failed


def toml_blocks() -> list[tuple[str, str]]:
    """Return name and text of every TOML block that is meant to be sound."""
    return [
        (f"{name_of(page)}:{block.line}", block.text)
        for page in all_pages()
        for block in blocks(page)
        if block.language == "toml" and not block.text.startswith("# not a sound")
    ]


@pytest.mark.parametrize("text", [text for _, text in toml_blocks()], ids=[name for name, _ in toml_blocks()])
def test_toml_examples_are_sound_settings_or_mappings(text: str) -> None:
    content = tomllib.loads(text)

    kind = Settings if set(content) <= SETTINGS_KEYS else Mapping

    assert kind(**content)


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=name_of)
def test_a_decision_is_short_and_has_its_four_parts(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()

    assert len(lines) <= MAX_DECISION
    assert lines[0].startswith(f"# ADR {page.name[:4]}: ")
    parts = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert parts == ["Context", "Decision", "Consequences", "Alternatives"]


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)

    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) >= len(list(DOCS.rglob("*.md")))
    assert [str(page) for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []
    styles = sorted(tmp_path.rglob("*.css"))
    assert [str(style) for style in styles if IMPORTED.search(style.read_text(encoding="utf-8"))] == []


def test_the_list_of_the_readme_is_the_one_that_its_guide_prints() -> None:
    tables = [
        re.search(r"by history · .*\n(┏[^`]*)", (ROOT / page).read_text(encoding="utf-8"))
        for page in ("README.md", "docs/how-to/mars.md")
    ]
    readme, guide = [table[1].splitlines() if table else [] for table in tables]
    assert len(readme) > len("rows")
    assert readme == guide
