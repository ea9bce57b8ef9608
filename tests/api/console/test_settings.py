"""Screen of the settings."""

import html
import re

import pytest

from api.console.reference.settings import shown_settings
from api.console.words import texts
from infra.settings.settings import Settings
from tests.api.console.conftest import Browser, csrf_token


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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_draft_is_for_administrators(browser: Browser) -> None:
    client = browser("analytics:read")
    assert texts()["draft_link"]["en"] not in client.get("/console/settings").text
    assert client.get("/console/settings/draft").status_code == 403
