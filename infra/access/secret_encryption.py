"""Encryption of secrets at rest: JWE (RFC 7516), direct encryption with AES-256-GCM."""

import hashlib

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from infra.errors import SettingsError

MIN_KEY_LENGTH = 32
HEADER = {"alg": "dir", "enc": "A256GCM"}
VARIABLE = "XUELU_DELIVERY__SECRET_KEY"


class SecretCipher:
    """Encrypts and decrypts secrets with a key from the environment.

    Parameters
    ----------
    variable : str
        The environment variable that the key is from, for messages.

    Raises
    ------
    SettingsError
        The key is missing or short.
    """

    def __init__(self, key: str, *, variable: str = VARIABLE) -> None:
        if len(key) < MIN_KEY_LENGTH:
            raise SettingsError(
                f"{variable} has {len(key)} characters; set it to at least {MIN_KEY_LENGTH} random ones, "
                "such as those of `openssl rand -hex 32`, and keep it: without it no stored secret can be read"
            )
        self._variable = variable
        self._key = OctKey.import_key(hashlib.sha256(key.encode()).digest())

    def encrypt(self, secret: str) -> str:
        """Return a secret as it is stored."""
        return jwe.encrypt_compact(HEADER, secret.encode(), self._key)

    def decrypt(self, encrypted: str) -> str:
        """Return a stored secret in clear text.

        Raises
        ------
        SettingsError
            It was encrypted with another key.
        """
        try:
            secret = jwe.decrypt_compact(encrypted, self._key).plaintext
        except JoseError as error:
            raise SettingsError(
                f"{self._variable} is not the key that encrypted the secrets of this database; set that key, "
                "or rotate the secrets without an overlap"
            ) from error
        return (secret or b"").decode()
