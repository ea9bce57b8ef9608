"""Secrets sealed for the database: JWE (RFC 7516), direct encryption by AES-256-GCM."""

import hashlib

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from infra.errors import SettingsError

SHORTEST_KEY = 32
HEADER = {"alg": "dir", "enc": "A256GCM"}
VARIABLE = "XUELU_DELIVERY__SECRET_KEY"


class Sealer:
    """What seals secrets and opens them again, by a key from the environment.

    Raises
    ------
    SettingsError
        The key is missing or short.
    """

    def __init__(self, key: str) -> None:
        if len(key) < SHORTEST_KEY:
            raise SettingsError(
                f"{VARIABLE} has {len(key)} characters; set it to at least {SHORTEST_KEY} random ones, "
                "such as those of `openssl rand -hex 32`, and keep it: without it no stored secret can be read"
            )
        self._key = OctKey.import_key(hashlib.sha256(key.encode()).digest())

    def seal(self, secret: str) -> str:
        """Return a secret as it may be stored."""
        return jwe.encrypt_compact(HEADER, secret.encode(), self._key)

    def open(self, sealed: str) -> str:
        """Return a secret from what was stored.

        Raises
        ------
        SettingsError
            It was sealed by another key.
        """
        try:
            found = jwe.decrypt_compact(sealed, self._key).plaintext
        except JoseError as error:
            raise SettingsError(
                f"{VARIABLE} is not the key that sealed the secrets of this database; set that one, or rotate them"
            ) from error
        return (found or b"").decode()
