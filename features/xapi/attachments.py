"""Attachments of xAPI statements, and statements signed by one (Experience API, Data, 2.4.11 and 2.6)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from features.xapi.shapes import same_content
from features.xapi.validation.json_validation import Fault, shown
from features.xapi.validation.statements import first_fault

SIGNATURE: Final = "http://adlnet.gov/expapi/attachments/signature"
SIGNATURE_TYPE: Final = "application/octet-stream"
ALGORITHMS: Final = ("RS256", "RS384", "RS512")

Statement = Mapping[str, Any]


class _Registry(jws.JWSRegistry):
    """JWS limits that fit a statement with its certificates."""

    max_header_length = 65_536
    max_payload_length = 33_554_432


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


def attachments_of(statement: Statement) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the attachments of a valid statement and of its SubStatement, each with its path."""
    for number, attachment in enumerate(statement.get("attachments", ())):
        yield f"attachments.{number}", attachment
    if statement["object"].get("objectType") == "SubStatement":
        for place, attachment in attachments_of(statement["object"]):
            yield f"object.{place}", attachment


def attachment_fault(statement: Statement, contents: Mapping[str, bytes]) -> Fault | None:
    """Return the first fault of the attachments of a valid statement, None where all can be stored.

    The SHA-2 that the sender declares is the key of a content; it is not computed again.

    Parameters
    ----------
    contents : Mapping of str to bytes
        Contents sent with the statement, by their SHA-2 in lower case.
    """
    for place, attachment in attachments_of(statement):
        content = contents.get(attachment["sha2"].lower())
        if content is None and "fileUrl" not in attachment:
            return Fault(f"{place}.fileUrl", "", "is missing, and no part of the request has this sha2")
        if attachment["usageType"] == SIGNATURE and place.startswith("attachments."):
            reason = _signature_reason(statement, attachment, content)
            if reason is not None:
                return Fault(place, shown(attachment["sha2"]), reason)
    return None


def _signature_reason(statement: Statement, attachment: Mapping[str, Any], content: bytes | None) -> str | None:
    """Return why a signature is malformed, None where it is well formed or only linked by its ``fileUrl``."""
    if attachment["contentType"] != SIGNATURE_TYPE:
        return f"must have the contentType {SIGNATURE_TYPE}, being a signature"
    if content is None:
        return None
    try:
        payload = _signed_payload(content)
        same = (
            first_fault(payload, version_2=True) is None
            and same_content(payload, dict(statement))
            and _unsigned_attachments(payload) == _unsigned_attachments(statement)
        )
    except (JoseError, ValueError, TypeError) as error:
        return f"is no signature (a JWS whose payload is the statement in JSON): {error}"
    return None if same else "is the signature of another statement"


def _signed_payload(content: bytes) -> Any:
    """Return the JSON payload of a signature, verified by its certificate if it has one.

    Raises
    ------
    JoseError, ValueError, TypeError
        It is no signature that xAPI allows.
    """
    signed = jws.extract_compact(content, registry=_REGISTRY)
    header = signed.headers()
    if header.get("alg") not in ALGORITHMS:
        raise ValueError(f"it is signed by {str(header.get('alg'))[:100]}; sign with {', '.join(ALGORITHMS)}")
    if "x5c" in header and not jws.validate_compact(signed, _key_of(header["x5c"]), registry=_REGISTRY):
        raise ValueError("another key signed it than that of its certificate")
    return orjson.loads(signed.payload or b"")


def _key_of(certificates: Any) -> RSAKey:
    if not (isinstance(certificates, list) and certificates and isinstance(certificates[0], str)):
        raise ValueError("x5c must be a list of certificates")
    try:
        return RSAKey.import_key(f"-----BEGIN CERTIFICATE-----\n{certificates[0]}\n-----END CERTIFICATE-----\n")
    except Exception as error:
        raise ValueError("its certificate cannot be read") from error


def _unsigned_attachments(statement: Statement) -> list[Any]:
    return [attachment for attachment in statement.get("attachments", ()) if attachment["usageType"] != SIGNATURE]
