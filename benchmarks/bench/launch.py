"""Run a program in a fresh interpreter and say what it cost.

    launch.py PROGRAM

Its output is a Python dictionary: what the program printed ("token"), the seconds until then
("token_seconds") and until its end ("seconds"), the processor's seconds ("cpu"), the largest
resident memory in KiB ("rss") and the exit status ("status").

It is a process of its own, started without site and with the least of imports: Linux counts the
memory of its parent as a process's peak until it has more.
"""

# ruff: noqa: T201 - printing is what it is for

import os
import sys
import time


def main() -> None:
    """Launch, wait, tell."""
    group = os.environ.pop("BENCH_CGROUP", "")  # it limits the share of a processor
    if group:
        with open(f"{group}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
    reading, writing = os.pipe()
    into = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    began = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, [sys.executable, sys.argv[1]], os.environ, file_actions=into
    )
    os.close(writing)
    printed = os.read(reading, 4096)
    token_seconds = time.perf_counter() - began
    _, status, usage = os.wait4(child, 0)
    found = {
        "token": printed.decode("ascii", "replace").strip(),
        "token_seconds": token_seconds,
        "seconds": time.perf_counter() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss,
        "status": status,
    }
    print(found)


if __name__ == "__main__":
    main()
