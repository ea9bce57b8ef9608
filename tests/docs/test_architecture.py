"""The architecture page against the tree: every folder drawn, every named module there, every table in its table."""

import re

from infra.db import access_tables, catalog_version, core_tables, delivery_tables
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
PACKAGES = ("content_catalog", "features", "recommender", "infra", "jobs", "api", "simulator")
INDENT = 3


def drawn_folders() -> set[str]:
    """Return the folders of the drawing of rooms, as paths."""
    drawing = PAGE.split("## The rooms")[1].split("```")[1]
    drawn: set[str] = set()
    path: list[str] = []
    for line in drawing.splitlines():
        names = list(re.finditer(r"(\w+)/(?=\s|$)", line))
        if names:
            path = path[: names[0].start() // INDENT]
            drawn |= {"/".join([*path, match[1]]) for match in names}
            path.append(names[0][1])
    return drawn


def test_every_folder_of_modules_is_drawn() -> None:
    folders = {
        str(module.parent.relative_to(ROOT))
        for package in PACKAGES
        for module in (ROOT / package).rglob("*.py")
        if module.parent.name != "versions"
    }
    assert folders <= drawn_folders()


def test_every_module_the_page_names_exists() -> None:
    named = set(re.findall(r"`([\w/]+/\w+\.(?:py|toml))`", PAGE))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_table_is_described() -> None:
    tables = {module.metadata for module in (core_tables, access_tables, delivery_tables, catalog_version)}.pop().tables
    rows = PAGE.split("## Tables")[1]
    assert {name for name in tables if f"`{name}`" not in rows} == set()
