"""An OpenID provider on the loopback: it publishes keys and signs tokens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from infra.settings.sections import OidcSettings


class Provider:
    """State of the provider: its address, its keys, and the requests it got."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realm"
        self.keys = [ECKey.generate_key("P-256", auto_kid=True), RSAKey.generate_key(2048, auto_kid=True)]
        self.calls_itself = self.issuer
        self.asked: list[str] = []
        self.other_keys: list[Any] = []

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

    def told(self, path: str) -> dict[str, Any] | None:
        """Return what the provider answers."""
        self.asked.append(path)
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.calls_itself, "jwks_uri": f"{self.issuer}/keys"}
        if path != "/realm/keys":
            return None
        published = KeySet(list(self.keys)).as_dict(private=False)["keys"]
        return {"keys": [*self.other_keys, *published]}


@contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider for as long as it is wanted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = known.told(self.path)
            content = json.dumps(told).encode()
            self.send_response(200 if told else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Provider(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
