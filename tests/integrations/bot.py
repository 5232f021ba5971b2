"""One bot in a process of its own: it logs in, trades a little, logs out, and says which token."""

from __future__ import annotations

import hashlib
import os
import sys

from betfair_session import from_env
from betfair_session.integrations.betfairlightweight import APIClient

if __name__ == "__main__":
    manager = from_env(dotenv=None)
    trading = APIClient(manager.session(os.environ["STORE"], "session.token"))
    trading.login()
    trading.betting.list_event_types()
    token = trading.session_token or ""
    trading.keep_alive()
    trading.logout()
    sys.stdout.write(hashlib.sha256(token.encode()).hexdigest())
