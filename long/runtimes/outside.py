"""What Google and Azure have around a function, as far as the examples ask it.

There is no local Secret Manager and no local Key Vault to install, so this small server stands for
both, and for the two services that tell a function who it is. The examples reach it unchanged,
under the services' own names: through a proxy and an authority that the environment names.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from pathlib import Path

import trustme
from servers.listeners import pass_on
from servers.process import HOST
from servers.script import Answer, Exchange
from servers.web import Listener

SECRET_MANAGER = "secretmanager.googleapis.com"
GOOGLE_SECRET = "projects/my-project/secrets/betfair/versions/latest"
KEY_VAULT = "my-vault.vault.azure.net"
AZURE_SECRET = "betfair"
BLOB = "myaccount.blob.core.windows.net"
_VAULT_AUDIENCE = "https://vault.azure.net"
_GOOGLE_ASKS_TOO = "iamcredentials.googleapis.com"  # and does without an answer
_METADATA = "/computeMetadata/v1"
_IDENTITY = "/msi/token"
_IDENTITY_HEADER = "identity-header-of-the-tests"


class Outside:
    """The running server.

    Attributes:
        account: what the secret holds, a JSON object as text.
        fetched: how many times it was read.
        blob_tokens: what requests to Blob Storage were authorised by; they find nothing there.
    """

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self._bundle = directory / "outside.pem"
        authority.cert_pem.write_to_path(str(self._bundle))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = (SECRET_MANAGER, KEY_VAULT, BLOB, _GOOGLE_ASKS_TOO)
        authority.issue_cert(*names).configure_cert(tls)
        self.account = "{}"
        self.fetched = 0
        self.blob_tokens: set[str] = set()
        self._lock = threading.Lock()
        self._services = Listener(self._serve, tls)
        self._proxy = Listener(self._near)

    def environment(self) -> dict[str, str]:
        """Return the variables that point a function at it."""
        address = f"{HOST}:{self._proxy.server_address[1]}"
        return {
            "HTTPS_PROXY": f"http://{address}",
            "NO_PROXY": "localhost,127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(self._bundle),
            "SSL_CERT_FILE": str(self._bundle),
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "IDENTITY_ENDPOINT": f"http://{address}{_IDENTITY}",
            "IDENTITY_HEADER": _IDENTITY_HEADER,
        }

    def close(self) -> None:
        self._proxy.close()
        self._services.close()

    def _near(self, exchange: Exchange) -> bytes | None:
        """Be the proxy to this server, Google's metadata server, and App Service's identity."""
        path, headers = exchange.path, exchange.headers
        if exchange.method == "CONNECT":
            pass_on(self._proxy, exchange.connection, self._services.port)
            return None
        if path == _IDENTITY and headers.get("x-identity-header") == _IDENTITY_HEADER:
            audience, soon = exchange.query["resource"], str(int(time.time()) + 3600)
            return _said({"access_token": f"azure:{audience}", "expires_on": soon})
        if path.startswith(_METADATA) and path.endswith("/token"):
            return _said({"access_token": "google", "expires_in": 3600, "token_type": "Bearer"})
        if path.startswith(f"{_METADATA}/instance/service-accounts/"):
            return _said({"email": "betting@my-project.iam.gserviceaccount.com", "scopes": []})
        texts = {
            f"{_METADATA}/universe/universe-domain": "googleapis.com",
            f"{_METADATA}/project/project-id": "my-project",
            "/": "",
        }
        return _said(texts[path]) if path in texts else _said({"error": path}, 404)

    def _serve(self, exchange: Exchange) -> bytes:
        """Answer as the service that was asked for."""
        host, token = exchange.headers["host"], exchange.headers.get("authorization", "")
        asked = host, exchange.path.rstrip("/")
        if host == BLOB:
            self.blob_tokens.add(token)
        if asked == (SECRET_MANAGER, f"/v1/{GOOGLE_SECRET}:access"):
            if token != "Bearer google":
                return _said({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
            data = base64.b64encode(self._secret().encode()).decode()
            return _said({"name": GOOGLE_SECRET, "payload": {"data": data}})
        if asked == (KEY_VAULT, f"/secrets/{AZURE_SECRET}"):
            if token != f"Bearer azure:{_VAULT_AUDIENCE}":
                asks = f'Bearer authorization="https://login/tenant", resource="{_VAULT_AUDIENCE}"'
                return _said({"error": {"code": "Unauthorized"}}, 401, {"WWW-Authenticate": asks})
            name = f"https://{KEY_VAULT}/secrets/{AZURE_SECRET}/0123456789abcdef"
            return _said({"value": self._secret(), "id": name, "attributes": {}})
        return _said({"error": {"code": 404, "message": exchange.path}}, 404)

    def _secret(self) -> str:
        with self._lock:
            self.fetched += 1
        return self.account


def _said(content: object, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    text, kind = json.dumps(content), "application/json"
    if isinstance(content, str):
        text, kind = content, "application/text"
    told = {"Metadata-Flavor": "Google", "Content-Type": kind, **(headers or {})}
    return Answer(status, text.encode(), told).encode("GET")
