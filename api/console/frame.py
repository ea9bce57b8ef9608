"""Frame of the console's pages: templates, texts in two languages, headers, downloads."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.access import CSRF_FIELD, Viewer, cookie_path
from api.console.words import FOLDER, LANGUAGES, texts
from api.dependencies import READING
from api.protocol.route_class import Route
from content_catalog.taxonomy import Taxonomy
from infra.explanations.codes import about, codes, name_of
from infra.ingest.rejects import escape_formula
from recommender.explanations.translations import topic_name

LANGUAGE_COOKIE: Final = "xuelu_language"
LOCALES: Final = {"en": "en", "zh": "zh-CN"}
SCREENS: Final = (
    ("overview", "/console", "analytics:read"),
    ("runs", "/console/runs", "analytics:read"),
    ("catalogue", "/console/items", "analytics:read"),
    ("requirements", "/console/requirements", "analytics:read"),
    ("member", "/console/member", "lists:read"),
    ("deliveries", "/console/deliveries", "admin"),
    ("data", "/console/data", "admin"),
    ("keys", "/console/keys", "admin"),
    ("audit", "/console/audit", "admin"),
    ("settings", "/console/settings", "analytics:read"),
)
"""Links of the navigation: key of the text, path, scope."""
SECTIONS: Final = {
    **dict.fromkeys(("item", "gaps", "curations", "curation"), "items"),
    "requirement": "requirements",
    "preview": "member",
    "endpoints": "deliveries",
}
"""The link that marks the place of screens without a link of their own, by the first part of their paths."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
}


UNITS_SECONDS: Final = {"d": 86_400, "h": 3_600, "min": 60}
UNITS: Final = {"en": {}, "zh": {"d": "天", "h": "小时", "min": "分钟"}}
"""Names of units of time where they are not the keys of :data:`UNITS_SECONDS`."""
PAGE_LENGTH: Final = 50
"""Rows of a page of a table."""
MAX_ROWS: Final = 10_000
"""Most rows of a download."""
BOM: Final = "\ufeff"
"""Beginning of downloads: without it Excel reads UTF-8 as the code page of its computer."""


def console_router() -> APIRouter:
    """Return a router for a screen."""
    return APIRouter(route_class=Route, prefix="/console", include_in_schema=False)


@cache
def environment() -> Environment:
    """Return the environment of the templates."""
    loader = FileSystemLoader(FOLDER / "templates")
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (moment, duration, percent, number, compact, host)
    templates.filters |= {each.__name__: each for each in filters}
    return templates


def moment(value: datetime | str | None) -> str:
    """Return a moment, or its text in ISO 8601, in UTC to the minute.

    >>> moment("2026-03-01T09:00:00Z"), moment(None)
    ('2026-03-01 09:00 UTC', '–')
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float, language: str = "en") -> str:
    """Return a length of time in the largest unit of which it has two or more.

    >>> duration(30), duration(5_400), duration(7_200), duration(200_000, "zh")
    ('0 min', '90 min', '2 h', '2 天')
    """
    largest = next((unit for unit in UNITS_SECONDS if seconds >= 2 * UNITS_SECONDS[unit]), "min")
    return f"{seconds // UNITS_SECONDS[largest]:.0f} {UNITS[language].get(largest, largest)}"


def percent(value: float | None) -> str:
    """Return a share, 0 to 1, as a percentage.

    >>> percent(0.125), percent(None)
    ('12.5 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Return a number with separators.

    >>> number(12345), number(None)
    ('12,345', '–')
    """
    return "–" if value is None else f"{value:,}"


def compact(value: object) -> str:
    """Return a value of JSON, the entries of lists and objects joined.

    >>> compact({"a": 1, "b": 2}), compact(["x", "y"]), compact(None)
    ('a = 1, b = 2', 'x, y', '–')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} = {compact(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(compact(part) for part in value)
    return "–" if value is None else str(value)


def host(target: str) -> str:
    """Return the host of a webhook's address, or the last part of a folder's path.

    >>> host("https://study.example:8443/hook"), host("/srv/lists/")
    ('study.example:8443', 'lists')
    """
    return urlsplit(target).netloc.rpartition("@")[2] or target.rstrip("/").rpartition("/")[2]


def csv_answer(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """Return rows as a CSV file whose cells a spreadsheet does not run as formulas, and whose encoding it sees."""
    text = io.StringIO(newline="")
    text.write(BOM)
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row[column] is None else escape_formula(str(row[column])) for column in columns])
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def language_of(request: Request) -> str:
    """Return the language of a request's page: of its query, its cookie, or the first that the browser accepts."""
    accepted = [part.strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
    wanted = [request.query_params.get("language"), request.cookies.get(LANGUAGE_COOKIE), *accepted]
    return next((name for name in wanted if name in LANGUAGES), "en")


def code_name(taxonomy: Taxonomy, code: str | None, language: str) -> str | None:
    """Return the name of a code; None where there is no code or the taxonomy does not have it."""
    return taxonomy.name_of(code, language) if code is not None and code in taxonomy else None


def locale_of(request: Request) -> str:
    """Return the locale of the reasons on a request's page."""
    return LOCALES[language_of(request)]


def page(viewer: Viewer, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """Return a page from a template and its values."""
    return render(viewer.request, viewer, template, status=status, **values)


def render(
    request: Request, viewer: Viewer | None, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """Return a page of a template, for a viewer or for a request without a session."""
    language, root = language_of(request), request.scope.get("root_path", "")
    scopes = viewer.caller.scopes if viewer else frozenset()
    shown = {
        **_template_functions(language, root, viewer.csrf_token if viewer else ""),
        "root": root,
        "language": language,
        "other_languages": [
            (code, name, _switch(request, code)) for code, name in LANGUAGES.items() if code != language
        ],
        "section": section_of(request.scope["path"].removeprefix(root)),
        "viewer": viewer,
        "screens": [(key, path) for key, path, scope in SCREENS if scope in scopes],
        **values,
    }
    answer = HTMLResponse(environment().get_template(template).render(shown), status_code=status, headers=HEADERS)
    if request.query_params.get("language") in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, path=cookie_path(request), samesite="lax", httponly=True)
    return answer


def _template_functions(language: str, root: str, csrf_token: str) -> dict[str, Callable[..., str]]:
    """Return the functions of templates: texts and names of codes in a language, and the field against forged forms."""

    def text(key: str) -> str:
        return texts()[key][language]

    def label(field: str) -> str:
        return texts().get(field, {}).get(language, field)

    def coded(kind: str, code: str) -> Markup:
        entry = codes()[kind].get(code)
        if entry is None:
            return Markup("<code>{}</code>").format(code)
        link = Markup('<a class="code" href="{}/console/glossary#{}-{}" title="{}">{}</a>')
        return link.format(root, kind, code.replace(" ", "-"), entry[f"about_{language}"], entry[language])

    def csrf() -> Markup:
        return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, csrf_token)

    return {
        "t": text,
        "label": label,
        "name": partial(name_of, language=language),
        "about": partial(about, language=language),
        "coded": coded,
        "topic_name": partial(topic_name, language=LOCALES[language]),
        "csrf": csrf,
    }


def _switch(request: Request, language: str) -> str:
    """Return the address of a page in another language; that of an answer to a form or login begins at the front."""
    if request.method in READING and "/console/login/" not in request.url.path:
        return "?" + urlencode({**request.query_params, "language": language})
    return f"{cookie_path(request)}?language={language}"


def section_of(path: str) -> str:
    """Return the path of the link that marks a page's place in the navigation.

    >>> section_of("/console/gaps"), section_of("/console/runs/r1/difference"), section_of("/console")
    ('/console/items', '/console/runs', '/console')
    """
    first = path.removeprefix("/console").strip("/").partition("/")[0]
    return f"/console/{SECTIONS.get(first, first)}".rstrip("/")


def redirected(request: Request, path: str, **query: str) -> Response:
    """Return the answer that sends the browser to a page of the console."""
    address = f"{request.scope.get('root_path', '')}{path}"
    return RedirectResponse(f"{address}?{urlencode(query)}" if query else address, HTTPStatus.SEE_OTHER)
