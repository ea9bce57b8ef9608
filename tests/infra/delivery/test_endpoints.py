"""Endpoints and their secrets."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.access.secret_encryption import SecretCipher
from infra.catalog import organisations
from infra.db.delivery_tables import endpoint_secrets
from infra.db.engine import transaction
from infra.delivery import endpoints
from infra.delivery.targets import validate_target
from infra.errors import EndpointError, NotFoundError, SettingsError
from infra.settings.sections import DeliverySettings

CIPHER = SecretCipher("a key of more than thirty-two characters")
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
        return endpoints.add_endpoint(session, key, "webhook", "https://app.example/pushes", now=now)

    first = do(add)
    with pytest.raises(EndpointError, match=f"is endpoint {first['endpoint_id']} already"):
        do(add)
    assert do(add, "others")["endpoint_id"] != first["endpoint_id"]
    do(lambda session, _: endpoints.set_status(session, first["endpoint_key"], endpoints.REMOVED))
    second = do(add)
    assert [endpoint["endpoint_id"] for endpoint in do(endpoints.list_endpoints)] == [second["endpoint_id"]]


def test_an_organisation_finds_its_own_endpoints_only(do: Do, now: datetime) -> None:
    endpoint = do(lambda session, key: endpoints.add_endpoint(session, key, "webhook", "https://app.example/", now=now))

    assert (
        do(lambda session, key: endpoints.get_endpoint(session, key, endpoint["endpoint_id"]))["target"]
        == endpoint["target"]
    )
    with pytest.raises(NotFoundError, match="xuelu endpoints list"):
        do(lambda session, key: endpoints.get_endpoint(session, key, endpoint["endpoint_id"]), "others")


def test_secrets_are_encrypted_and_older_ones_hold_for_the_overlap(do: Do, engine: Engine, now: datetime) -> None:
    endpoint = do(lambda session, key: endpoints.add_endpoint(session, key, "webhook", "https://app.example/", now=now))

    def rotate(at: datetime) -> str:
        secret: str = do(lambda session, _: endpoints.rotate_secret(session, endpoint, CIPHER, overlap=HOUR, now=at))
        return secret

    def valid(at: datetime) -> list[str]:
        secrets: list[str] = do(
            lambda session, _: endpoints.signing_secrets(session, endpoint["endpoint_key"], CIPHER, now=at)
        )
        return secrets

    first, second = rotate(now), rotate(now + HOUR / 2)
    assert valid(now + HOUR) == [second, first]
    assert valid(now + 2 * HOUR) == [second]
    third = rotate(now + 3 * HOUR)
    assert valid(now + 3 * HOUR) == [third, second]
    with transaction(engine) as session:
        stored = session.scalars(select(endpoint_secrets.c.encrypted_secret)).all()
    assert len(stored) == 2  # what holds no more is gone
    assert not {first, second, third} & set(stored)
    assert all(secret.startswith("whsec_") for secret in (first, second, third))
    other = SecretCipher("another key of more than thirty-two characters")
    with pytest.raises(EndpointError, match="without an overlap"):
        do(lambda session, _: endpoints.rotate_secret(session, endpoint, other, overlap=HOUR, now=now + 3 * HOUR))

    def rotate_at_once(session: Session, _: int) -> int:
        endpoints.rotate_secret(session, endpoint, other, overlap=timedelta(0), now=now + 3 * HOUR)
        return endpoints.reencrypt_secrets(session, other, other)

    assert do(rotate_at_once) == 1, "no secret of a key that was lost stays behind"


def test_a_removed_endpoint_leaves_no_secret(do: Do, engine: Engine, now: datetime) -> None:
    endpoint = do(lambda session, key: endpoints.add_endpoint(session, key, "webhook", "https://app.example/", now=now))
    do(lambda session, _: endpoints.rotate_secret(session, endpoint, CIPHER, overlap=HOUR, now=now))

    do(lambda session, _: endpoints.set_status(session, endpoint["endpoint_key"], endpoints.REMOVED))

    with transaction(engine) as session:
        assert session.scalars(select(endpoint_secrets.c.encrypted_secret)).all() == []


def test_files_have_no_secret(do: Do, now: datetime) -> None:
    endpoint = do(lambda session, key: endpoints.add_endpoint(session, key, "jsonl", "/srv/files", now=now))

    with pytest.raises(EndpointError, match="rotate webhooks only"):
        do(lambda session, _: endpoints.rotate_secret(session, endpoint, CIPHER, overlap=HOUR, now=now))


def test_a_longer_pause_is_not_cut_short(do: Do, now: datetime) -> None:
    endpoint = do(lambda session, key: endpoints.add_endpoint(session, key, "webhook", "https://app.example/", now=now))
    for hours in (2, 1):
        do(lambda session, _, h=hours: endpoints.throttle(session, endpoint["endpoint_key"], until=now + h * HOUR))

    [shown] = do(endpoints.list_endpoints)
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
        "https://:pw@app.example/",
        "https://@app.example/",
        "https://a..example/",
        "https://.example/",
        "https://app.example./",
        "https://" + "x" * 64 + ".example/",
        "https://" + "x." * 127 + "example/",
        "https://-app.example/",
        "https://app-.example/",
        "https://[v1.x]/",
        "https://[::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[10.0.0.1]:x/",
        "https://[2001:4860:4860::8888]app/",
        "https://app[2001:4860:4860::8888]/",
        "https://10.0.0.256/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://app.example/a\tb",
        "https://app\t.example/",
        "https://app.example/a b",
        "https://app.example/\n",
        " https://app.example/",
        "https://app.example\\@evil.example/",
        "https://app.example:/",
        "https://app.example:0/",
        "https:app.example/",
        "https:///app.example/",
        "//app.example/",
        "",
    ],
)
def test_what_is_no_https_address_is_refused(address: str) -> None:
    with pytest.raises(EndpointError, match="write https://host/path"):
        validate_target("webhook", address, plain_http=False)


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example",
        "https://app.example:8443/pushes?tenant=1&x=%20#"[:-1],
        "https://my_app.internal/",
        "https://xn--fa-hia.de/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:8443/",
        "https://" + "x" * 63 + ".example/",
    ],
)
def test_an_address_is_stored_as_it_is(address: str) -> None:
    assert validate_target("webhook", address, plain_http=False) == address


@given(st.text(max_size=40))
def test_an_address_that_is_taken_can_be_pushed_to(rest: str) -> None:
    address = f"https://{rest}"
    try:
        validate_target("webhook", address, plain_http=False)
    except EndpointError:
        return
    url = httpx2.URL(address)
    assert url.raw_host.decode("ascii").encode("idna")
    assert not url.userinfo


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(EndpointError) as caught:
        validate_target("webhook", "https://app.example/?token=open-sesame#x", plain_http=False)
    assert "open-sesame" not in str(caught.value)


def test_plain_http_is_for_those_who_allow_private_addresses(tmp_path: Path) -> None:
    assert validate_target("webhook", "http://10.0.0.1/", plain_http=True) == "http://10.0.0.1/"
    with pytest.raises(EndpointError, match=r"needs the setting delivery\.allow_private_addresses"):
        validate_target("webhook", "http://10.0.0.1/", plain_http=False)
    assert validate_target("parquet", str(tmp_path), plain_http=False) == str(tmp_path)
    with pytest.raises(EndpointError, match="make it first"):
        validate_target("jsonl", str(tmp_path / "missing"), plain_http=False)


def test_an_encrypted_secret_opens_with_its_key_only() -> None:
    encrypted = CIPHER.encrypt("whsec_x")

    assert CIPHER.decrypt(encrypted) == "whsec_x"
    assert encrypted != CIPHER.encrypt("whsec_x")
    with pytest.raises(SettingsError, match="XUELU_DELIVERY__SECRET_KEY is not the key"):
        SecretCipher("another key of more than thirty-two characters").decrypt(encrypted)
    with pytest.raises(SettingsError, match="has 5 characters"):
        SecretCipher("short")


def test_secrets_are_encrypted_with_a_new_key_once(do: Do, now: datetime) -> None:
    new = SecretCipher("a new key of more than thirty-two characters")

    def add(session: Session, key: int) -> tuple[int, str]:
        endpoint = endpoints.add_endpoint(session, key, "webhook", "https://app.example/", now=now)
        return endpoint["endpoint_key"], endpoints.rotate_secret(session, endpoint, CIPHER, overlap=HOUR, now=now)

    keys_and_secrets = [do(add), do(add, "others")]
    for _ in range(2):
        assert do(lambda session, _: endpoints.reencrypt_secrets(session, CIPHER, new)) == 2
    for endpoint_key, secret in keys_and_secrets:
        assert do(lambda session, _, key=endpoint_key: endpoints.signing_secrets(session, key, new, now=now)) == [
            secret
        ]
    with pytest.raises(SettingsError, match="is not the key"):
        do(lambda session, _: endpoints.reencrypt_secrets(session, CIPHER, CIPHER))


def test_the_key_is_not_shown_with_the_settings() -> None:
    fields = {"secret_key": "open-sesame"}
    assert "open-sesame" not in repr(DeliverySettings(**fields))
