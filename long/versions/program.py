"""Ask for the token by whichever version of the library is on the path; see prove.py.

It says where the library is when it is ready. Its first line of input tells account and place; each
further one is the moment of a call, for which it answers with one line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import betfair_session
from betfair_session import BetfairSessionError, IdentityClient, LeaseSettings, SessionManager

job = json.loads(sys.stdin.readline())
manager = SessionManager(
    IdentityClient(**job["identity"]), *job["account"], lease=LeaseSettings(**job["lease"])
)
print(Path(betfair_session.__file__).parents[1], flush=True)
for line in sys.stdin:
    time.sleep(max(float(line) - time.time(), 0.0))
    try:
        print("token", manager.get_session(*job["place"]), flush=True)
    except BetfairSessionError as error:
        print("error", repr(error), flush=True)
