"""Settings: one ``xuelu.toml``, overruled by the environment, frozen, unknown keys refused."""

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SettingsSourceError

from content_catalog.errors import why_unreadable
from content_catalog.time_zones import resolve_zone, unknown_zone
from infra.errors import SettingsError
from infra.settings.addresses import Iri, Origin
from infra.settings.policy import PolicySettings
from infra.settings.sections import (
    DeliverySettings,
    DoctorSettings,
    ModelSettings,
    NightlySettings,
    ObjectiveSettings,
    OidcSettings,
    PrivacySettings,
    RankerSettings,
    SettingsSection,
    Share,
    WeightSettings,
)

CONFIG_VARIABLE = "XUELU_CONFIG"
DEFAULT_FILE = Path("xuelu.toml")
MAX_NAME_LENGTH = 100
MAX_KEY_DAYS = 3_650
RENAMED: Final = {
    "evidence": "weights",
    "night": "nightly",
    "nightly.fold_in": "nightly.online_lists",
    "nightly.judged_nights": "nightly.holdout_nights",
    "nightly.slice_floor": "nightly.min_group_length",
    "blend": "ranker",
    "ranker.trees": "ranker.max_iter",
    "ranker.leaves": "ranker.max_leaf_nodes",
    "ranker.least_in_leaf": "ranker.min_samples_leaf",
    "ranker.regularization": "ranker.l2_regularization",
    "ranker.negative_share": "ranker.negative_sampling_rate",
    "ranker.most_lists": "ranker.max_lists",
    "ranker.most_interactions": "ranker.max_interactions",
    "ranker.refit_days": "ranker.backtest_refit_days",
    "weights.member_influence": "weights.member_cap",
    "doctor.max_waiting_share": "doctor.max_unresolved_share",
}
"""Settings of earlier versions, and their names now."""
CREDENTIALS = re.compile(r"(?<=://).*(?=@)")
SECRETS: Final = ("receipt_key", "lrs_password", "delivery.secret_key", "oidc.client_secret")
"""Settings that come from the environment only."""
REENCRYPTION_VARIABLE = "XUELU_NEW_SECRET_KEY"
OTHER_VARIABLES: Final = {CONFIG_VARIABLE, REENCRYPTION_VARIABLE, "XUELU_DATA"}
"""Variables that are no settings: the settings file, and the real logs of the tests."""
SERVICE_LINK: Final = re.compile(r"XUELU(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""Variables that Kubernetes sets for a service whose name begins with xuelu (its service links)."""
SECRET = re.compile(r"secret|key|password|token", re.IGNORECASE)
"""Names of settings, mistyped ones among them, whose values are never shown."""


def _zone(name: str) -> str:
    """Return the IANA name of a zone."""
    zone = resolve_zone(name)
    if zone is None:
        raise ValueError(unknown_zone(name))
    return zone


class Settings(BaseSettings):
    """Everything that can be set. A nested setting's variable has two underscores: ``XUELU_MODELS__SEED``."""

    model_config = SettingsConfigDict(
        env_prefix="XUELU_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    database_url: str = "sqlite:///xuelu.db"
    """SQLAlchemy address of the SQLite or PostgreSQL database."""
    organisation: str = Field(default="default", min_length=1, max_length=MAX_NAME_LENGTH)
    """Organisation that commands work for."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Time zone of organisations without one of their own: of days, hours and times without an offset."""
    max_reject_share: Share = 0.05
    """A file with a larger share of bad lines is refused whole."""
    auto_create: bool = False
    """Make undescribed members and items for events that name unknown ones."""
    rejects_folder: Path = Path("rejects")
    """Folder for the files of bad lines."""
    artefacts_folder: Path = Path("artefacts")
    """Folder for what nights keep: for a night that goes on, for later ones and for the service."""
    xapi_home_page: Iri = ""
    """Account home page whose account names are member ids as they stand."""
    lrs_user: str = ""
    """User of `xuelu ingest xapi --from` at the record store."""
    lrs_password: str = Field(default="", repr=False)
    """Password of that user; only from the environment."""
    receipt_key: str = Field(default="", repr=False)
    """Private key that signs receipts of erasures; only from the environment."""
    host: str = "127.0.0.1"
    """Address `xuelu serve` listens on."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """Port `xuelu serve` listens on."""
    max_body_bytes: int = Field(default=33_554_432, ge=1_024, le=2_147_483_647)
    """Largest body of a request, in bytes."""
    request_timeout_seconds: float = Field(default=60.0, gt=0, le=86_400)
    """A body that takes longer to arrive, or a query to answer, is given up."""
    rate_limit_per_minute: int = Field(default=60_000, ge=0, le=1_000_000_000)
    """Requests that a key may make in a minute; 0: any number."""
    cors_origins: list[Origin] = []
    """Origins whose scripts may call the service from a browser, such as https://app.example."""
    weights: WeightSettings = WeightSettings()
    models: ModelSettings = ModelSettings()
    ranker: RankerSettings = RankerSettings()
    policy: PolicySettings = PolicySettings()
    privacy: PrivacySettings = PrivacySettings()
    nightly: NightlySettings = NightlySettings()
    delivery: DeliverySettings = DeliverySettings()
    oidc: OidcSettings = OidcSettings()
    doctor: DoctorSettings = DoctorSettings()
    objective: ObjectiveSettings = ObjectiveSettings()

    def digest(self) -> str:
        """Return the SHA-256 of the settings that lists depend on, in hexadecimal."""
        parts = (
            self.timezone,
            self.weights.model_dump_json(),
            self.models.model_dump_json(exclude={"threads"}),
            self.ranker.model_dump_json(),
            self.policy.model_dump_json(),
            self.nightly.model_dump_json(include={"refit_days", "holdout_nights"}),
            self.privacy.model_dump_json(),
            self.objective.model_dump_json(),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_settings(path: Path | None = None) -> Settings:
    """Return the settings of a TOML file and the environment.

    Parameters
    ----------
    path : Path, optional
        The file; by default the one ``XUELU_CONFIG`` names, else ``xuelu.toml`` where it exists.

    Raises
    ------
    SettingsError
        The file cannot be read, or a setting is unknown or out of range; the message names each.
    """
    variable = os.environ.get(CONFIG_VARIABLE)
    named = path or (Path(variable) if variable else None)
    file = named or DEFAULT_FILE
    content: dict[str, Any] = {}
    if named or file.exists():
        try:
            # With or without a byte order mark, which editors on Windows write.
            content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"settings file {file} cannot be read: {why_unreadable(error)}; see docs/reference/settings.md"
            ) from error
    settings = _checked(content, str(file))
    if settings.models.in_pipeline:
        import_own_models(settings.models)
    return settings


def read_draft(text: str) -> Settings:
    """Return the settings that the text of a file would give here; no own model of it is imported.

    Raises
    ------
    SettingsError
        The text is no TOML or holds a secret, or a setting is unknown or out of range; the message names each.
    """
    try:
        content = tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"the draft is no TOML: {error}; see docs/reference/settings.md") from error
    return _checked(content, "the draft")


def _checked(content: dict[str, Any], file: str) -> Settings:
    """Return the settings of a file's content and the environment."""
    _refuse_secrets(content, file)
    _refuse_unknown_variables()
    try:
        return Settings(**_overruled(content, EnvSettingsSource(Settings)()))
    except SettingsSourceError as error:
        raise SettingsError(
            f'environment variables XUELU_…: {error}; write a list as JSON, such as \'["a", "b"]\', and a section as '
            "'{\"name\": 1}'"
        ) from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}{_shown(fault)}: {_message(fault)}" for fault in error.errors()
        )
        raise SettingsError(
            f"settings ({file} and XUELU_ variables): {faults}; see docs/reference/settings.md"
        ) from error


def import_own_models(models: ModelSettings) -> None:
    """Import the own models of the pipeline: every process that reads stored models needs their classes.

    Raises
    ------
    ModelError
        One cannot be imported.
    """
    from recommender.own_models import import_own  # noqa: PLC0415 - as below
    from recommender.registry import own_in_pipeline  # noqa: PLC0415 - models take a second to import

    for spec in own_in_pipeline(models.extra, models.in_pipeline):
        import_own(spec)


def _shown(fault: Any) -> str:
    """Return the value at fault after its name, without credentials; nothing for an unknown name or a section."""
    value = repr(fault["input"])
    if fault["type"] in {"extra_forbidden", "model_type"}:  # either may be a secret at a wrong place
        return ""
    if SECRET.search(".".join(map(str, fault["loc"]))) or SECRET.search(value):
        return " = ***"
    return " = " + CREDENTIALS.sub("***", value)


def _message(fault: Any) -> str:
    name = ".".join(map(str, fault["loc"]))
    if name in RENAMED:
        return f"is called {RENAMED[name]} now"
    if fault["type"] == "extra_forbidden":
        return f"is no setting{_suggestion(name, setting_names())}"
    if fault["type"] == "string_pattern_mismatch" and "HH" not in str(fault["msg"]) and name.endswith("_hours"):
        return "must be hours such as 08:00-21:00"
    return str(fault["msg"]).removeprefix("Value error, ")


def _suggestion(name: str, names: Iterable[str]) -> str:
    """Return the nearest of some names as a question; nothing where none is near."""
    nearest = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def setting_names() -> list[str]:
    """Return the names of all settings and sections: ``port, models, models.seed, …``."""
    names = []
    for name, field in Settings.model_fields.items():
        names.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsSection):
            names += [f"{name}.{inner}" for inner in field.annotation.model_fields]
    return names


def _refuse_secrets(content: dict[str, Any], file: str) -> None:
    """Raise where a file holds a secret, which others may read or commit."""
    for name in SECRETS:
        section, _, inner = name.rpartition(".")
        below = content.get(section, {}) if section else content
        if isinstance(below, dict) and inner in below:
            variable = f"XUELU_{name.replace('.', '__').upper()}"
            raise SettingsError(f"{file}: {name} is a secret; take it out of the file and set the variable {variable}")


def _refuse_unknown_variables() -> None:
    """Raise where a variable begins like ours and is no setting: a mistyped one would silently change nothing."""
    variables = {f"XUELU_{name.replace('.', '__').upper()}" for name in setting_names()} | OTHER_VARIABLES
    for variable in sorted(os.environ):
        name = variable.upper()
        own = name in variables or name.partition("__")[0] in variables
        if own or not name.startswith("XUELU_") or SERVICE_LINK.fullmatch(name):
            continue
        old = RENAMED.get(name.removeprefix("XUELU_").partition("__")[0].lower())
        hint = f"; is called XUELU_{old.upper()}__… now" if old else _suggestion(name, variables)
        raise SettingsError(f"environment variable {variable} is no setting{hint}; see docs/reference/settings.md")


def _overruled(content: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    """Return settings with others put over them, section by section."""
    merged = dict(content)
    for name, value in by.items():
        below = merged.get(name)
        merged[name] = _overruled(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
