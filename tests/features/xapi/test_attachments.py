"""Attachments that statements need, and signatures among them (Experience API, Data, 2.6)."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from features.xapi.attachments import attachment_fault

PARENT = {"id": "https://lms.example/courses/1"}
STATEMENT = {
    "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "actor": {"mbox": "mailto:li@example.org"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"},
    "object": {"id": "https://lms.example/items/7"},
    "context": {"contextActivities": {"parent": PARENT}},
}
PRIVATE = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
KEY = RSAKey.import_key(
    PRIVATE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)


def attachment(**changes: Any) -> dict[str, Any]:
    """Return what a statement tells of its signature."""
    return {
        "usageType": "http://adlnet.gov/expapi/attachments/signature",
        "display": {"en": "Signature"},
        "contentType": "application/octet-stream",
        "length": 1,
        "sha2": "AB" * 32,
    } | changes


def reason(signature: bytes, statement: dict[str, Any] = STATEMENT, **changes: Any) -> str | None:
    """Return why a signed statement is refused."""
    fault = attachment_fault(statement | {"attachments": [attachment(**changes)]}, {"ab" * 32: signature})
    return None if fault is None else fault.reason


def signed(payload: Any = STATEMENT, *, algorithm: str = "RS256", **header: Any) -> bytes:
    """Return a signature."""
    key = OctKey.import_key("s" * 64) if algorithm.startswith("HS") else KEY
    registry = jws.JWSRegistry(algorithms=[algorithm])
    registry.max_header_length = 65_536
    text = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return jws.serialize_compact({"alg": algorithm, **header}, text, key, registry=registry).encode()


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """Return a certificate of a key, as the header of a signature holds it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "li")])
    self_signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return b64encode(self_signed.public_bytes(serialization.Encoding.DER)).decode()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_signature_of_the_statement_is_taken(algorithm: str) -> None:
    assert reason(signed(algorithm=algorithm)) is None
    assert reason(signed(algorithm=algorithm, x5c=[certificate(PRIVATE)])) is None


def test_what_the_store_adds_or_changes_may_differ_from_what_was_signed() -> None:
    around = {"contextActivities": {"parent": [PARENT]}}
    assert (
        reason(signed(), STATEMENT | {"stored": "2026-03-01T10:00:00Z", "version": "1.0.0", "context": around}) is None
    )


def test_other_attachments_are_part_of_what_is_signed() -> None:
    note = attachment(usageType="https://lms.example/usages/note", fileUrl="https://lms.example/note", sha2="cd")
    both = STATEMENT | {"attachments": [note, attachment()]}
    contents = {"ab" * 32: signed(STATEMENT | {"attachments": [note]})}
    assert attachment_fault(both, contents) is None
    assert attachment_fault(both, {"ab" * 32: signed()}) is not None


def test_a_long_statement_can_be_signed() -> None:
    long = STATEMENT | {"result": {"response": "x" * 200_000}}
    registry = jws.JWSRegistry(algorithms=["RS256"])
    registry.max_payload_length = 1_000_000
    signature = jws.serialize_compact({"alg": "RS256"}, orjson.dumps(long), KEY, registry=registry).encode()
    assert reason(signature, long) is None


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (signed(algorithm="HS256"), "RS256, RS384, RS512"),
        (signed(STATEMENT | {"verb": {"id": "http://adlnet.gov/expapi/verbs/failed"}}), "another statement"),
        (signed([STATEMENT]), "another statement"),
        (signed(b"{'id': 1}"), "no signature"),
        (signed(b"\xff"), "no signature"),
        (signed()[:-20], None),
        (b"", "no signature"),
        (b"a.b.c", "no signature"),
        (b"\xff.\xff.\xff", "no signature"),
        (orjson.dumps(STATEMENT), "no signature"),
        (signed(x5c=[certificate(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))]), "another key"),
        (signed(x5c=["bm90aGluZw=="]), "cannot be read"),
        (signed(x5c=[certificate(ec.generate_private_key(ec.SECP256R1()))]), "no signature"),
        (
            signed(
                orjson.dumps(STATEMENT)[:-1] + b',"result":{"extensions":{"e:1":' + b"[" * 500 + b"]" * 500 + b"}}}"
            ),
            "no",
        ),
        (b".".join([b64encode(b"[]"), b"e30", b"e30"]), "no signature"),
        (b".".join([b64encode(b"1"), b"e30", b"e30"]), "no signature"),
        (b".".join([b64encode(b'{"alg":"RS256","crit":1}').rstrip(b"="), b"e30", b"e30"]), "another statement"),
        (signed(x5c=[]), "list of certificates"),
    ],
)
def test_malformed_signatures_are_refused(signature: bytes, why: str | None) -> None:
    """Without a certificate a signature cannot be held against a key, so its last part is not looked at."""
    refusal = reason(signature)
    assert refusal is None if why is None else why in str(refusal)


def test_a_signature_is_of_the_type_that_xapi_wants() -> None:
    assert "application/octet-stream" in str(reason(signed(), contentType="text/plain"))


def test_a_signature_that_lies_elsewhere_is_not_fetched() -> None:
    there = STATEMENT | {"attachments": [attachment(fileUrl="https://lms.example/signature")]}
    assert attachment_fault(there, {}) is None
    missing = attachment_fault(STATEMENT | {"attachments": [attachment()]}, {})
    assert missing is not None
    assert missing.field == "attachments.0.fileUrl"
