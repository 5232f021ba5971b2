"""The one keepAlive, written by hand."""

from __future__ import annotations

import os

import requests


def alive(token: str) -> str:
    """Return the token, if Betfair says that its session lives."""
    answer = requests.post(
        os.environ["BETFAIR_IDENTITY_URL"] + "keepAlive",
        headers={
            "Accept": "application/json",
            "X-Application": os.environ["BETFAIR_APP_KEY"],
            "X-Authentication": token,
        },
        timeout=10,
        allow_redirects=False,
    )
    if answer.json()["status"] != "SUCCESS":
        raise SystemExit(answer.json()["error"])
    return token
