"""Ask for one token in a hundred greenlets. Usage: program.py gevent|eventlet STORE OPTIONS.

Prints the tokens that they got, and the errors of the others.
"""

from __future__ import annotations

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
    from gevent.pool import Pool
else:
    import eventlet

    eventlet.monkey_patch()
    from eventlet import GreenPool as Pool

import json

from betfair_session import BetfairSessionError, from_env

COUNT = 100

manager = from_env(dotenv=None)


def ask(_number: int) -> str:
    """Return a token, or the kind of error."""
    try:
        return manager.get_session(sys.argv[2], "session.token", json.loads(sys.argv[3]))
    except BetfairSessionError as error:
        return type(error).__name__


pool = Pool(COUNT)
found = list(pool.imap(ask, range(COUNT)))
print(json.dumps(found))
