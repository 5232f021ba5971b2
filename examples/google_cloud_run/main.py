"""Cloud Run functions: all requests and instances share one Betfair session, kept in GCS."""

import json
import os
from datetime import timedelta
from typing import Any

import functions_framework
from google.cloud import secretmanager

from betfair_session import Exchange, from_env, place_from_env

SECONDS = 50  # of the 60 that the deployment allows, so that an error can still be answered


def account() -> dict[str, str]:
    """Return the account, a JSON object of BETFAIR_* names, from Secret Manager."""
    # REST, because the server forks once it has loaded this module, and gRPC is not for that.
    with secretmanager.SecretManagerServiceClient(transport="rest") as secrets:
        answer = secrets.access_secret_version(name=os.environ["BETFAIR_SECRET"])
    return dict(json.loads(answer.payload.data))


# Once per instance: every request after the first finds these ready, and for 15 minutes after a
# verification uses the token without asking anybody. Nothing logs in before a request.
manager = from_env(account(), dotenv=None, verify_every=timedelta(minutes=15))
exchange = Exchange(manager.session(*place_from_env(dotenv=None)))


@functions_framework.http
def event_types(request: Any) -> dict[str, Any]:
    """Return the names of the event types."""
    types = exchange.call("listEventTypes", {"filter": {}}, timeout=SECONDS)
    return {"eventTypes": [each["eventType"]["name"] for each in types]}
