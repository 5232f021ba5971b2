"""Azure Functions: all invocations and instances share one Betfair session, kept in a blob."""

import json
import os
from datetime import timedelta

import azure.functions as func
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from betfair_session import Exchange, from_env, place_from_env

SECONDS = 50  # of the 60 that the deployment allows, so that an error can still be answered


def account() -> dict[str, str]:
    """Return the account, a JSON object of BETFAIR_* names, from Key Vault."""
    vault = os.environ["KEY_VAULT_URL"]
    with DefaultAzureCredential() as identity, SecretClient(vault, identity) as secrets:
        answer = secrets.get_secret(os.environ["BETFAIR_SECRET"])
    return dict(json.loads(answer.value))


# Once per instance: every invocation after the first finds these ready, and for 15 minutes after
# a verification uses the token without asking anybody. Nothing logs in before an invocation.
manager = from_env(account(), dotenv=None, verify_every=timedelta(minutes=15))
exchange = Exchange(manager.session(*place_from_env(dotenv=None)))

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="event-types")
def event_types(request: func.HttpRequest) -> func.HttpResponse:
    """Return the names of the event types."""
    types = exchange.call("listEventTypes", {"filter": {}}, timeout=SECONDS)
    names = {"eventTypes": [each["eventType"]["name"] for each in types]}
    return func.HttpResponse(json.dumps(names), mimetype="application/json")
