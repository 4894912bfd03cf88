"""An issuer of signed tokens, whose metadata and keys are really asked for over HTTP."""

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "https://billing.example.com"
_EVERY_ALGORITHM = JWSRegistry(algorithms=list(JWSRegistry.algorithms), strict_check_header=False)


class SigningIssuer:
    """An OpenID provider as far as whoever checks its tokens can see it.

    Attributes:
        keys: what it publishes; a test may change it at any moment.
        pages: what it answers at each path, as text; paths it does not have are 404.
        statuses: with which status it answers at a path, when not with 200.
        asked: the paths it was asked for, in order.
        posted: what it was sent, with the headers, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[Key] = [rsa_key("first")]
        self.pages: dict[str, str] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        self.posted: list[tuple[Mapping[str, str], str]] = []

    def page(self, path: str) -> str | None:
        """Return what stands at `path`."""
        self.asked.append(path)
        if path in self.pages:
            return self.pages[path]
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        return json.dumps(KeySet(self.keys).as_dict()) if path == "/keys" else None

    def times_asked(self, path: str = "/keys") -> int:
        """Return how often it was asked for `path`."""
        return self.asked.count(path)

    def token(
        self,
        subject: str = "ada",
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token about `subject`, right in every way but those that are given; None leaves a claim out."""
        key = key or self.keys[0]
        now = int(time.time())
        payload = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + 300,
        } | claims
        return signed(
            {"alg": "RS256", "kid": key.kid, "typ": "at+jwt"} | (header or {}), payload, key
        )


def signed(header: dict[str, Any], claims: dict[str, Any], key: Key | None) -> str:
    """Return a token with exactly this header and these claims; None leaves one out."""
    header = {name: value for name, value in header.items() if value is not None}
    claims = {name: value for name, value in claims.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact(header, json.dumps(claims), key, registry=_EVERY_ALGORITHM)


def rsa_key(kid: str | None, bits: int = 2048) -> RSAKey:
    """Return a new RSA key."""
    return RSAKey.generate_key(bits, {"kid": kid} if kid else None)


def ec_key(kid: str, curve: str = "P-256") -> ECKey:
    """Return a new key on an elliptic curve."""
    return ECKey.generate_key(curve, {"kid": kid})


def ed_key(kid: str) -> OKPKey:
    """Return a new Ed25519 key."""
    return OKPKey.generate_key("Ed25519", {"kid": kid})


@contextmanager
def running_issuer() -> Iterator[SigningIssuer]:
    """Run an issuer on a free port of this machine; leaving the block closes it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = issuer.page(self.path)
            body = (answer or "").encode()
            status = 404 if answer is None else issuer.statuses.get(self.path, 200)
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            issuer.posted.append((dict(self.headers), body))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = SigningIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
