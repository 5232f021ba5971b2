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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import trustme
from servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

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


class Outside(ThreadingHTTPServer):
    """The running server.

    Attributes:
        account: what the secret holds, a JSON object as text.
        fetched: how many times somebody was given it.
        blob_tokens: what requests to Blob Storage were authorised by; they find nothing there.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, directory: Path) -> None:
        """Start it; the authority's certificate goes to `directory`."""
        super().__init__((HOST, 0), _Handler)
        authority = trustme.CA()
        self._bundle = directory / "outside.pem"
        authority.cert_pem.write_to_path(str(self._bundle))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = (SECRET_MANAGER, KEY_VAULT, BLOB, _GOOGLE_ASKS_TOO)
        authority.issue_cert(*names).configure_cert(self.tls)
        self.account = "{}"
        self.fetched = 0
        self.blob_tokens: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def environment(self) -> dict[str, str]:
        """Return the variables that lead a function here."""
        address = f"{HOST}:{self.server_address[1]}"
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

    def hand_out(self) -> str:
        """Return the secret."""
        with self._lock:
            self.fetched += 1
        return self.account

    def close(self) -> None:
        """Stop it."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Outside
    host = ""  # the name that a tunnel was asked for

    def do_CONNECT(self) -> None:
        """Be the end of the tunnel."""
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def do_GET(self) -> None:
        """Answer as the service that was asked for."""
        services = {"": self._instance, SECRET_MANAGER: self._google, KEY_VAULT: self._azure}
        if self.host == BLOB:
            self.server.blob_tokens.add(self.headers["Authorization"])
        services.get(self.host, self._nothing)(urlsplit(self.path).path)

    def _instance(self, path: str) -> None:
        """Be Google's metadata server, and the identity endpoint of Azure's App Service."""
        if path == _IDENTITY and self.headers["X-IDENTITY-HEADER"] == _IDENTITY_HEADER:
            audience = parse_qs(urlsplit(self.path).query)["resource"][0]
            soon = str(int(time.time()) + 3600)
            self._say({"access_token": f"azure:{audience}", "expires_on": soon})
        elif path.startswith(_METADATA) and path.endswith("/token"):
            self._say({"access_token": "google", "expires_in": 3600, "token_type": "Bearer"})
        elif path.startswith(f"{_METADATA}/instance/service-accounts/"):
            self._say({"email": "betting@my-project.iam.gserviceaccount.com", "scopes": []})
        elif path == f"{_METADATA}/universe/universe-domain":
            self._say("googleapis.com")
        elif path == f"{_METADATA}/project/project-id":
            self._say("my-project")
        elif path == "/":
            self._say("")
        else:
            self._nothing(path)

    def _google(self, path: str) -> None:
        if path != f"/v1/{GOOGLE_SECRET}:access":
            self._nothing(path)
        elif self.headers["Authorization"] != "Bearer google":
            self._say({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        else:
            data = base64.b64encode(self.server.hand_out().encode()).decode()
            self._say({"name": GOOGLE_SECRET, "payload": {"data": data}})

    def _azure(self, path: str) -> None:
        if path.rstrip("/") != f"/secrets/{AZURE_SECRET}":
            self._nothing(path)
        elif self.headers["Authorization"] != f"Bearer azure:{_VAULT_AUDIENCE}":
            asks = f'Bearer authorization="https://login/tenant", resource="{_VAULT_AUDIENCE}"'
            self._say({"error": {"code": "Unauthorized"}}, 401, {"WWW-Authenticate": asks})
        else:
            name = f"https://{KEY_VAULT}/secrets/{AZURE_SECRET}/0123456789abcdef"
            self._say({"value": self.server.hand_out(), "id": name, "attributes": {}})

    def _nothing(self, path: str) -> None:
        self._say({"error": {"code": 404, "message": path}}, 404)

    def _say(
        self,
        content: object,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        text, kind = json.dumps(content), "application/json"
        if isinstance(content, str):
            text, kind = content, "application/text"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def finish(self) -> None:
        """Close the tunnel as well."""
        super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""
