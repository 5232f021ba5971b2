"""How the clouds say no, word by word, for the proxy to say it in their place.

Sources: the error references of Amazon S3, of Google Cloud Storage's JSON and XML interfaces, and
of Azure Blob Storage.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers.s3 import refusal as s3
from servers.script import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = b"<!DOCTYPE html><html><body><h1>Sorry</h1><p>token=abc</p></body></html>"


def gcs(status: int, code: str) -> Answer:
    """Return an error as Google's JSON interface sends it."""
    detail = {"message": "scripted", "domain": "global", "reason": code}
    body = {"error": {"code": status, "message": "scripted", "errors": [detail]}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def azure(status: int, code: str) -> Answer:
    """Return an error as Azure sends it."""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
        "<Message>scripted</Message></Error>"
    )
    return Answer(
        status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": code}
    )


def page(status: int) -> Answer:
    """Return what a gateway in between sends: a page for people."""
    return Answer(status, _PAGE, {"Content-Type": "text/html"})


@dataclass(frozen=True)
class Dialect:
    """One cloud's words.

    Attributes:
        say: makes an error of a status and a code.
        forbidden: (status, code) of refusals.
        rejected: of refusals of the credentials themselves.
        throttled: of "slow down".
        broken: of failures.
        conflicts: of a condition that does not hold, each of its disguises.
        lasting: with the status of a conflict, and for another cause, which does not pass.
    """

    say: Callable[[int, str], Answer]
    forbidden: tuple[tuple[int, str], ...]
    rejected: tuple[tuple[int, str], ...]
    throttled: tuple[tuple[int, str], ...]
    broken: tuple[tuple[int, str], ...]
    conflicts: tuple[tuple[int, str], ...]
    lasting: tuple[tuple[int, str], ...]


S3 = Dialect(
    s3,
    forbidden=((403, "AccessDenied"),),
    rejected=((403, "InvalidAccessKeyId"), (400, "ExpiredToken"), (400, "InvalidToken")),
    throttled=((503, "SlowDown"), (429, "TooManyRequests")),
    broken=((500, "InternalError"), (503, "ServiceUnavailable"), (502, "BadGateway")),
    conflicts=((412, "PreconditionFailed"), (409, "ConditionalRequestConflict")),
    lasting=((409, "InvalidBucketState"), (412, "SomethingElse")),
)
GCS = Dialect(
    gcs,
    forbidden=((403, "forbidden"),),
    rejected=((401, "required"),),
    throttled=((429, "rateLimitExceeded"),),
    broken=((500, "internalError"), (502, "backendError"), (503, "backendError")),
    conflicts=((412, "conditionNotMet"),),
    lasting=((409, "conflict"),),
)
GCS_XML = Dialect(
    s3,
    forbidden=((403, "AccessDenied"),),
    rejected=((401, "AuthenticationRequired"),),
    throttled=((429, "SlowDown"),),
    broken=((500, "InternalError"), (502, "InternalError"), (503, "ServiceUnavailable")),
    conflicts=((412, "PreconditionFailed"), (409, "OperationAborted")),
    lasting=((412, "OrgPolicyConstraintFailed"), (409, "InvalidState")),
)
AZURE = Dialect(
    azure,
    forbidden=((403, "AuthorizationFailure"), (403, "AuthorizationPermissionMismatch")),
    rejected=((403, "AuthenticationFailed"), (401, "InvalidAuthenticationInfo")),
    throttled=((503, "ServerBusy"), (429, "TooManyRequests")),
    broken=((500, "InternalError"), (502, "BadGateway")),
    conflicts=(
        (412, "ConditionNotMet"),
        (412, "TargetConditionNotMet"),
        (409, "BlobAlreadyExists"),
    ),
    lasting=(
        (409, "ResourceTypeMismatch"),
        (409, "BlobTypeNotSupported"),
        (409, "PublicAccessNotPermitted"),
    ),
)
