"""Pictures of all screens in the docs, small ones."""

from pathlib import Path

import pytest

from tests.api.console.test_in_browser import SCREENS, picture_of

DOCS = Path(__file__).parents[3] / "docs"
MAX_BYTES = 100_000


@pytest.mark.parametrize("screen", [*SCREENS, "/console/login", "/console/organisations"])
def test_the_docs_show_every_screen(screen: str) -> None:
    picture = DOCS / "assets" / "console" / f"{picture_of(screen)}.png"
    assert picture.exists(), "`make pictures` takes it"
    assert picture.stat().st_size < MAX_BYTES
    page = Path(DOCS, "reference", "console.md").read_text(encoding="utf-8")
    assert f"`{screen}`" in page
    assert f"](../assets/console/{picture.name})" in page
