"""Screens of imported data."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from api.console.words import texts
from infra.catalog import organisations
from infra.db.core_tables import imports
from infra.db.engine import transaction
from infra.reports import data_quality
from tests.api.console.conftest import Browser, actions
from tests.conftest import ON_SQLITE, Take


def import_of(page: str) -> str:
    """Return the address of the first import on the screen."""
    return "/console/data/im_" + page.partition("/console/data/im_")[2].partition('"')[0]


def test_imports_and_their_bad_lines_are_shown_and_downloaded(
    bad_file: Path, browser: Browser, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.operations.data.PAGE_LENGTH", 1)
    client = browser()
    listed = client.get("/console/data", params={"kind": "items", "state": "", "language": "zh"})
    assert (bad_file.name in listed.text, "数据质量" in listed.text) == (True, True)
    address = import_of(listed.text)
    page = client.get(address, params={"language": "en"}).text
    assert ('<td class="long">=1+1</td>' in page, "Next page" in page) == (True, True)
    second = client.get(page.rpartition('<p><a href="')[2].partition('"')[0]).text
    assert ("&lt;b&gt;" in second, "Next page" in second) == (True, False)
    lines = client.get(f"{address}/rejects.csv").content.decode("utf-8-sig").splitlines()
    assert (lines[0], "'=1+1" in lines[1], len(lines)) == ("line,field,value,reason", True, 3)
    listed = client.get("/console/data/imports.csv")
    assert (listed.content.startswith(b"\xef\xbb\xbf"), listed.text.count(bad_file.name)) == (True, 1)
    assert actions(engine) == ["console.log_in", *["imports.read_rejects"] * 3]
    for query in ("kind=lost", "state=lost", "cursor=lost"):
        assert client.get(f"/console/data?{query}").status_code == 400
    assert client.get(f"{address}?cursor=lost").status_code == 400


@ON_SQLITE
def test_bad_lines_that_are_gone_say_so(bad_file: Path, take: Take, browser: Browser) -> None:
    client = browser()
    address = import_of(client.get("/console/data").text)
    take("items", bad_file, max_reject_share=1.0)
    page = client.get(address)
    assert (page.status_code, "of the same name replaced them" in page.text) == (200, True)
    assert client.get(f"{address}/rejects.csv").status_code == 404


@ON_SQLITE
@pytest.mark.usefixtures("bad_file")
def test_an_import_that_stopped_half_way_says_so(browser: Browser, engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(update(imports).values(status="unfinished"))
    listed = browser().get("/console/data?state=unfinished").text
    assert re.search('title="[^"]*Import the file again[^"]*">Unfinished</a></span>', listed)


@ON_SQLITE
def test_nothing_imported_yet_says_what_to_do(browser: Browser) -> None:
    client = browser()
    assert "xuelu ingest" in client.get("/console/data").text
    assert "No import matches" in client.get("/console/data?kind=items").text


def test_imports_of_another_organisation_are_unknown(bad_file: Path, browser: Browser) -> None:
    own = import_of(browser().get("/console/data").text)
    client = browser(organisation="bakers")
    assert bad_file.name not in client.get("/console/data").text + client.get("/console/data/imports.csv").text
    assert client.get(own).status_code == 404
    assert client.get(f"{own}/rejects.csv").status_code == 404


def test_each_run_keeps_its_figures_of_data_quality_for_a_chart_a_table_and_a_file(
    browser: Browser, engine: Engine, served: dict[str, Any]
) -> None:
    client = browser()
    page = client.get("/console/data", params={"language": "en"}).text
    assert "<svg" in page
    row = re.search(rf'/console/runs/{served["run_id"]}">[^<]*</a></th><td class="n">([^<]*)</td>', page)
    assert row is not None
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        [figures] = data_quality.history(session, key, limit=5)
        measured = data_quality.measure(session, key, now=served["made_at"])
    assert row[1] == f"{measured['events']:,}"
    assert {name: figures[name] for name in data_quality.numbers(measured)} == data_quality.numbers(measured)
    lines = client.get("/console/data/quality.csv").content.decode("utf-8-sig").splitlines()
    assert (lines[0].split(",")[:3], len(lines)) == (["made_at", "run_id", "events"], 2)
    stranger = browser(organisation="bakers").get("/console/data?language=en").text
    assert texts()["no_quality_history"]["en"] in stranger


@ON_SQLITE
def test_figures_beyond_their_thresholds_are_shown_with_advice_in_both_languages(browser: Browser) -> None:
    client = browser(organisation="bakers")
    few = "Events · 0 · sound at least 1 · <code>doctor.min_events</code> · Import study logs."
    assert few in client.get("/console/data?language=en").text
    assert (
        "事件 · 0 · 正常下限 1 · <code>doctor.min_events</code> · 请导入学习日志。"
        in client.get("/console/data?language=zh").text
    )


def test_every_finding_has_a_name_and_advice_in_both_languages() -> None:
    for name in ("events", *data_quality.ADVICE):
        assert {f"quality_{name}", f"advice_{name}"} <= texts().keys()
