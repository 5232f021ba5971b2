"""AWS Lambda: all invocations and instances share one Betfair session, kept in S3."""

import json
import os
from datetime import timedelta
from typing import Any

import boto3

from betfair_session import Exchange, from_env, place_from_env


def account() -> dict[str, str]:
    """Return the account, a JSON object of BETFAIR_* names, from Secrets Manager."""
    secrets = boto3.client("secretsmanager")
    answer = secrets.get_secret_value(SecretId=os.environ["BETFAIR_SECRET"])
    return dict(json.loads(answer["SecretString"]))


# Once per instance: every invocation after the first finds these ready, and for 15 minutes after
# a verification uses the token without asking anybody. Nothing logs in before an invocation.
manager = from_env(account(), dotenv=None, verify_every=timedelta(minutes=15))
exchange = Exchange(manager.session(*place_from_env(dotenv=None)))


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the names of the event types."""
    # The last two seconds are for the answer: an error is better than being cut off.
    seconds = max(context.get_remaining_time_in_millis() / 1000 - 2, 0.1)
    types = exchange.call("listEventTypes", {"filter": {}}, timeout=seconds)
    return {"eventTypes": [each["eventType"]["name"] for each in types]}
