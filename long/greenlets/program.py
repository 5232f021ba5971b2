"""Ask for one token in a hundred greenlets or tasks.

    program.py gevent|eventlet|uvloop STORE OPTIONS

Prints the tokens that they got, and the errors of the others.
"""

from __future__ import annotations

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
    from gevent.pool import Pool
elif sys.argv[1] == "eventlet":
    import eventlet

    eventlet.monkey_patch()
    from eventlet import GreenPool as Pool

import asyncio
import json

from betfair_session import BetfairSessionError, from_env

COUNT = 100
PLACE = (sys.argv[2], "session.token", json.loads(sys.argv[3]))

manager = from_env(dotenv=None)


def ask(_number: int) -> str:
    """Return a token, or the kind of error."""
    try:
        return manager.get_session(*PLACE)
    except BetfairSessionError as error:
        return type(error).__name__


async def gather() -> list[str]:
    """Ask in tasks."""
    return await asyncio.gather(*(manager.aget_session(*PLACE) for _ in range(COUNT)))


if sys.argv[1] == "uvloop":
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # as uvloop.install, for all loops
    found = asyncio.run(gather())
else:
    found = list(Pool(COUNT).imap(ask, range(COUNT)))
print(json.dumps(found))
