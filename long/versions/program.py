"""Ask for the token by the version of the library that is on the path; see prove.py.

It prints where the library is when it is ready. The first line of input is the account and the
place; each further line is the time of a call, answered with one line.
"""

from __future__ import annotations

import json
import sys
import time

import betfair_session
from betfair_session import BetfairSessionError, IdentityClient, LeaseSettings, SessionManager

job = json.loads(sys.stdin.readline())
job["identity"].pop("api_url", None)  # which the first versions do not know
manager = SessionManager(
    IdentityClient(**job["identity"]), *job["account"], lease=LeaseSettings(**job["lease"])
)
print(json.dumps(betfair_session.__file__), flush=True)
for line in sys.stdin:
    time.sleep(max(json.loads(line) - time.time(), 0.0))
    try:
        answer = manager.get_session(*job["place"])
    except BetfairSessionError as error:
        answer = repr(error)
    print(json.dumps(answer), flush=True)
