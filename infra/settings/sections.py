"""Sections of the settings."""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from content_catalog.schema import HOURS
from infra.settings.addresses import WebAddress

Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[float, Field(gt=0, le=36_500)]
WholeDays = Annotated[int, Field(ge=1, le=36_500)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Amount = Annotated[float, Field(ge=0, le=1_000_000)]
PositiveAmount = Annotated[float, Field(gt=0, le=1_000_000)]
Wait = Annotated[float, Field(ge=0, le=604_800)]
Places = Annotated[int, Field(ge=1, le=100)]
"""Places of a list, or the rank of one."""
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
CALLBACK: Final = "/console/login/openid/callback"
"""Path of the console that the OpenID provider sends browsers back to."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class SettingsSection(BaseModel):
    """A section: frozen, unknown keys refused; the docstring below a setting describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class WeightSettings(SettingsSection):
    """Weights of study events."""

    half_life_days: Days = 90.0
    """The weight of an interaction halves after this many days."""
    item_time_cap: float = Field(default=2.0, ge=1, le=1_000_000)
    """Study time of an item counts up to this multiple of its duration."""
    unknown_item_cap_seconds: PositiveAmount = 14_400.0
    """Study time of an item whose duration is not known counts up to this many seconds."""
    member_cap: PositiveAmount = 20.0
    """The summed weight of one member in any popularity or co-occurrence figure is at most this."""


class ModelSettings(SettingsSection):
    """Models, and the lists made by them."""

    popularity_half_life_days: Days = 7.0
    """Popularity of an item halves after this many days."""
    segment_half_life_days: Days = 14.0
    """Popularity within a role and industry halves after this many days."""
    segment_shrinkage: Amount = 20.0
    """Weight a role and industry needs before its own figures outweigh those of its parent."""
    neighbours_per_item: int = Field(default=100, ge=1, le=10_000)
    """Similar items kept for each item."""
    neighbour_shrinkage: Amount = 5.0
    """Weight two items need in common before their similarity counts fully."""
    als_factors: int = Field(default=8, ge=1, le=1_000)
    """Factors of the ALS model."""
    als_iterations: int = Field(default=15, ge=1, le=1_000)
    """Passes of the ALS model over the data."""
    als_regularization: Amount = 5.0
    """Regularization of the ALS model."""
    als_alpha: PositiveAmount = 3.0
    """Confidence per unit of weight in the ALS model."""
    ease_regularization: PositiveAmount = 100.0
    """Regularization of the EASE model."""
    retrieval_depth: int = Field(default=60, ge=1, le=1_000)
    """Candidates each model proposes for a member."""
    list_length: Places = 20
    """Items of a push list."""
    seed: int = Field(default=0, ge=0, le=2_147_483_647)
    """Seed of every random number of a night."""
    threads: int = Field(default=0, ge=0, le=1_024)
    """Threads used for fitting; 0 means all cores."""
    extra: tuple[str, ...] = ()
    """Own models as `MODULE:CLASS`, named as their classes."""
    extra_parameters: dict[str, dict[str, int | float]] = {}
    """Parameters of own models, by the model's name."""
    in_pipeline: tuple[str, ...] = ()
    """Models that take part in the pipeline, and so in the night, beside the default ones."""


class RankerSettings(SettingsSection):
    """The ranker, learned from earlier nights."""

    window_days: WholeDays = 180
    """Nights older than this give no training examples."""
    backtest_refit_days: WholeDays = 30
    """Days after which a backtest refits its ranker."""
    negative_sampling_rate: float = Field(default=0.08, gt=0, le=1)
    """Share of the candidates not studied next that become training examples."""
    max_lists: Count = 2_000
    """Most lists of one night that become training examples."""
    max_interactions: Count = 10_000_000
    """Most interactions before the nights learned from, summed: bounds the time of training."""
    max_iter: int = Field(default=100, ge=1, le=10_000)
    """Most trees of the ranker."""
    max_leaf_nodes: int = Field(default=15, ge=2, le=1_000)
    """Most leaves of a tree."""
    learning_rate: float = Field(default=0.08, gt=0, le=1)
    """Weight with which each tree is added."""
    min_samples_leaf: Count = 60
    """Fewest candidates in a leaf."""
    l2_regularization: Amount = 5.0
    """L2 regularization of the leaves' values."""


class ObjectiveSettings(SettingsSection):
    """Weights of the outcomes by which the ranker learns, and lists are judged in backtests and searches."""

    began: Amount = 1.0
    """Weight of items that a member began next."""
    completed: Amount = 0.0
    """Weight of those completed within a week."""
    passed: Amount = 0.0
    """Weight of those passed within a week."""
    returned: Amount = 0.0
    """Weight of those whose member came back in the next week."""

    @model_validator(mode="after")
    def _has_weight(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("every weight is 0; give one of began, completed, passed, returned a weight above 0")
        return self


class PrivacySettings(SettingsSection):
    """Protection of single members in what is shown of groups."""

    smallest_group: Count = 10
    """Fewest members that what is shown of a group is about."""


class NightlySettings(SettingsSection):
    """The night, and the limits that hold its lists back."""

    refit_days: float = Field(default=0.0, ge=0, le=7)
    """Fitted models serve for this long; only lists of members with changes are made until then."""
    online_lists: bool = True
    """Store the models of the served run, by which the service computes lists after new events."""
    event_copy: bool = False
    """Keep a copy of the events as Parquet files by month, and read everybody's events from it."""
    keep_models_days: int = Field(default=7, ge=0, le=36_500)
    """Models of earlier runs are kept for this long, to explain their lists; 0: of the served run only."""
    keep_days: WholeDays = 90
    """Runs are kept, and their lists can be shown, for this long."""
    min_coverage: Share = 0.01
    """Smallest share of the offered items that must be on any list."""
    max_churn: Share = 0.5
    """Largest mean share of a list that may be other items than the night before."""
    max_event_loss: Share = 0.1
    """Largest share of the events known the night before that may be missing."""
    holdout_nights: int = Field(default=7, ge=0, le=365)
    """Latest nights on which the ranking is compared with the served one; 0: none."""
    max_quality_loss: Share = 0.1
    """Largest share of the served ranking's NDCG that may be lost on them."""
    min_group_length: Share = 0.5
    """Smallest length of the lists of a role, industry or tenure, as a share of all lists' mean."""

    @property
    def stores_models(self) -> bool:
        """Whether a run stores its fitted models."""
        return self.online_lists or self.refit_days > 0 or self.keep_models_days > 0


class DeliverySettings(SettingsSection):
    """Delivery of push lists."""

    study_hours: str = Field(default="08:00-21:00", pattern=HOURS)
    """Local hours open for pushes to members whose habits are not known."""
    quiet_hours: str = Field(default="22:00-08:00", pattern=HOURS)
    """Local hours without pushes, unless a member has set its own."""
    max_per_day: int = Field(default=1, ge=0, le=1_000)
    """Most pushes to a member on one local date, over all endpoints."""
    max_per_week: int = Field(default=5, ge=0, le=1_000)
    """Most pushes to a member on any seven dates in a row, over all endpoints."""
    list_length: Places = 10
    """Most items of a push."""
    max_body_bytes: int = Field(default=20_000, ge=1_000, le=100_000_000)
    """A larger body is sent without its items, with a link to them."""
    public_url: WebAddress = ""
    """Address of the service that such links begin with."""
    timeout_seconds: float = Field(default=15.0, gt=0, le=3_600)
    """A receiver that takes longer has failed."""
    retry_seconds: tuple[Wait, ...] = (5.0, 60.0, 300.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0)
    """Wait before each retry, give or take a fifth. After the last one has failed the push is dead."""
    concurrency: int = Field(default=50, ge=1, le=1_000)
    """Most pushes under way to one endpoint at a time."""
    lease_seconds: float = Field(default=120.0, gt=0, le=86_400)
    """A push that a worker claimed and did not settle for so long, and three timeouts, is claimed by another one."""
    allow_private_addresses: bool = False
    """Deliver to private addresses too, and over plain HTTP."""
    secret_key: str = Field(default="", repr=False)
    """Key that seals the secrets of endpoints. From the environment only."""

    @property
    def lease(self) -> timedelta:
        """Time that a claimed push is held for: at least that for resolving the host, sending and recording."""
        return timedelta(seconds=max(self.lease_seconds, 3 * self.timeout_seconds))


class OidcSettings(SettingsSection):
    """OpenID provider: its access tokens are accepted beside keys of the service, and it logs in to the console."""

    issuer: WebAddress = ""
    """Address of the OpenID provider; none: tokens are not accepted."""
    audience: str = "xuelu"
    """Required audience of a token."""
    organisation_claim: str = "organisation"
    """Claim that names the organisation."""
    scope_claim: str = "scope"
    """Claim that holds the scopes: words of one text, or a list."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    """Algorithms a token may be signed by; all have public keys."""
    token_types: tuple[str, ...] = ("at+jwt",)
    """Accepted `typ` of a token's header; RFC 9068 gives access tokens `at+jwt`."""
    jwks_max_age_seconds: float = Field(default=300.0, gt=0, le=86_400)
    """Age at which the provider's keys are fetched again."""
    client_id: str = ""
    """Client that the console is at the provider; none: the console takes keys only."""
    client_secret: str = Field(default="", repr=False)
    """Secret of that client; none: a public one. From the environment only."""
    redirect_uri: str = ""
    """Address of the console that the provider sends browsers back to, as registered there:
    https://HOST/console/login/openid/callback.
    """
    login_scope: str = "openid"
    """Scope that a login asks the provider for; holds `openid`."""

    @property
    def login_address(self) -> str:
        """Address of the console's login, as browsers see it."""
        return f"{self.redirect_uri.removesuffix(CALLBACK)}/console/login"

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if not self.client_id:
            return self
        if not self.issuer:
            raise ValueError("client_id needs issuer, the address of the provider")
        address = urlsplit(self.redirect_uri)
        is_web = address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK)
        if not is_web or not address.netloc or not self.redirect_uri.endswith(CALLBACK) or address.query:
            raise ValueError(
                f"client_id needs redirect_uri, such as https://xuelu.example{CALLBACK}; "
                f"it begins with https, or http on this machine, and ends with {CALLBACK}"
            )
        if "openid" not in self.login_scope.split():
            raise ValueError("login_scope lacks openid, without which the provider gives no ID token")
        return self


class DoctorSettings(SettingsSection):
    """From where on ``xuelu doctor`` calls the data unsound."""

    max_reject_share: Share = 0.05
    """Largest sound share of rejected lines in the newest imports of all files."""
    max_unresolved_share: Share = 0.05
    """Largest sound share of events of unknown members or items."""
    max_future_share: Share = 0.01
    """Largest sound share of events later than now."""
    max_thin_member_share: Share = 0.99
    """Largest sound share of members with fewer than two events."""
    max_one_timestamp_share: Share = 0.5
    """Largest sound share of events stamped with one single time."""
    min_events: int = Field(default=1, ge=0, le=1_000_000_000)
    """Fewest events a sound organisation has."""
