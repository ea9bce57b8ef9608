"""Pages for a browser: what they load is the service's own, unchanged since it was vendored."""

import hashlib
import re
import tomllib

from starlette.testclient import TestClient

from api.routers.pages import FILES, FOLDER
from tests.conftest import ON_SQLITE
from tests.together import together

VENDORED = FOLDER / "vendored"


def links(page: str) -> list[str]:
    """Return the addresses that a page names."""
    return re.findall(r'(?:href|src)="([^"]*)"', page)


@ON_SQLITE
def test_the_index_links_to_the_api_and_to_health(anonymous: TestClient) -> None:
    page = anonymous.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert {"docs", "v1/health/live", "v1/health/ready"} <= set(links(page.text))
    status = {link: anonymous.get(f"/{link}").status_code for link in links(page.text) if link != "data:,"}
    assert {link: code for link, code in status.items() if code != 200} == {"v1/health/ready": 503}


@ON_SQLITE
def test_the_page_of_the_api_loads_files_of_the_service_only(anonymous: TestClient) -> None:
    page = anonymous.get("/docs")
    loaded = [link for link in links(page.text) if link != "data:,"]
    assert loaded == ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/docs.js"]
    for link in loaded:
        answer = anonymous.get(f"/{link}")
        path, media_type = FILES[link.removeprefix("docs/")]
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"


@ON_SQLITE
def test_the_page_of_the_api_allows_nothing_inline_and_no_other_host(anonymous: TestClient) -> None:
    page = anonymous.get("/docs")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    sources = {source for name, value in policy.items() if name != "default-src" for source in value.split()}
    assert sources == {"'self'", "'none'", "data:"}
    assert [name for name, value in policy.items() if "data:" in value] == ["img-src"]
    assert not re.search(r"<style|<script(?! src=)| style=| on\w+=", page.text)


@ON_SQLITE
@together("path", ["/", "/docs", "/console/console.css"])
def test_a_page_that_a_browser_has_is_not_sent_again(anonymous: TestClient, path: str) -> None:
    tag = anonymous.get(path).headers["etag"]
    assert anonymous.get(path, headers={"If-None-Match": tag}).status_code == 304


@ON_SQLITE
@together("name", ["LICENSE", "..%2Fdocs.html", "docs.html", "%2e%2e/app.py"])
def test_no_other_file_is_given_out(anonymous: TestClient, name: str) -> None:
    answer = anonymous.get(f"/docs/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_vendored_files_are_as_published_with_their_licence() -> None:
    recorded = tomllib.loads((VENDORED / "vendored.toml").read_text(encoding="utf-8"))
    stored = {
        folder.name: {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in VENDORED.iterdir()
        if folder.is_dir()
    }
    assert stored == {name: library["sha256"] for name, library in recorded.items()}
    assert all("LICENSE" in files for files in stored.values())
    assert all(library["version"] and library["licence"] for library in recorded.values())
