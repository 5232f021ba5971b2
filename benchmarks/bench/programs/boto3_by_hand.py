"""Amazon's own client, one GetObject and one keepAlive."""

from __future__ import annotations

import json
import os

import boto3
from by_hand import alive

options = json.loads(os.environ["BENCH_OPTIONS"])
client = boto3.client(
    "s3",
    endpoint_url=options["endpoint_url"],
    aws_access_key_id=options["key"],
    aws_secret_access_key=options["secret"],
    region_name=options["client_kwargs"]["region_name"],
)
answer = client.get_object(Bucket=os.environ["BENCH_BUCKET"], Key=os.environ["BENCH_KEY"])
print(alive(answer["Body"].read().decode()))
