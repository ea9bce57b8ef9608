"""Screen of the settings."""

import csv
import html
import re
import threading
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.app import create_app
from api.console.reference.settings import shown_settings
from api.console.words import texts
from infra.db.access_tables import audit_entries
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.console.conftest import Browser, csrf_token
from tests.conftest import ON_SQLITE
from tests.limits import HANG_SECONDS
from tests.together import together


@pytest.mark.usefixtures("couriers")
def test_settings_are_shown_with_what_they_mean_where_they_are_not_the_default(browser: Browser) -> None:
    client = browser("analytics:read")
    for language in ("en", "zh"):
        page = client.get("/console/settings", params={"language": language}).text
        assert texts()["changed_setting"][language] in page, "tests have models of few factors"
        assert {"en": "halves after this many days", "zh": "每过这么多天减半"}[language] in page


def test_no_secret_and_no_address_of_the_machine_is_shown() -> None:
    secret = {"lrs_password": "s3cret", "receipt_key": "s3cret", "database_url": "postgresql://a:s3cret@db/x"}
    settings = Settings.model_validate(secret | {"delivery": {"secret_key": "s3cret"}, "host": "10.1.2.3"})
    text = repr(list(shown_settings(settings)))
    assert "s3cret" not in text
    assert "10.1.2.3" not in text
    assert "list_length" in text


@ON_SQLITE
def test_a_draft_is_checked_compared_and_downloaded_and_changes_nothing(browser: Browser, settings: Settings) -> None:
    client = browser()
    path = "/console/settings/draft"
    form = {"csrf_token": csrf_token(client.get(path).text), "do": "check"}
    filled = html.unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", client.get(path).text, re.DOTALL)[0])
    assert texts()["draft_changes_nothing"]["en"] in client.post(path, data=form | {"toml": filled}).text
    draft = filled + "\n[nightly]\nmax_churn = 0.25\n"
    page = client.post(path, data=form | {"toml": draft}).text
    assert re.search(r"<code>nightly.max_churn</code></th><td>0.5</td><td>0.25</td>", page)
    assert texts()["draft_keeps_lists"]["en"] in page
    assert (
        texts()["draft_relists"]["en"] in client.post(path, data=form | {"toml": draft + "[policy]\nwindow = 6"}).text
    )
    downloaded = client.post(path, data=form | {"toml": draft, "do": "download"})
    assert (downloaded.text, downloaded.headers["content-type"]) == (draft, "application/toml")
    assert client.get(path).text.count("max_churn") == 0
    assert settings.nightly.max_churn == 0.5


@ON_SQLITE
@together(
    ("draft", "reason", "shown_again"),
    [
        ("[policy]\nwindow = 0", "policy.window = 0: Input should be greater than or equal to 2", True),
        ("[polici]\nwindow = 6", "did you mean policy?", True),
        ("[policy\n", "the draft is no TOML", True),
        ("a = " + "[" * 9_000, "the draft is no TOML", True),
        ("receipt_key = 's3cret'", "is a secret; take it out of the file", False),
    ],
)
def test_a_draft_that_does_not_hold_says_why_and_no_secret_comes_back(
    browser: Browser, draft: str, reason: str, *, shown_again: bool
) -> None:
    client = browser()
    path = "/console/settings/draft"
    refused = client.post(path, data={"csrf_token": csrf_token(client.get(path).text), "toml": draft})
    assert (refused.status_code, reason in html.unescape(refused.text)) == (400, True)
    assert (draft in html.unescape(refused.text)) == shown_again
    assert "s3cret" not in refused.text


@pytest.fixture
def own_artefacts(settings: Settings, tmp_path: Path) -> Settings:
    """Return the settings of a service with a folder of artefacts of this test's own."""
    return settings.model_copy(update={"artefacts_folder": tmp_path})


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_a_draft_is_tried_on_lists_by_a_process_of_its_own(
    own_artefacts: Settings, make_key: MakeKey, engine: Engine
) -> None:
    path = "/console/settings/draft"
    with TestClient(create_app(own_artefacts), follow_redirects=False) as client:
        client.post("/console/login", data={"key": make_key()})
        page = client.get(path).text
        assert texts()["no_dry_run"]["en"] in page
        assert client.get(f"{path}.csv").text.count("\n") == 1
        filled = html.unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[0])
        form = {"csrf_token": csrf_token(page), "do": "try"}
        draft = filled + "\n[policy]\nwindow = 3\nmax_per_topic = 1\n"
        assert client.post(path, data=form | {"toml": draft}).headers["location"] == path
        assert texts()["dry_run_busy"]["en"] in client.post(path, data=form | {"toml": draft}).text
        for thread in threading.enumerate():
            if thread.name == "dry run":
                thread.join(HANG_SECONDS)
        page = client.get(path).text
        assert texts()["dry_run_finished"]["en"] in page
        assert re.search(r"<code>policy.max_per_topic</code></th><td>[^<]*</td><td>1</td>", page)
        assert "max_per_topic = 1" in re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[0]
        rows = [*csv.DictReader(client.get(f"{path}.csv").text.removeprefix("\ufeff").splitlines())]
        assert (rows[0]["slice"], rows[0]["members"]) == ("all", "23")
        assert int(rows[0]["changed"]) > 0
        own = draft.replace("[models]", '[models]\nextra = ["os:path"]')
        refused = client.post(path, data=form | {"toml": own})
    assert (refused.status_code, texts()["dry_run_own_models"]["en"] in html.unescape(refused.text)) == (409, True)
    with transaction(engine) as session:
        entry = session.execute(select(audit_entries).where(audit_entries.c.action == "settings.dry_run")).one()
    assert set(orjson.loads(entry.detail)["changed"]) == {"policy.window", "policy.max_per_topic"}


@ON_SQLITE
def test_a_draft_is_for_administrators(browser: Browser) -> None:
    client = browser("analytics:read")
    assert texts()["draft_link"]["en"] not in client.get("/console/settings").text
    assert client.get("/console/settings/draft").status_code == 403
