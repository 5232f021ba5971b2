"""This library; with BENCH_WINDOW, trusting what was verified so many seconds ago."""

from __future__ import annotations

import os
from datetime import timedelta

from betfair_session import IdentityClient, SessionManager

options = None
if "BENCH_OPTIONS" in os.environ:
    import json

    options = json.loads(os.environ["BENCH_OPTIONS"])
window = os.environ.get("BENCH_WINDOW")
sandbox: dict[str, str] = {}
if not window:  # a trusted token sends no request, and a user of Betfair's own hosts names none
    sandbox = {
        "identity_url": os.environ["BETFAIR_IDENTITY_URL"],
        "identity_cert_url": os.environ["BETFAIR_IDENTITY_CERT_URL"],
        "verify": os.environ["REQUESTS_CA_BUNDLE"],
    }
client = IdentityClient(
    os.environ["BETFAIR_APP_KEY"],
    certificate=(os.environ["BETFAIR_CERT_FILE"], os.environ["BETFAIR_KEY_FILE"]),
    **sandbox,
)
manager = SessionManager(
    client,
    os.environ["BETFAIR_USERNAME"],
    os.environ["BETFAIR_PASSWORD"],
    verify_every=timedelta(seconds=float(window)) if window else None,
    share_verification=bool(window),
)
print(manager.get_session(os.environ["BENCH_STORE"], os.environ["BENCH_KEY"], options))
