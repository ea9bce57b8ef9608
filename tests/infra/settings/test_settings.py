"""Settings: one file, overruled by the environment, frozen, unknown keys refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from annotated_types import Le
from pydantic import BaseModel, ValidationError

from infra.errors import SettingsError
from infra.settings.settings import Settings, load_settings
from tests.changed_settings import changed_settings

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return what writes a text file and returns its path."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_without_file_and_environment_everything_has_its_default(working_folder: Path) -> None:
    assert not list(working_folder.iterdir())
    settings = load_settings()
    assert settings == Settings()
    assert settings.database_url == "sqlite:///xuelu.db"
    assert (settings.organisation, settings.max_reject_share, settings.auto_create) == ("default", 0.05, False)
    assert settings.models.list_length == 20


def test_the_file_in_the_working_folder_is_read(working_folder: Path, write: Write) -> None:
    del working_folder
    write("xuelu.toml", 'organisation = "couriers"\n[models]\nlist_length = 7\n')
    assert load_settings().organisation == "couriers"
    assert load_settings().models.list_length == 7
    assert load_settings().models.als_factors == Settings().models.als_factors


def test_the_variable_names_another_file_and_an_argument_names_yet_another(
    working_folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    del working_folder
    write("xuelu.toml", 'organisation = "here"')
    monkeypatch.setenv("XUELU_CONFIG", str(write("other.toml", 'organisation = "variable"')))
    assert load_settings().organisation == "variable"
    assert load_settings(write("third.toml", 'organisation = "argument"')).organisation == "argument"
    monkeypatch.setenv("XUELU_CONFIG", "")
    assert load_settings().organisation == "here"


def test_the_environment_overrules_the_file_in_sections_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("own.toml", 'organisation = "file"\nport = 1\n[models]\nseed = 1\nlist_length = 7\n')
    monkeypatch.setenv("XUELU_ORGANISATION", "environment")
    monkeypatch.setenv("XUELU_MODELS__SEED", "42")
    settings = load_settings(path)
    assert (settings.organisation, settings.port) == ("environment", 1)
    assert (settings.models.seed, settings.models.list_length) == (42, 7)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("organization = 'x'", ["organization", "is no setting"]),
        ("[models]\nlist_lenght = 5", ["models.list_lenght", "is no setting"]),
        ("port = 'eighty'", ["port = 'eighty'", "valid integer"]),
        ("max_reject_share = 1.5", ["max_reject_share = 1.5", "less than or equal to 1"]),
        ("port = -1\n[doctor]\nmin_events = -1", ["port = -1", "doctor.min_events = -1"]),
        ("[delivery]\nretry_seconds = [5, -1]", ["delivery.retry_seconds", "greater than or equal to 0"]),
        ("[delivery]\nretry_seconds = [inf]", ["delivery.retry_seconds", "finite number"]),
        ("[delivery]\ntimeout_seconds = nan", ["delivery.timeout_seconds", "finite number"]),
        ("[nightly]\nkeep_days = 1000000", ["nightly.keep_days", "36500"]),
        ("[models]\nals_alpha = inf", ["models.als_alpha", "finite number"]),
        ("[models]\nals_factors = 1001\nthreads = 1025", ["models.als_factors = 1001", "models.threads = 1025"]),
        ("[delivery]\npublic_url = 'xuelu.example'", ["delivery.public_url = 'xuelu.example'", "https://"]),
        ("[oidc]\nissuer = 'https://'", ["oidc.issuer = 'https://'", "an address such as"]),
        ("xapi_home_page = 'https://a b'", ["xapi_home_page = 'https://a b'", "an absolute IRI"]),
        ("organisation = ''", ["organisation = ''", "at least 1 character"]),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_with_its_value_and_where_to_read_on(
    write: Write, text: str, parts: list[str]
) -> None:
    path = write("own.toml", text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    message = str(caught.value)
    assert all(part in message for part in [*parts, str(path), "docs/reference/settings.md"]), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XUELU_PORT", "eighty"),
        ("XUELU_MODELS__SEEED", "1"),
        ("XUELU_CORS_ORIGINS", "https://a.example"),
        ("XUELU_CORS_ORIGINS", '["https://a.example/"]'),
    ],
)
def test_a_wrong_variable_is_refused_like_a_wrong_line_of_the_file(
    name: str, value: str, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del working_folder
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name.removeprefix("XUELU_").replace("__", ".").lower()):
        load_settings()


@pytest.mark.parametrize(
    "text",
    [
        "databse_url = 'postgresql://xuelu:open-sesame@db/xuelu'",
        "[database]\nurl = 'postgresql://xuelu:open-sesame@db/xuelu'",
        "database_url = ['postgresql://xuelu:open-sesame@db/xuelu']",
        "database_url = ['postgresql://xuelu:p@open-sesame@db/xuelu']",
        "[models]\ndatabase_url = 'postgresql://xuelu:open-sesame@db/xuelu'",
        "models = 'postgresql://xuelu:open-sesame@db/xuelu'",
    ],
)
def test_no_message_tells_a_password_that_stands_on_the_wrong_line(write: Write, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write("own.toml", text))
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XUELU_DELIVERY__SECRET_KEYS", "open-sesame"),
        ("XUELU_DELIVERY__PASSWORD", "open-sesame"),
        ("XUELU_DELIVERY", '{"secret_keys": "open-sesame"}'),
        ("XUELU_MODELS", '{"secret_key": "open-sesame"}'),
        ("XUELU_DELIVERY", '{"secret_key": "open-sesame'),
        ("XUELU_DELIVERY", '["open-sesame"]'),
        ("XUELU_OIDC__CLIENT_SECRT", "open-sesame"),
    ],
)
def test_no_message_tells_a_secret_under_a_mistyped_name(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    del working_folder
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as fault:
        load_settings()
    assert "open-sesame" not in str(fault.value)


@pytest.mark.parametrize("content", [b"organisation = ", b"organisation = '\xff'"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"own\.toml cannot be read"):
        load_settings(path)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_was_named_must_exist_and_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / name)


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    with pytest.raises(ValidationError, match="frozen"):
        settings.models.seed = 1


def test_the_digest_covers_every_setting_of_lists_and_no_other() -> None:
    sections = (
        "weights.",
        "models.",
        "ranker.",
        "policy.",
        "privacy.",
        "objective.",
        "nightly.refit_days",
        "nightly.holdout_nights",
    )

    covered = {name for name, changed in changed_settings(Settings()) if changed.digest() != Settings().digest()}

    of_lists = {name for name, _ in changed_settings(Settings()) if name.startswith(("timezone", *sections))}
    assert covered == of_lists - {"models.threads"}


def test_every_setting_says_what_it_is_and_every_number_has_an_upper_bound() -> None:
    def unsaid(model: type[BaseModel]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if isinstance(field.default, BaseModel):
                yield from unsaid(type(field.default))
            elif not field.description:
                yield name
            elif type(field.default) in {int, float} and not any(isinstance(bound, Le) for bound in field.metadata):
                yield f"{name} without bound"

    assert list(unsaid(Settings)) == []


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("[evidence]\nhalf_life_days = 3", "weights"),
        ("[weights]\nmember_influence = 3", "weights.member_cap"),
        ("[doctor]\nmax_waiting_share = 0.1", "doctor.max_unresolved_share"),
    ],
)
def test_a_setting_of_an_earlier_version_is_refused_with_its_name_now(write: Write, text: str, new: str) -> None:
    with pytest.raises(SettingsError, match=f"is called {new} now"):
        load_settings(write("old.toml", text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[models]\nals_factor = 3\n", "models.als_factor: is no setting; did you mean models.als_factors?"),
        ("databse_url = 'x'\n", "databse_url: is no setting; did you mean database_url?"),
        ("[night]\nkeep_days = 3\n", "night: is called nightly now"),
        ("[nightly]\nslice_floor = 0.5\n", "nightly.slice_floor: is called nightly.min_group_length now"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(write: Write, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write("own.toml", content))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("XUELU_DATABSE_URL", r"XUELU_DATABSE_URL is no setting; did you mean XUELU_DATABASE_URL\?"),
        ("XUELU_NIGHT__KEEP_DAYS", "XUELU_NIGHT__KEEP_DAYS is no setting; is called XUELU_NIGHTLY__… now"),
        ("XUELU_SOMETHING_ELSE_ENTIRELY", "XUELU_SOMETHING_ELSE_ENTIRELY is no setting; see docs"),
    ],
)
def test_a_variable_like_ours_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, working_folder: Path, variable: str, message: str
) -> None:
    del working_folder
    monkeypatch.setenv(variable, "sqlite:///secret.db")
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "secret.db" not in str(caught.value)


@pytest.mark.parametrize("content", ["receipt_key = 'open-sesame'", "[delivery]\nsecret_key = 'open-sesame'"])
def test_a_secret_in_the_file_is_refused(write: Write, content: str) -> None:
    with pytest.raises(
        SettingsError, match="is a secret; take it out of the file and set the variable XUELU_"
    ) as caught:
        load_settings(write("own.toml", content))
    assert "open-sesame" not in str(caught.value)


def test_a_file_with_a_byte_order_mark_is_read(write: Write) -> None:
    assert load_settings(write("own.toml", "\ufeffport = 7\n")).port == 7


@pytest.mark.usefixtures("working_folder")
@pytest.mark.parametrize(
    "variable",
    [
        "XUELU_NEW_SECRET_KEY",
        "XUELU_SERVICE_HOST",
        "XUELU_PORT_8000_TCP",
        "XUELU_PORT_8000_TCP_ADDR",
        "XUELU_API_SERVICE_PORT",
    ],
)
def test_variables_of_commands_and_of_kubernetes_service_links_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "tcp://10.0.0.11:8000")
    assert load_settings() == Settings()
