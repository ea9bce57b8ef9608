"""Sections of the settings."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    model_validator,
)

from content_catalog.schema import HOURS

Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[float, Field(gt=0, le=36_500)]
WholeDays = Annotated[int, Field(ge=1, le=36_500)]
Count = Annotated[int, Field(ge=1)]
Places = Annotated[int, Field(ge=1, le=100)]
"""Places of a list, or the rank of one."""
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
CALLBACK: Final = "/console/login/openid/callback"
"""Path of the console that the OpenID provider sends browsers back to."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class SettingsSection(BaseModel):
    """A section: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WeightSettings(SettingsSection):
    """Weights of study events."""

    half_life_days: PositiveFloat = Field(90.0, description="The weight of an interaction halves after this many days.")
    item_time_cap: float = Field(
        2.0, ge=1, description="Study time of an item counts up to this multiple of its duration."
    )
    unknown_item_cap_seconds: PositiveFloat = Field(
        14_400.0, description="Study time of an item whose duration is not known counts up to this many seconds."
    )
    member_cap: PositiveFloat = Field(
        20.0, description="The summed weight of one member in any popularity or co-occurrence figure is at most this."
    )


class ModelSettings(SettingsSection):
    """Models, and the lists made by them."""

    popularity_half_life_days: PositiveFloat = Field(
        7.0, description="Popularity of an item halves after this many days."
    )
    segment_half_life_days: PositiveFloat = Field(
        14.0, description="Popularity within a role and industry halves after this many days."
    )
    segment_shrinkage: float = Field(
        20.0, ge=0, description="Weight a role and industry needs before its own figures outweigh those of its parent."
    )
    neighbours_per_item: Count = Field(100, description="Similar items kept for each item.")
    neighbour_shrinkage: float = Field(
        5.0, ge=0, description="Weight two items need in common before their similarity counts fully."
    )
    als_factors: Count = Field(8, description="Factors of the ALS model.")
    als_iterations: Count = Field(15, description="Passes of the ALS model over the data.")
    als_regularization: NonNegativeFloat = Field(5.0, description="Regularization of the ALS model.")
    als_alpha: PositiveFloat = Field(3.0, description="Confidence per unit of weight in the ALS model.")
    ease_regularization: PositiveFloat = Field(100.0, description="Regularization of the EASE model.")
    retrieval_depth: int = Field(60, ge=1, le=1_000, description="Candidates each model proposes for a member.")
    list_length: Places = Field(20, description="Items of a push list.")
    seed: NonNegativeInt = Field(0, description="Seed of every random number of a night.")
    threads: NonNegativeInt = Field(0, description="Threads used for fitting; 0 means all cores.")
    extra: tuple[str, ...] = Field((), description="Own models as `MODULE:CLASS`, named as their classes.")
    extra_parameters: dict[str, dict[str, int | float]] = Field(
        {}, description="Parameters of own models, by the model's name."
    )
    in_pipeline: tuple[str, ...] = Field(
        (), description="Models that take part in the pipeline, and so in the night, beside the default ones."
    )


class RankerSettings(SettingsSection):
    """The ranker, learned from earlier nights."""

    window_days: WholeDays = Field(180, description="Nights older than this give no training examples.")
    backtest_refit_days: WholeDays = Field(30, description="Days after which a backtest refits its ranker.")
    negative_sampling_rate: float = Field(
        0.08, gt=0, le=1, description="Share of the candidates not studied next that become training examples."
    )
    max_lists: Count = Field(2_000, description="Most lists of one night that become training examples.")
    max_interactions: Count = Field(
        10_000_000, description="Most interactions before the nights learned from, summed: bounds the time of training."
    )
    max_iter: Count = Field(100, description="Most trees of the ranker.")
    max_leaf_nodes: int = Field(15, ge=2, le=1_000, description="Most leaves of a tree.")
    learning_rate: PositiveFloat = Field(0.08, description="How much each tree adds.")
    min_samples_leaf: Count = Field(60, description="Fewest candidates in a leaf.")
    l2_regularization: NonNegativeFloat = Field(5.0, description="L2 regularization of the leaves' values.")


class ObjectiveSettings(SettingsSection):
    """Weights of the outcomes by which the ranker learns, and lists are judged in backtests and searches."""

    began: NonNegativeFloat = Field(1.0, description="Weight of items that a member began next.")
    completed: NonNegativeFloat = Field(0.0, description="Weight of those completed within a week.")
    passed: NonNegativeFloat = Field(0.0, description="Weight of those passed within a week.")
    returned: NonNegativeFloat = Field(0.0, description="Weight of those whose member came back in the next week.")

    @model_validator(mode="after")
    def _has_weight(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("every weight is 0; give one of began, completed, passed, returned a weight above 0")
        return self


class PrivacySettings(SettingsSection):
    """Protection of single members in what is shown of groups."""

    smallest_group: Count = Field(10, description="Fewest members that what is shown of a group is about.")


class NightlySettings(SettingsSection):
    """The night, and the limits that hold its lists back."""

    refit_days: float = Field(
        0.0,
        ge=0,
        le=7,
        description="Fitted models serve for this long; only lists of members with changes are made until then.",
    )
    online_lists: bool = Field(
        True, description="Store the models of the served run, by which the service computes lists after new events."
    )
    event_copy: bool = Field(
        False, description="Keep a copy of the events as Parquet files by month, and read everybody's events from it."
    )
    keep_models_days: int = Field(
        7,
        ge=0,
        le=36_500,
        description="Models of earlier runs are kept for this long, to explain their lists; 0: of the served run only.",
    )
    keep_days: WholeDays = Field(90, description="Runs are kept, and their lists can be shown, for this long.")
    min_coverage: Share = Field(0.01, description="Smallest share of the offered items that must be on any list.")
    max_churn: Share = Field(
        0.5, description="Largest mean share of a list that may be other items than the night before."
    )
    max_event_loss: Share = Field(
        0.1, description="Largest share of the events known the night before that may be missing."
    )
    holdout_nights: NonNegativeInt = Field(
        7, description="Latest nights on which the ranking is compared with the served one; 0: none."
    )
    max_quality_loss: Share = Field(
        0.1, description="Largest share of the served ranking's NDCG that may be lost on them."
    )
    min_group_length: Share = Field(
        0.5, description="Smallest length of the lists of a role, industry or tenure, as a share of all lists' mean."
    )

    @property
    def stores_models(self) -> bool:
        """Whether a run stores its fitted models."""
        return self.online_lists or self.refit_days > 0 or self.keep_models_days > 0


class DeliverySettings(SettingsSection):
    """Delivery of push lists."""

    study_hours: str = Field(
        "08:00-21:00", pattern=HOURS, description="Local hours open for pushes to members whose habits are not known."
    )
    quiet_hours: str = Field(
        "22:00-08:00", pattern=HOURS, description="Local hours without pushes, unless a member has set its own."
    )
    max_per_day: NonNegativeInt = Field(1, description="Most pushes to a member on one local date, over all endpoints.")
    max_per_week: NonNegativeInt = Field(
        5, description="Most pushes to a member on any seven dates in a row, over all endpoints."
    )
    list_length: Places = Field(10, description="Most items of a push.")
    max_body_bytes: int = Field(
        20_000, ge=1_000, description="A larger body is sent without its items, with a link to them."
    )
    public_url: str = Field("", description="Address of the service that such links begin with.")
    timeout_seconds: float = Field(15.0, gt=0, le=3_600, description="A receiver that takes longer has failed.")
    retry_seconds: tuple[Annotated[float, Field(ge=0, le=604_800)], ...] = Field(
        (5.0, 60.0, 300.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0),
        description="Wait before each retry, give or take a fifth. After the last one has failed the push is dead.",
    )
    concurrency: int = Field(50, ge=1, le=1_000, description="Most pushes under way to one endpoint at a time.")
    lease_seconds: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="A push that a worker claimed and did not settle for so long is claimed by another one.",
    )
    allow_private_addresses: bool = Field(False, description="Deliver to private addresses too, and over plain HTTP.")
    secret_key: str = Field(
        "", repr=False, description="Key that seals the secrets of endpoints. From the environment only."
    )


class OidcSettings(SettingsSection):
    """OpenID provider: its access tokens are accepted beside keys of the service, and it logs in to the console."""

    issuer: str = Field("", description="Address of the OpenID provider; none: tokens are not accepted.")
    audience: str = Field("xuelu", description="Required audience of a token.")
    organisation_claim: str = Field("organisation", description="Claim that names the organisation.")
    scope_claim: str = Field("scope", description="Claim that holds the scopes: words of one text, or a list.")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256"), description="Algorithms a token may be signed by; all have public keys."
    )
    token_types: tuple[str, ...] = Field(
        ("at+jwt",), description="Accepted `typ` of a token's header; RFC 9068 gives access tokens `at+jwt`."
    )
    jwks_max_age_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Age at which the provider's keys are fetched again."
    )
    client_id: str = Field(
        "", description="Client that the console is at the provider; none: the console takes keys only."
    )
    client_secret: str = Field(
        "", repr=False, description="Secret of that client; none: a public one. From the environment only."
    )
    redirect_uri: str = Field(
        "",
        description="Address of the console that the provider sends browsers back to, as registered there: "
        f"https://HOST{CALLBACK}.",
    )
    login_scope: str = Field("openid", description="Scope that a login asks the provider for; holds `openid`.")

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

    max_reject_share: Share = Field(0.05, description="Largest sound share of rejected lines over all imports.")
    max_unresolved_share: Share = Field(0.05, description="Largest sound share of events of unknown members or items.")
    max_future_share: Share = Field(0.01, description="Largest sound share of events later than now.")
    max_thin_member_share: Share = Field(0.99, description="Largest sound share of members with fewer than two events.")
    max_one_timestamp_share: Share = Field(
        0.5, description="Largest sound share of events stamped with one single time."
    )
    min_events: NonNegativeInt = Field(1, description="Fewest events a sound organisation has.")
