"""obstore, one GET and one keepAlive."""

from __future__ import annotations

import json
import os
from typing import Any

from by_hand import alive
from obstore.store import AzureStore, GCSStore, S3Store

options = json.loads(os.environ["BENCH_OPTIONS"])
bucket = os.environ["BENCH_BUCKET"]
store: Any
if "secret" in options:
    store = S3Store(
        bucket,
        access_key_id=options["key"],
        secret_access_key=options["secret"],
        endpoint=options["endpoint_url"],
        region=options["client_kwargs"]["region_name"],
        client_options={"allow_http": True},
    )
elif "connection_string" in options:
    parts = dict(part.split("=", 1) for part in options["connection_string"].split(";") if part)
    store = AzureStore(
        bucket,
        account_name=parts["AccountName"],
        account_key=parts["AccountKey"],
        endpoint=parts["BlobEndpoint"],
        client_options={"allow_http": True},
    )
else:
    store = GCSStore(
        bucket,
        config={"base_url": options["endpoint_url"], "skip_signature": True},
        client_options={"allow_http": True},
    )
print(alive(bytes(store.get(os.environ["BENCH_KEY"]).bytes()).decode()))
