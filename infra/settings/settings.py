"""Settings: one ``xuelu.toml``, overruled by the environment, frozen, unknown keys refused."""

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from content_catalog.time_zones import resolve_zone, unknown_zone
from infra.errors import SettingsError
from infra.settings.sections import (
    DeliverySettings,
    DoctorSettings,
    ModelSettings,
    NightlySettings,
    OidcSettings,
    PrivacySettings,
    RankerSettings,
    WeightSettings,
)

CONFIG_VARIABLE = "XUELU_CONFIG"
DEFAULT_FILE = Path("xuelu.toml")
LONGEST_NAME = 100
RENAMED: Final = {
    "evidence": "weights",
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
CREDENTIALS = re.compile(r"(?<=://)[^@]*(?=@)")
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

    model_config = SettingsConfigDict(env_prefix="XUELU_", env_nested_delimiter="__", extra="forbid", frozen=True)
    database_url: str = Field(
        default="sqlite:///xuelu.db", description="SQLAlchemy address of the SQLite or PostgreSQL database."
    )
    organisation: str = Field(
        default="default", min_length=1, max_length=LONGEST_NAME, description="Organisation that commands work for."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC",
        description="Time zone of organisations without one of their own: of days, hours and times without an offset.",
    )
    max_reject_share: float = Field(
        default=0.05, ge=0, le=1, description="A file with a larger share of bad lines is refused whole."
    )
    auto_create: bool = Field(
        default=False, description="Make undescribed members and items for events that name unknown ones."
    )
    rejects_folder: Path = Field(default=Path("rejects"), description="Folder for the files of bad lines.")
    artefacts_folder: Path = Field(
        default=Path("artefacts"),
        description="Folder for what nights keep: for a night that goes on, for later ones and for the service.",
    )
    xapi_home_page: str = Field(
        default="", description="Account home page whose account names are member ids as they stand."
    )
    lrs_user: str = Field(default="", description="User of `xuelu ingest xapi --from` at the record store.")
    lrs_password: str = Field(default="", repr=False, description="Password of that user; only from the environment.")
    receipt_key: str = Field(
        default="", repr=False, description="Private key that signs receipts of erasures; only from the environment."
    )
    host: str = Field(default="127.0.0.1", description="Address `xuelu serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port `xuelu serve` listens on.")
    max_body_bytes: int = Field(default=33_554_432, ge=1_024, description="Largest body of a request, in bytes.")
    request_timeout_seconds: float = Field(
        default=60.0, gt=0, description="A body that takes longer to arrive, or a query to answer, is given up."
    )
    rate_limit_per_minute: int = Field(
        default=60_000, ge=0, description="Requests that a key may make in a minute; 0: any number."
    )
    cors_origins: list[str] = Field(
        default=[],
        description="Origins whose scripts may call the service from a browser, such as https://app.example.",
    )
    weights: WeightSettings = WeightSettings()
    models: ModelSettings = ModelSettings()
    ranker: RankerSettings = RankerSettings()
    privacy: PrivacySettings = PrivacySettings()
    nightly: NightlySettings = NightlySettings()
    delivery: DeliverySettings = DeliverySettings()
    oidc: OidcSettings = OidcSettings()
    doctor: DoctorSettings = DoctorSettings()

    def digest(self) -> str:
        """Return the SHA-256 of the settings that lists depend on, in hexadecimal."""
        parts = (
            self.timezone,
            self.weights.model_dump_json(),
            self.models.model_dump_json(exclude={"threads"}),
            self.ranker.model_dump_json(),
            self.nightly.model_dump_json(include={"refit_days", "holdout_nights"}),
            self.privacy.model_dump_json(),
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
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    file = named or DEFAULT_FILE
    content: dict[str, Any] = {}
    if named or file.exists():
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"settings file {file} cannot be read: {error}; see docs/reference/settings.md"
            ) from error
    try:
        return Settings(**_overruled(content, EnvSettingsSource(Settings)()))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))} = {_shown(fault)}: {_message(fault)}" for fault in error.errors()
        )
        raise SettingsError(
            f"settings ({file} and XUELU_ variables): {faults}; see docs/reference/settings.md"
        ) from error


def _shown(fault: Any) -> str:
    """Return the value at fault without credentials; of a secret, or a section that may hold one, nothing."""
    value = repr(fault["input"])
    if SECRET.search(".".join(map(str, fault["loc"]))) or SECRET.search(value):
        return "***"
    return CREDENTIALS.sub("***", value)


def _message(fault: Any) -> str:
    new = RENAMED.get(".".join(map(str, fault["loc"])))
    return f"is called {new} now" if new else str(fault["msg"])


def _overruled(content: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    """Return settings with others put over them, section by section."""
    merged = dict(content)
    for name, value in by.items():
        below = merged.get(name)
        merged[name] = _overruled(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
