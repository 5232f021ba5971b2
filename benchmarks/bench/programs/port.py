"""The straightforward port while its token lives: exists, read, keepAlive."""

from __future__ import annotations

import json
import os

import fsspec
from by_hand import alive

options = json.loads(os.environ.get("BENCH_OPTIONS", "{}"))
filesystem, root = fsspec.core.url_to_fs(os.environ["BENCH_STORE"], **options)
path = f"{root}/{os.environ['BENCH_KEY']}"
if filesystem.exists(path):
    print(alive(filesystem.cat_file(path).decode()))
