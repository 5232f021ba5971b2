"""The driver s3fs, one GetObject and one keepAlive."""

from __future__ import annotations

import json
import os

import s3fs
from by_hand import alive

filesystem = s3fs.S3FileSystem(**json.loads(os.environ["BENCH_OPTIONS"]))
path = f"{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_KEY']}"
# Without that it would ask for the object's size first.
print(alive(filesystem.cat_file(path, max_concurrency=1).decode()))
