"""Screen of the settings."""

import pytest

from api.console.reference.settings import shown_settings
from api.console.words import texts
from infra.settings.settings import Settings
from tests.api.console.conftest import Browser


@pytest.mark.usefixtures("couriers")
def test_settings_are_shown_with_what_they_mean_where_they_are_not_the_default(browser: Browser) -> None:
    client = browser("analytics:read")
    for language in ("en", "zh"):
        page = client.get("/console/settings", params={"language": language}).text
        assert texts()["changed_setting"][language] in page, "tests have models of few factors"
        assert "halves after this many days" in page


def test_no_secret_and_no_address_of_the_machine_is_shown() -> None:
    secret = {"lrs_password": "s3cret", "receipt_key": "s3cret", "database_url": "postgresql://a:s3cret@db/x"}
    settings = Settings.model_validate(secret | {"delivery": {"secret_key": "s3cret"}, "host": "10.1.2.3"})
    text = repr(list(shown_settings(settings)))
    assert "s3cret" not in text
    assert "10.1.2.3" not in text
    assert "list_length" in text
