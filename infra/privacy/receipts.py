"""Signed receipts of erasures: a JWS in compact form (RFC 7515) with Ed25519 (RFC 8037), key in the environment."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from infra.errors import ReceiptError

ALGORITHM: Final = "Ed25519"


def new_key() -> str:
    """Return a new private key as a JSON Web Key, for ``XUELU_RECEIPT_KEY``."""
    return orjson.dumps(OKPKey.generate_key(ALGORITHM).as_dict(private=True)).decode()


def public_key(key: str) -> dict[str, Any]:
    """Return the public half of a key as a JSON Web Key: it verifies receipts.

    Raises
    ------
    ReceiptError
        The key is not valid.
    """
    return dict(_key(key).as_dict(private=False))


def sign(claims: Mapping[str, Any], key: str) -> str:
    """Return claims as a signed receipt.

    Raises
    ------
    ReceiptError
        The key is not valid, or only a public one.
    """
    signer = _key(key)
    if not signer.is_private:
        raise ReceiptError("XUELU_RECEIPT_KEY is a public key; sign with the private one")
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": signer.thumbprint()}
    return jws.serialize_compact(header, orjson.dumps(dict(claims)), signer, algorithms=[ALGORITHM])


def verify(receipt: str, key: str) -> dict[str, Any]:
    """Return the claims of a receipt that this key, or its private half, signed.

    The receipt may be the last word of a longer text, as of all that ``xuelu erase`` prints.

    Raises
    ------
    ReceiptError
        It is no receipt, another key signed it, or it was changed.
    """
    try:
        signed = jws.deserialize_compact("".join(receipt.split()[-1:]), _key(key), algorithms=[ALGORITHM])
        claims: dict[str, Any] = orjson.loads(signed.payload or b"")
    except (JoseError, ValueError) as error:
        raise ReceiptError(f"the receipt does not hold: {error}; was it changed, or signed by another key?") from error
    return claims


def _key(key: str) -> OKPKey:
    try:
        return OKPKey.import_key(orjson.loads(key))
    except (JoseError, ValueError, TypeError) as error:
        raise ReceiptError(
            "XUELU_RECEIPT_KEY is no JSON Web Key of Ed25519; `xuelu receipt --new-key` makes one"
        ) from error
