"""Google's own client, one GET of the object and one keepAlive."""

from __future__ import annotations

import json
import os

from by_hand import alive
from google.cloud import storage

options = json.loads(os.environ["BENCH_OPTIONS"])
client = storage.Client.create_anonymous_client()
client._connection.API_BASE_URL = options["endpoint_url"]  # noqa: SLF001 - the shortest way to an emulator
blob = client.bucket(os.environ["BENCH_BUCKET"]).blob(os.environ["BENCH_KEY"])
print(alive(blob.download_as_bytes().decode()))
