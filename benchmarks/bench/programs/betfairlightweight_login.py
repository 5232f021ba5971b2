"""betfairlightweight as it is used: each process logs in."""

from __future__ import annotations

import os

import betfairlightweight

client = betfairlightweight.APIClient(
    os.environ["BETFAIR_USERNAME"],
    os.environ["BETFAIR_PASSWORD"],
    app_key=os.environ["BETFAIR_APP_KEY"],
    cert_files=(os.environ["BETFAIR_CERT_FILE"], os.environ["BETFAIR_KEY_FILE"]),
)
client.identity_cert_uri = os.environ["BETFAIR_IDENTITY_CERT_URL"]
client.login()
print(client.session_token)
