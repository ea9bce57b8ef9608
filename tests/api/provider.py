"""An OpenID provider on the loopback: it publishes keys, signs tokens and logs in who comes."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from infra.settings.sections import OidcSettings

CLIENT_SECRET = "a secret: of + the client"  # noqa: S105 - of a provider that ends with its test


@cache
def rsa_key() -> RSAKey:
    """Return a key that all providers share: to make one takes a fifth of a second."""
    return RSAKey.generate_key(2048, auto_kid=True)


class Provider:
    """State of the provider: its address, its keys, and the requests it got.

    Attributes
    ----------
    metadata : dict
        Changes of what it publishes; None takes an entry away.
    id_claims, header : dict
        Changes of the ID tokens that it gives.
    refusal : str
        Error of its next answers to a login.
    token_answer : tuple, optional
        Status and content of its answers for a code, in place of tokens.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realm"
        self.keys = [ECKey.generate_key("P-256", auto_kid=True), rsa_key()]
        self.calls_itself = self.issuer
        self.asked: list[str] = []
        self.other_keys: list[Any] = []
        self.metadata: dict[str, Any] = {}
        self.id_claims: dict[str, Any] = {}
        self.id_typ = "JWT"
        self.client_secret = CLIENT_SECRET
        self.refusal = ""
        self.token_answer: tuple[int, Any] | None = None
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def settings(self) -> OidcSettings:
        """Settings of a service that trusts this provider."""
        return OidcSettings(issuer=self.issuer)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return claims of a good token, with changes; None takes a claim away."""
        good = {
            "iss": self.issuer,
            "aud": "xuelu",
            "sub": "app",
            "exp": int(time.time()) + 300,
            "organisation": "default",
            "scope": "lists:read events:write",
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def sign(
        self,
        claims: dict[str, Any],
        key: ECKey | RSAKey | OctKey | None = None,
        algorithm: str = "ES256",
        *,
        typ: str = "at+jwt",
        named: bool = True,
    ) -> str:
        """Return a token."""
        signing = key or self.keys[0]
        return jws.serialize_compact(
            {"alg": algorithm, "typ": typ} | ({"kid": signing.kid} if named else {}),
            json.dumps(claims).encode(),
            signing,
            algorithms=[algorithm],
        )

    def published(self, path: str) -> dict[str, Any] | None:
        """Return what the provider publishes under a path."""
        self.asked.append(path)
        if path == "/realm/.well-known/openid-configuration":
            published = {
                "issuer": self.calls_itself,
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "end_session_endpoint": f"{self.issuer}/end",
                **self.metadata,
            }
            return {name: value for name, value in published.items() if value is not None}
        if path != "/realm/keys":
            return None
        public = KeySet(list(self.keys)).as_dict(private=False)["keys"]
        return {"keys": [*self.other_keys, *public]}

    def authorize(self, query: dict[str, str]) -> str:
        """Return the address that a browser is sent back to, logged in at once."""
        if self.refusal:
            answer = {"error": self.refusal, "error_description": "<b>no</b>", "state": query["state"]}
        else:
            code = secrets.token_urlsafe(8)
            self.codes[code] = query
            answer = {"code": code, "state": query["state"], "session_state": "of Keycloak", "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def tokens(self, authorization: str, form: dict[str, str]) -> tuple[int, Any]:
        """Return the answer for a code: status and content."""
        if self.token_answer is not None:
            return self.token_answer
        if authorization:
            name, _, secret = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
            client = {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
        else:
            client = {"client_id": form.get("client_id", ""), "client_secret": form.get("client_secret", "")}
        if client != {"client_id": "console", "client_secret": self.client_secret}:
            return 401, {"error": "invalid_client"}
        query = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if query is None or form["redirect_uri"] != query["redirect_uri"] or challenge != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"aud": "console", "iat": now, "nonce": query["nonce"], "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"}
        id_token = self.sign(self.claims(**{**claims, "sub": "li", **self.id_claims}), typ=self.id_typ)
        return 200, {"id_token": id_token, "access_token": self.sign(self.claims()), "token_type": "Bearer"}


@contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider for as long as it is wanted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/realm/authorize":
                self.send_response(303)
                self.send_header("Location", running.authorize(dict(parse_qsl(address.query))))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            published = running.published(self.path)
            self._answer(200 if published else 404, published)

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*running.tokens(self.headers.get("Authorization", ""), dict(parse_qsl(form))))

        def _answer(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Provider(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
