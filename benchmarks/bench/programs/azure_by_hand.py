"""Azure's own client, one GET of the blob and one keepAlive."""

from __future__ import annotations

import json
import os

from azure.storage.blob import BlobClient
from by_hand import alive

options = json.loads(os.environ["BENCH_OPTIONS"])
client = BlobClient.from_connection_string(
    options["connection_string"], os.environ["BENCH_BUCKET"], os.environ["BENCH_KEY"]
)
print(alive(client.download_blob().readall().decode()))
