"""Endpoints and their secrets."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db.delivery_tables import endpoint_secrets
from infra.db.engine import transaction
from infra.delivery import endpoints
from infra.delivery.sealed_secrets import Sealer
from infra.errors import EndpointError, SettingsError, UnknownEndpointError
from infra.settings.sections import DeliverySettings

SEALER = Sealer("a key of more than thirty-two characters")
HOUR = timedelta(hours=1)
Do = Callable[..., Any]


@pytest.fixture
def do(engine: Engine, now: datetime) -> Do:
    """Return what does something for an organisation."""

    def doing(work: Callable[[Session, int], Any], name: str = "couriers") -> Any:
        with transaction(engine) as session:
            return work(session, organisations.ensure(session, name, now=now))

    return doing


def test_a_target_is_registered_once_until_it_is_removed(do: Do, now: datetime) -> None:
    def add(session: Session, key: int) -> dict[str, Any]:
        return endpoints.add(session, key, "webhook", "https://app.example/pushes", now=now)

    first = do(add)
    with pytest.raises(EndpointError, match=f"is endpoint {first['endpoint_id']} already"):
        do(add)
    assert do(add, "others")["endpoint_id"] != first["endpoint_id"]
    do(lambda session, _: endpoints.set_status(session, first["endpoint_key"], endpoints.REMOVED))
    second = do(add)
    assert [one["endpoint_id"] for one in do(endpoints.listing)] == [second["endpoint_id"]]


def test_an_organisation_finds_its_own_endpoints_only(do: Do, now: datetime) -> None:
    made = do(lambda session, key: endpoints.add(session, key, "webhook", "https://app.example/", now=now))

    assert do(lambda session, key: endpoints.find(session, key, made["endpoint_id"]))["target"] == made["target"]
    with pytest.raises(UnknownEndpointError, match="xuelu endpoints list"):
        do(lambda session, key: endpoints.find(session, key, made["endpoint_id"]), "others")


def test_secrets_are_sealed_and_older_ones_hold_for_the_overlap(do: Do, engine: Engine, now: datetime) -> None:
    made = do(lambda session, key: endpoints.add(session, key, "webhook", "https://app.example/", now=now))

    def rotate(at: datetime) -> str:
        secret: str = do(lambda session, _: endpoints.rotate(session, made, SEALER, overlap=HOUR, now=at))
        return secret

    def valid(at: datetime) -> list[str]:
        found: list[str] = do(lambda session, _: endpoints.open_secrets(session, made["endpoint_key"], SEALER, now=at))
        return found

    first, second = rotate(now), rotate(now + HOUR / 2)
    assert valid(now + HOUR) == [second, first]
    assert valid(now + 2 * HOUR) == [second]
    third = rotate(now + 3 * HOUR)
    assert valid(now + 3 * HOUR) == [third, second]
    with transaction(engine) as session:
        stored = session.scalars(select(endpoint_secrets.c.sealed)).all()
    assert len(stored) == 2  # what holds no more is gone
    assert not {first, second, third} & set(stored)
    assert all(secret.startswith("whsec_") for secret in (first, second, third))


def test_a_removed_endpoint_leaves_no_secret(do: Do, engine: Engine, now: datetime) -> None:
    made = do(lambda session, key: endpoints.add(session, key, "webhook", "https://app.example/", now=now))
    do(lambda session, _: endpoints.rotate(session, made, SEALER, overlap=HOUR, now=now))

    do(lambda session, _: endpoints.set_status(session, made["endpoint_key"], endpoints.REMOVED))

    with transaction(engine) as session:
        assert session.scalars(select(endpoint_secrets.c.sealed)).all() == []


def test_files_have_no_secret(do: Do, now: datetime) -> None:
    made = do(lambda session, key: endpoints.add(session, key, "jsonl", "/srv/files", now=now))

    with pytest.raises(EndpointError, match="rotate webhooks only"):
        do(lambda session, _: endpoints.rotate(session, made, SEALER, overlap=HOUR, now=now))


def test_a_longer_pause_is_not_cut_short(do: Do, now: datetime) -> None:
    made = do(lambda session, key: endpoints.add(session, key, "webhook", "https://app.example/", now=now))
    for hours in (2, 1):
        do(lambda session, _, h=hours: endpoints.throttle(session, made["endpoint_key"], until=now + h * HOUR))

    [shown] = do(endpoints.listing)
    assert shown["throttled_until"] == now + 2 * HOUR


@pytest.mark.parametrize(
    "address",
    [
        "http://app.example/pushes",
        "ftp://app.example/",
        "https://",
        "https://user:password@app.example/",
        "https://app.example/#part",
        "https://app.example:99999/",
        "https://[app/",
        "https://快递.example/",
        "https://app.example/" + "x" * 2_000,
    ],
)
def test_what_is_no_https_address_is_refused(address: str) -> None:
    with pytest.raises(EndpointError, match="write https://host/path"):
        endpoints.checked_target("webhook", address, plain_http=False)


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(EndpointError) as told:
        endpoints.checked_target("webhook", "https://app.example/?token=open-sesame#x", plain_http=False)
    assert "open-sesame" not in str(told.value)


def test_plain_http_is_for_those_who_allow_private_addresses(tmp_path: Path) -> None:
    assert endpoints.checked_target("webhook", "http://10.0.0.1/", plain_http=True) == "http://10.0.0.1/"
    assert endpoints.checked_target("parquet", str(tmp_path), plain_http=False) == str(tmp_path)
    with pytest.raises(EndpointError, match="make it first"):
        endpoints.checked_target("jsonl", str(tmp_path / "missing"), plain_http=False)


def test_a_sealed_secret_opens_with_its_key_only() -> None:
    sealed = SEALER.seal("whsec_x")

    assert SEALER.open(sealed) == "whsec_x"
    assert sealed != SEALER.seal("whsec_x")
    with pytest.raises(SettingsError, match="XUELU_DELIVERY__SECRET_KEY is not the key"):
        Sealer("another key of more than thirty-two characters").open(sealed)
    with pytest.raises(SettingsError, match="has 5 characters"):
        Sealer("short")


def test_the_key_is_not_shown_with_the_settings() -> None:
    given = {"secret_key": "open-sesame"}
    assert "open-sesame" not in repr(DeliverySettings(**given))
