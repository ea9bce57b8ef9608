"""Every screen of the console in a real browser: both languages, two widths, no fault that axe or the CSP reports."""

import hashlib
import re
import shutil
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine

from api.console.reference.draft import as_toml
from api.console.routes import ROUTERS
from api.console.words import texts
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.reports.runs.difference import SLICES
from infra.reports.runs.dry_runs import FOLDER, DryRun
from infra.settings.sections import CALLBACK
from infra.settings.settings import Settings
from infra.training import examples
from jobs.evaluation.reports.report import backtest_page, tuning_page
from jobs.evaluation.reports.report_page import LANGUAGES
from jobs.evaluation.tune import TuningResult
from tests.api.conftest import MakeKey
from tests.api.listening import listening
from tests.api.provider import CLIENT_SECRET, provider
from tests.conftest import ON_SQLITE, Take
from tests.jobs.delivery.delivery_setup import DeliverySetup, planned
from tests.jobs.evaluation.reports.test_report import ROWS, row

CUT_TABLES = """
[...document.querySelectorAll(".scroll")]
  .filter(scroll => scroll.querySelector("tr").cells.length === 2 && scroll.scrollWidth > scroll.clientWidth)
  .map(scroll => scroll.innerText.slice(0, 40))
"""
"""Tables of two columns, a name and its value, that have to be scrolled sideways."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
AXE = Path(__file__).parents[2] / "vendored" / "axe.min.js"
"""axe-core 4.10.3 as published on npm; its licence, MPL-2.0, stands beside it."""
AXE_SHA256 = "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"
AUDIT = "axe.run({resultTypes: ['violations']})"
"""Finds all violations; of what passes nothing is described, a quarter of the processor time."""
DOWNLOADS = ".csv"
CSV = "a[href*='.csv']"
HEIGHT = 900
WIDE, NARROW = 1280, 320
ROW_HEIGHT = 70
"""Height that a header of one row does not exceed, in px."""
PICTURE_HEIGHT = 660
"""Height of the pictures in the docs, which are below 100 kB each."""
SCREENS = [
    route.path
    for router in ROUTERS
    for route in router.routes
    if "GET" in route.methods
    and not route.path.endswith((DOWNLOADS, ".css", "/organisations"))
    and "/login" not in route.path
]
REQUIREMENTS = "requirement_id,items,target_roles,due_on\nsafety,v1,83,2026-03-02\nlate,v1,83,soon\n"
CURATIONS = "curation_id,action,items,ends_at\nsummer,boost,v1,2199-01-01T00:00:00Z\n"
SEEDS = ["/console", "/console/member?member_id=d1"]
"""Pages that a walk along links begins with: the second one is behind a form."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; Debian's package is `chromium`"),
]


@dataclass
class Walk:
    """Pages of the console that were looked at, one for each screen, and what was wrong with them."""

    page: Page
    origin: str
    audited_at: tuple[int, ...] = ()
    widths: tuple[int, ...] = (WIDE,)
    folder: Path | None = None
    faults: list[str] = field(default_factory=list)
    visited: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Collect messages of the browser's console, violations of the CSP among them."""
        self.page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def look(self, path: str, *, name: str) -> None:
        """Open a page and check it."""
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        if answer.status != 200:
            self._note(f"{path} answers {answer.status}")
        self.check(name)

    def check(self, name: str) -> None:
        """Check the open page: no wider than the window, one heading of the first level, no fault that axe finds."""
        page = self.page
        if self.audited_at:
            page.evaluate(AXE.read_text(encoding="utf-8"))
        for width in self.widths:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            taken = page.evaluate("document.documentElement.scrollWidth")
            if width == WIDE and page.evaluate("document.querySelector('header').offsetHeight") > ROW_HEIGHT:
                self._note("its header has two rows")
            if taken > width:
                self._note(f"it is {taken} px wide in a window of {width}")
            if cut := page.evaluate(CUT_TABLES):
                self._note(f"in a window of {width} the values are cut off of {cut}")
            if self.folder is not None:
                whole = {"x": 0, "y": 0, "width": width, "height": PICTURE_HEIGHT}
                page.screenshot(path=Path(f"{self.folder}-{width}", f"{name}.png"), clip=whole)
            for fault in page.evaluate(AUDIT)["violations"] if width in self.audited_at else ():
                self._note(f"at {width} px {fault['id']}: {fault['help']}: {fault['nodes'][0]['html'][:200]}")
        if page.locator("svg[role=img]").count() and not page.locator("table").count() * page.locator(CSV).count():
            self._note("it has a chart without a table and a CSV file")
        if page.locator("h1").count() != 1:
            self._note("it has not one h1")

    def along_links(self) -> None:
        """Open a page of each screen that links lead to."""
        waiting = deque(SEEDS)
        while waiting:
            path = waiting.popleft()
            screen = screen_of(path)
            if screen is None or screen in self.visited:
                continue
            self.visited[screen] = path
            self.look(path, name=picture_of(screen))
            links = self.page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
            pages = [link for link in links if "language=" not in link and not urlsplit(link).path.endswith(DOWNLOADS)]
            waiting += [link.removeprefix(self.origin) for link in pages]

    def _note(self, fault: str) -> None:
        self.faults.append(f"{urlsplit(self.page.url).path}: {fault}")


def screen_of(address: str) -> str | None:
    """Return the path of the route that answers an address; None where it is no screen."""
    path = urlsplit(address).path
    patterns = ((screen, re.sub(r"{\w+(:path)?}", "[^/]+", screen)) for screen in sorted(SCREENS, key=by_parameters))
    return next((screen for screen, pattern in patterns if re.fullmatch(pattern, path)), None)


def picture_of(screen: str) -> str:
    """Return the name of the picture of a screen."""
    return re.sub(r"\W+", "-", screen).strip("-")


def picture_folder(request: pytest.FixtureRequest, language: str) -> Path | None:
    """Return the beginning of the folders that pictures in a language go to; None where none are asked for."""
    pictures: str | None = request.config.getoption("--screenshots")
    return Path(pictures, language) if pictures else None


def by_parameters(screen: str) -> int:
    """Return how many parts of a path are parameters: one without them answers first."""
    return screen.count("{")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, and close it at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def logged_in(browser: Browser, origin: str, key: str, language: str) -> Page:
    """Return a page with a session of the console."""
    context = browser.new_context(locale=language)
    page = context.new_page()
    page.goto(f"{origin}/console")
    page.get_by_label("API").fill(key)
    page.locator("main button").click()
    page.wait_for_url(f"{origin}/console")
    return page


@pytest.fixture
def stored_figures(engine: Engine, settings: Settings, served_online: dict[str, Any]) -> Iterator[None]:
    """Store the outcome of a dry run of a draft, as its process would, and figures of the run's ranking."""
    rows = [
        {"value": value, "members": 12, "suppressed": False, "changed": 3, "new_share": 0.1, "low": 0.0, "high": 0.25}
        | {"length_before": 9.5, "length_after": 10.0}
        for value in (None, "83")
    ]
    figures = {
        "run_id": "0" * 36,
        "members": 12,
        "population": 23,
        "gained": 9,
        "lost": 7,
        "required": {"required": {"before": 3, "after": 4}},
        "slices": {name: rows if name in ("role", "industry") else rows[:1] for name in ("all", *SLICES)},
        "came": [{"item_id": "v1", "title": "安全驾驶", "members": 12}],
        "left": [],
    }
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
    text = as_toml(settings) + "\n[policy]\nwindow = 3\n"
    dry_run = DryRun(state="finished", started_at=datetime.now(UTC), text=text, figures=figures)
    folder = settings.artefacts_folder / FOLDER
    folder.mkdir(parents=True)
    Path(folder, f"{key}.json").write_text(dry_run.model_dump_json(), encoding="utf-8")
    quality = examples.figures_folder(examples.folder_of(settings.artefacts_folder, key))
    hashes = pd.util.hash_array(np.array([f"d{number}" for number in range(10)], dtype=object))
    examples.store(quality, served_online["run_id"], {"member": hashes, "ndcg": np.linspace(0.1, 1.0, 10)})
    yield
    # Databases in the same state share both.
    shutil.rmtree(folder)
    Path(quality, f"{served_online['run_id']}{examples.SUFFIX}").unlink()


@pytest.mark.usefixtures("served_online", "stored_figures")
def test_every_screen_is_sound_in_a_browser(
    request: pytest.FixtureRequest, engine: Engine, settings: Settings, make_key: MakeKey, take: Take
) -> None:
    planned(engine, settings)
    take("requirements", REQUIREMENTS, max_reject_share=1.0)
    take("curations", CURATIONS)
    last_month = datetime.now(UTC).replace(day=1) - timedelta(days=10)
    studied = "".join(f"d{number},v1,viewed,{last_month:%Y-%m-%d}\n" for number in range(10))
    take("events", f"member_id,item_id,verb,occurred_at\n{studied}")
    on_sqlite = engine.dialect.name == "sqlite"
    widths = (NARROW, WIDE) if on_sqlite else (WIDE,)
    # What axe finds depends on the width or on the language, not on both: half of its minute of processor time.
    visits: dict[str, tuple[int, ...]] = {"en": (NARROW,), "zh-CN": (WIDE,)} if on_sqlite else {"zh-CN": ()}
    if request.config.getoption("--screenshots"):  # before a release: everything
        widths, visits = (NARROW, WIDE), dict.fromkeys(("en", "zh-CN"), (NARROW, WIDE))
    faults: list[str] = []
    with listening(settings) as origin, chromium() as browser:
        for language, audited_at in visits.items():
            folder = picture_folder(request, language) if on_sqlite else None
            page = logged_in(browser, origin, make_key(), language)
            walk = Walk(page, origin, audited_at, widths, folder)
            walk.start()
            walk.along_links()
            walk.faults += [f"no link leads to {screen}" for screen in SCREENS if screen not in walk.visited]
            faults += [f"{language}: {fault}" for fault in walk.faults]
            page.context.close()
    assert "\n".join(faults) == ""


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_login_and_a_form_work_without_a_pointer(
    request: pytest.FixtureRequest, engine: Engine, settings: Settings, make_key: MakeKey
) -> None:
    planned(engine, settings)
    with listening(settings) as origin, chromium() as browser:
        page = browser.new_context(locale="en").new_page()
        walk = Walk(page, origin, (WIDE,), folder=picture_folder(request, "en"))
        walk.start()
        walk.look("/console/login", name="console-login")
        walk.folder = None
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#content", "the skip link comes first"
        page.get_by_label("API").focus()
        page.keyboard.type(make_key())
        page.keyboard.press("Enter")
        page.wait_for_url(f"{origin}/console")
        walk.look("/console/deliveries?status=pending", name="pending")
        page.get_by_role("checkbox").first.focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Drop").focus()
        page.keyboard.press("Enter")
        page.get_by_role("status").wait_for()
        walk.check("dropped")
        assert walk.faults == []
    assert DeliverySetup(engine, settings, datetime.now(UTC)).statuses()["dropped"] == 1


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_an_account_logs_in_sees_its_organisations_and_logs_out_at_the_provider(
    request: pytest.FixtureRequest, settings: Settings, make_key: MakeKey
) -> None:
    make_key(organisation="bakers")
    with provider() as identity, socket.create_server(("127.0.0.1", 0)) as bound, chromium() as browser:
        identity.id_claims = {"scope": "admin", "organisation": ["default", "bakers"]}
        origin = f"http://127.0.0.1:{bound.getsockname()[1]}"
        client = {"client_id": "console", "client_secret": CLIENT_SECRET, "redirect_uri": f"{origin}{CALLBACK}"}
        settings = settings.model_copy(update={"oidc": identity.settings.model_copy(update=client)})
        with listening(settings, bound):
            page = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 900}).new_page()
            walk = Walk(page, origin, (WIDE,))
            walk.start()
            walk.look("/console/login?next=/console/keys", name="login-by-provider")
            page.locator("a.button").focus()
            page.keyboard.press("Enter")
            page.wait_for_url(f"{origin}/console/keys")
            walk.folder = picture_folder(request, "zh-CN")
            walk.look("/console/organisations", name="console-organisations")
            walk.folder = None
            page.get_by_role("button", name="bakers").focus()
            page.keyboard.press("Enter")
            page.wait_for_url(f"{origin}/console")
            assert page.locator(".organisation").inner_text() == "bakers"
            assert walk.faults == []
            page.get_by_role("button", name=texts()["log_out"]["zh"]).click()
            page.wait_for_url("**/realm/end?id_token_hint=*")


def test_reports_of_backtests_and_searches_open_offline(tmp_path: Path) -> None:
    objectives = {"began": 0.3, "completed": 0.2}
    curve = {"objectives": objectives, "objective": 0.3, "learned_by": objectives}
    rows = [*ROWS, *(row(f"default, completed {share}%", "warm", 0.3, **curve) for share in (0, 100))]
    search = TuningResult(
        [{"ndcg": 0.3, "als_factors": 8.0}], {"als_factors": 1.0}, [["as they were", 0.3, 0.2], ["tuned", 0.3, 0.2]], ""
    )
    with chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        for language in LANGUAGES:
            contents = backtest_page(rows, "march", language=language), tuning_page(search, "als", language=language)
            for number, content in enumerate(contents):
                file = tmp_path / f"{number}.html"
                file.write_text(content, encoding="utf-8")
                page.goto(file.as_uri())
                page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
                assert page.locator("svg").first.is_visible()
                page.evaluate(AXE.read_text(encoding="utf-8"))
                faults += [fault["help"] for fault in page.evaluate(AUDIT)["violations"]]
        assert faults == []


def test_axe_is_as_it_was_published() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256
