"""How often a refused account logs in, on a store that makes the refusal hard to write down.

    python3 dev.py long refusals --seconds 600

A caller asks for the token every second, on a stub that answers as the clouds do (tests/servers).
What is counted is logins after a wrong password, and after a ban: while nothing goes wrong, with a
change of an object a second, with a second of refusals at each release of the lock, or when the
first process is killed as it gives the lock back. Ends with 1 when there were more than the waits
between them allow, and one for the process that was killed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from servers.cloudlike import SLOW_DOWN, Cloud
from servers.cloudlike_wire import Order

from betfair_session import BetfairSessionError, from_env
from betfair_session.sandbox import Sandbox

STATUSES = ("INVALID_USERNAME_OR_PASSWORD", "TEMPORARY_BAN_TOO_MANY_REQUESTS")
WAYS = {
    "nothing": "gcs",
    "one change a second": "gcs",
    "a second of 503 at each release": "s3",
    "the holder is killed": "gcs",
}
KEY = "session.token"
WAITS = {STATUSES[0]: (15, 60, 300, 900), STATUSES[1]: (1200,)}
"""Seconds without a login after the first refusal, the second and so on."""
CALL = """
import json, sys
from betfair_session import from_env
from_env(dotenv=None).get_session(sys.argv[1], "session.token", json.loads(sys.argv[2]), timeout=20)
"""


def gives_back(order: Order) -> bool:
    """Return whether a request to the store writes down a refusal."""
    return order.verb == "PUT" and b'"state":"failed"' in order.content


def refuse_each(cloud: Cloud) -> None:
    """Refuse each release for a second from its first try on."""
    while True:
        fault = cloud.fail(gives_back, answer=SLOW_DOWN[cloud.kind], seconds=1.0)
        fault.reached.wait()
        time.sleep(1.2)


def kill_one(cloud: Cloud, url: str, options: dict[str, object], sandbox: Sandbox) -> None:
    """Have a process log in, and kill it as it gives the lock back."""
    fault = cloud.fail(gives_back, answer="silence", times=1)
    environment = {**os.environ, **sandbox.environment()}
    command = [sys.executable, "-c", CALL, url, json.dumps(options)]
    while not fault.reached.is_set():  # on a busy machine one may be too late
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not fault.reached.wait(0.1):
                pass
            process.kill()


def allowed(status: str, way: str, seconds: float) -> int:
    """Return how many logins there may be in that time."""
    times = itertools.accumulate(WAITS[status], initial=0)
    return sum(at <= seconds for at in times) + (way == "the holder is killed")


def run(status: str, way: str, seconds: float) -> list[int]:
    """Ask for a token every second; return when, in seconds, that logged in."""
    with Sandbox() as sandbox:
        sandbox.login_status(status)
        cloud = Cloud(WAYS[way])  # type: ignore[arg-type] # it is one of the kinds
        cloud.make_bucket("bucket")
        cloud.pace = 1.0 if way == "one change a second" else 0.0
        url, options = f"{cloud.scheme}://bucket/betfair", cloud.options(cloud.endpoint)
        began, times = time.monotonic(), []
        if way.startswith("a second"):
            threading.Thread(target=refuse_each, args=(cloud,), daemon=True).start()
        elif way == "the holder is killed":
            kill_one(cloud, url, options, sandbox)
        os.environ.update(sandbox.environment())
        with from_env(dotenv=None) as manager:
            while time.monotonic() - began < seconds:
                try:
                    manager.get_session(url, KEY, options, timeout=20)
                except BetfairSessionError:
                    passed = round(time.monotonic() - began)
                    times += [passed] * (sandbox.counts().get("certlogin", 0) - len(times))
                time.sleep(1)
    return times


def main() -> int:
    """Run what the command line asks for: one case in this process, or each in one of its own."""
    parser = argparse.ArgumentParser(description="count the logins of a refused account")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to go on asking")
    parser.add_argument("--case", type=int, help="only this one of the eight")
    options = parser.parse_args()
    logging.getLogger("betfair_session").setLevel(logging.CRITICAL)
    cases = list(itertools.product(STATUSES, WAYS))
    if options.case is not None:
        status, way = cases[options.case]
        times, most = run(status, way, options.seconds), allowed(status, way, options.seconds)
        found = f"{len(times)} logins of {most} allowed, at {', '.join(map(str, times))} s"
        print(f"{status:32} {way:32} {found}", flush=True)
        os._exit(not 0 < len(times) <= most)
    command = [sys.executable, __file__, "--seconds", str(options.seconds), "--case"]
    with ThreadPoolExecutor(len(cases)) as pool:
        codes = pool.map(lambda n: subprocess.call([*command, str(n)]), range(len(cases)))
    wrong = sum(map(bool, codes))
    print(f"{len(cases)} cases, {wrong} of them with too many logins or none")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
