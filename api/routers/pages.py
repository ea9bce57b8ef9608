"""Pages for a browser: an index, and the API to read and to try, by scripts of the service's own."""

from collections.abc import AsyncIterator
from functools import cache, partial
from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from api.protocol.conditions import tagged
from api.protocol.route_class import Route

FOLDER: Final = Path(__file__).parents[1] / "pages"
SWAGGER_UI: Final = FOLDER / "vendored" / "swagger-ui"
FILES: Final = {
    "docs.js": (FOLDER / "docs.js", "text/javascript"),
    "swagger-ui-bundle.js": (SWAGGER_UI / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (SWAGGER_UI / "swagger-ui.css", "text/css"),
}
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI needs no more: it sets styles by script, and its icons are data addresses."""
CACHED: Final = "public, max-age=3600"
PART_BYTES: Final = 65_536

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get("/")
async def index(request: Request) -> Response:
    """Return the page that links to the others."""
    return _page(request, "index.html")


@router.get("/openapi.json")
async def description(request: Request) -> Response:
    """Return the OpenAPI document, rendered once: it is half a megabyte, and asked for without a key."""
    prefix = request.scope.get("root_path", "").rstrip("/")
    body = request.app.state.descriptions.get(prefix, partial(_rendered, request.app, prefix))
    return Response(body, media_type="application/json")


def _rendered(app: FastAPI, prefix: str) -> bytes:
    """Return the OpenAPI document as JSON, with the path prefix of a proxy as its server."""
    document = app.openapi()
    return orjson.dumps(document | {"servers": [{"url": prefix}]} if prefix else document)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return the page of the API."""
    return _page(request, "docs.html")


@router.get("/docs/{name}")
async def file_of_docs(name: str) -> Response:
    """Return a script or style sheet of the page of the API.

    Raises
    ------
    HTTPException
        There is none of this name.
    """
    if name not in FILES:
        raise HTTPException(404)
    path, media_type = FILES[name]
    content = _content_of(path)
    headers = {"Cache-Control": CACHED, "Content-Length": str(len(content))}
    return StreamingResponse(_parts_of(content), media_type=media_type, headers=headers)


def _page(request: Request, name: str) -> Response:
    return tagged(_content_of(FOLDER / name), request, "text/html", {"Content-Security-Policy": CSP})


@cache
def _content_of(path: Path) -> bytes:
    """Return the content of a file, read once: clients that read slowly would hold as many open files."""
    return path.read_bytes()


async def _parts_of(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PART_BYTES):
        yield content[start : start + PART_BYTES]
