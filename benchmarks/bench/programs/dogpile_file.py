"""dogpile.cache over a file with a file lock: the process that finds nothing logs in."""

from __future__ import annotations

import os

from dogpile.cache import make_region


def log_in() -> str:
    """Return a new session's token."""
    import requests

    answer = requests.post(
        os.environ["BETFAIR_IDENTITY_CERT_URL"] + "certlogin",
        data={
            "username": os.environ["BETFAIR_USERNAME"],
            "password": os.environ["BETFAIR_PASSWORD"],
        },
        headers={"X-Application": os.environ["BETFAIR_APP_KEY"]},
        cert=(os.environ["BETFAIR_CERT_FILE"], os.environ["BETFAIR_KEY_FILE"]),
        timeout=10,
        allow_redirects=False,
    )
    return str(answer.json()["sessionToken"])


region = make_region().configure(
    "dogpile.cache.dbm",
    expiration_time=float(os.environ["BENCH_WINDOW"]),
    arguments={"filename": os.path.join(os.environ["BENCH_STORE"], "dogpile")},
)
print(region.get_or_create(os.environ["BENCH_KEY"], log_in))
