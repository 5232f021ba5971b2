"""A local file, and one keepAlive."""

from __future__ import annotations

import os

from by_hand import alive

with open(os.path.join(os.environ["BENCH_STORE"], os.environ["BENCH_KEY"])) as file:
    print(alive(file.read()))
