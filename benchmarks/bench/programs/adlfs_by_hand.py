"""The driver adlfs, one GET of the blob and one keepAlive."""

from __future__ import annotations

import json
import os

import adlfs
from by_hand import alive

filesystem = adlfs.AzureBlobFileSystem(**json.loads(os.environ["BENCH_OPTIONS"]))
path = f"{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_KEY']}"
print(alive(filesystem.cat_file(path).decode()))
