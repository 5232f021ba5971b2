"""The driver gcsfs, one GET of the object and one keepAlive."""

from __future__ import annotations

import json
import os

from by_hand import alive
from gcsfs.core import GCSFileSystem  # the package's own would ask what type the bucket is

filesystem = GCSFileSystem(**json.loads(os.environ["BENCH_OPTIONS"]))
path = f"{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_KEY']}"
print(alive(filesystem.cat_file(path).decode()))
