"""Pushes as HTTP: where they go, whom they trust, what an answer means."""

import asyncio
import datetime as dt
import ipaddress
import random
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from benchmarks.study_app import Push, Reply, StudyApp
from infra.delivery.ssrf import is_public, resolve_host
from infra.delivery.webhooks import WebhookClient, WebhookResponse, signed_headers
from infra.errors import EndpointError
from infra.retry_after import wait_seconds
from tests.limits import HANG_SECONDS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of nobody
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def push_to(
    url: str, *, private: bool = True, trust: ssl.SSLContext | None = None, count: int = 1
) -> list[WebhookResponse]:
    """Send some pushes, one after the other."""

    async def send() -> list[WebhookResponse]:
        rng = random.Random(1)  # noqa: S311 - no secret
        client = WebhookClient(
            url, timeout_seconds=HANG_SECONDS, connections=2, allow_private=private, rng=rng, trust=trust
        )
        try:
            await client.resolve()
            return [await client.push(f"dl_{number}", b"{}", [SECRET], now=NOW) for number in range(count)]
        finally:
            await client.close()

    return asyncio.run(send())


def test_the_connection_is_used_again() -> None:
    with StudyApp(lambda _push: Reply(200, body=b"thank you")) as app:
        answers = push_to(app.url, count=5)

    assert answers == [WebhookResponse("status 200", 200)] * 5
    assert app.connections == 1


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with StudyApp(lambda _push: Reply(200, body=b"x" * 5_000_000)) as app:
        assert [answer.status for answer in push_to(app.url, count=2)] == [200, 200]

    assert app.connections == 2


def test_the_status_counts_though_the_body_after_it_is_broken() -> None:
    with StudyApp(lambda _push: Reply(200, body=b"no chunk\r\n", headers={"transfer-encoding": "chunked"})) as app:
        assert [answer.status for answer in push_to(app.url, count=2)] == [200, 200]


@pytest.mark.parametrize("reply", [Reply(204, body=b"OK"), Reply(200, {"content-length": "2"}, "收到".encode())])
def test_what_follows_an_answer_is_not_that_to_the_next_push(reply: Reply) -> None:
    with StudyApp(lambda _push: reply) as app:
        assert [answer.status for answer in push_to(app.url, count=3)] == [reply.status] * 3

    assert app.ids == ["dl_0", "dl_1", "dl_2"]


def test_a_receiver_that_is_not_there_is_told() -> None:
    with StudyApp() as app:
        pass
    [answer] = push_to(app.url)

    assert not answer.accepted
    assert answer.outcome.startswith("no answer: ConnectError")


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return how a server of a name shows itself, and how a client trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    self_signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + self_signed.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=self_signed.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


def test_tls_checks_the_name_though_the_connection_goes_to_the_address(tmp_path: Path) -> None:
    good_server, trusting = certificate(tmp_path, "localhost")
    with StudyApp(tls=good_server) as app:
        url = app.url.replace("127.0.0.1", "localhost")
        assert push_to(url, trust=trusting) == [WebhookResponse("status 204", 204)]
        assert app.seen[0].headers["host"] == f"localhost:{app.port}"
        [by_default] = push_to(url)
        [by_address] = push_to(app.url, trust=trusting)

    assert "certificate verify failed" in by_default.outcome
    assert "certificate verify failed" in by_address.outcome
    assert len(app.seen) == 1


def test_a_name_is_looked_up_once_and_a_later_answer_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is checked and private right afterwards, as in DNS rebinding."""
    answers = ["127.0.0.1", "169.254.169.254"]
    asked: list[str] = []

    def name_server(host: str, port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(2, 1, 6, "", (answers[min(len(asked), 2) - 1], port))]

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    with StudyApp() as app:
        answers_got = push_to(app.url.replace("127.0.0.1", "app.example"), count=3)

    assert [answer.status for answer in answers_got] == [204, 204, 204]
    assert asked.count("app.example") == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - it is refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:0:a00:1::",
        "fec0::1",
        "64:ff9b:1::1",
        "64:ff9b:1:808:808:808::",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "3fff::1",
        "2001:db8::1",
        "2001:20::1",
        "5f00::1",
        "100::1",
        "::",
        "192.0.0.192",
        "192.88.99.1",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "100.100.100.200",
        "198.18.0.1",
        "240.0.0.1",
    ],
)
def test_an_address_that_is_not_of_one_public_machine_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_ipv6_is_as_public_as_it_is_outside(address: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == is_public(address)


def test_a_host_with_one_private_address_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_server(_host: str, port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    with pytest.raises(EndpointError, match=r"is at 10\.0\.0\.1, which is no public address"):
        asyncio.run(resolve_host("app.example", 443, allow_private=False))
    assert asyncio.run(resolve_host("app.example", 443, allow_private=True)) == ["8.8.8.8", "10.0.0.1"]


def test_name_servers_that_do_not_answer_hold_up_their_own_endpoints_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(*_host: object, **_more: object) -> list[tuple[object, ...]]:
        answered.wait(HANG_SECONDS)
        return []

    async def resolve_all() -> list[BaseException | None]:
        rng = random.SystemRandom()
        clients = [
            WebhookClient(
                f"https://app{number}.example/", timeout_seconds=0.2, connections=1, allow_private=False, rng=rng
            )
            for number in range(40)  # more than the threads of the event loop
        ]
        outcomes = [asyncio.create_task(client.resolve()) for client in clients]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(int, "7") == 7, "the threads of everything else are free"
        results = await asyncio.gather(*outcomes, return_exceptions=True)
        answered.set()
        for client in clients:
            await client.close()
        return results

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    results = asyncio.run(resolve_all())
    assert {str(result) for result in results[:1]} == {
        "app0.example was not resolved within 0.2 s; check its name servers"
    }
    assert all(isinstance(result, EndpointError) for result in results)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:100.100.100.200", "fe80::1", "fd00:ec2::254", "fd00:ec2::23", "64:ff9b::a9fe:a9fe"],
)
def test_metadata_services_are_refused_also_where_private_addresses_are_allowed(address: str) -> None:
    with pytest.raises(EndpointError, match="keep their credentials"):
        asyncio.run(resolve_host(address, 80, allow_private=True))


def test_a_name_that_leads_nowhere_is_told() -> None:
    with pytest.raises(EndpointError, match="has no address"):
        asyncio.run(resolve_host("no-such-host.invalid", 443, allow_private=False))


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", None),
        ("120", 120.0),
        ("99999999999", 3_600.0),
        ("000000000060", 60.0),
        ("9" * 400, 3_600.0),
        ("Mon, 02 Mar 2026 08:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 07:00:00 GMT", None),
        ("Tue, 03 Mar 2026 08:00:00 GMT", 3_600.0),
        ("soon", None),
        ("-5", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 02 Mar 2026 08:00:30 -0000", 30.0),
        ("Mon, 02 Mar 2026 08:00:30 -99999999999999999999", None),
        ("30, 60", None),
        ("", None),
        ("１２", None),
        (None, None),
    ],
)
def test_a_wait_is_what_the_receiver_asks_for_an_hour_at_most(retry_after: str | None, seconds: float | None) -> None:
    assert wait_seconds(retry_after, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_raises(retry_after: str) -> None:
    wait = wait_seconds(retry_after, now=NOW)
    assert wait is None or 0 < wait <= 3_600


@given(st.datetimes(), st.integers(-99_999, 99_999))
def test_no_date_of_a_retry_after_raises(moment: datetime, offset: int) -> None:
    wait = wait_seconds(f"{moment:%a, %d %b %Y %H:%M:%S} {offset:+05d}", now=NOW)
    assert wait is None or 0 < wait <= 3_600


def test_an_internationalised_name_keeps_its_own_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """IDNA 2003 would make fass.de of it, which is another domain."""
    asked: list[str] = []

    def name_server(host: str, port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    with StudyApp() as app:
        push_to(app.url.replace("127.0.0.1", "xn--fa-hia.de"))

    assert "xn--fa-hia.de" in asked
    assert app.seen[0].headers["host"] == f"xn--fa-hia.de:{app.port}"


@pytest.mark.parametrize("host", ["a..example", "x" * 64 + ".example"])
def test_a_name_that_cannot_be_encoded_is_an_error_of_the_endpoint(host: str) -> None:
    with pytest.raises(EndpointError, match="no host name"):
        asyncio.run(resolve_host(host, 443, allow_private=False))


def test_an_address_that_cannot_be_parsed_is_an_error_of_the_endpoint() -> None:
    with pytest.raises(EndpointError, match="not valid"):
        push_to("https://[v1.x]/")


def test_only_429_and_503_can_ask_to_wait() -> None:
    def replies_with(status: int) -> Callable[[Push], Reply]:
        return lambda _push: Reply(status, {"retry-after": "7"})

    for status, seconds in ((429, 7.0), (503, 7.0), (500, None), (301, None)):
        with StudyApp(replies_with(status)) as app:
            assert push_to(app.url) == [WebhookResponse(f"status {status}", status, seconds)]


@given(st.text(), st.sampled_from(["dl_1", "dl_2"]), st.integers(0, 4_000_000_000))
def test_each_secret_signs_id_time_and_body(body: str, delivery_id: str, seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    raw = body.encode("utf-8", "replace")
    other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

    headers = signed_headers(delivery_id, raw, [SECRET, other], now=now)

    expected = [Webhook(secret).sign(delivery_id, now, raw.decode()) for secret in (SECRET, other)]
    assert headers["webhook-signature"].split(" ") == expected
    assert headers["webhook-id"] == delivery_id
    assert int(headers["webhook-timestamp"]) == int(now.timestamp())
