"""Tables: what each foreign error means, and what to tell people about it.

Sources: the error lists of Amazon S3, Azure Blob Storage and Google Cloud Storage, and the
exceptions that the drivers define. What is in no table is unknown: a write may have landed.
"""

from __future__ import annotations

import enum
import errno
from typing import TypeAlias


class Sent(enum.Enum):
    """How far a failed request came."""

    NEVER = "it could not be made at all, now or in an earlier try"
    UNCONNECTED = "this time there was no connection to send it on"
    ANSWERED = "the server refused it"
    MAYBE = "nobody knows"


Meaning: TypeAlias = tuple[str, Sent]
"""A reason, and how far the request came."""

WORDS = {
    "busy": ("something else is using it", ""),
    "configuration": ("an option or the URL does not fit", ""),
    "conflict": ("another write was there first", ""),
    "exhausted": (
        "this process or machine has too many files or threads",
        "raise the limit (ulimit -n for files, -u for threads), or find what keeps them",
    ),
    "forbidden": (
        "access was refused",
        "check the permissions, and the credentials where there are any",
    ),
    "full": ("there is no room left", "free some space or raise the quota"),
    "no-bucket": (
        "there is no such bucket, container or directory",
        "create it, or correct its name",
    ),
    "no-file": (
        "a local file that its driver needs cannot be read",
        (
            "put it there, or correct the option or variable that names it: a key or token "
            "file, a program for credentials, or the authorities (verify, AWS_CA_BUNDLE)"
        ),
    ),
    "other": ("it was refused", ""),
    "read-only": ("it cannot be written", "choose a place that can be written"),
    "server": ("the store failed", "try again in a moment"),
    "throttled": ("too many requests", "try again in a moment"),
    "timeout": (
        "no answer in time",
        "check the network and the endpoint, or allow more time",
    ),
    "unreachable": (
        "the store cannot be reached",
        "check the network, the endpoint and the proxy settings",
    ),
}
"""Each reason in words, and what to do about it where a store does not know better."""


def _by_name(table: dict[str, str]) -> dict[str, str]:
    """Turn reason → names into name → reason."""
    return {name: reason for reason, names in table.items() for name in names.split()}


STATUSES = {
    401: "forbidden",
    403: "forbidden",
    404: "server",  # only a store's own code says that an object is missing
    408: "timeout",
    409: "doubtful",
    412: "doubtful",
    423: "busy",
    429: "throttled",
    501: "other",
    507: "full",
}
"""The reason for an HTTP status; any other is "other" below 500, else "server"."""

CODES = _by_name(
    {
        "busy": "LeaseIdMissing",
        "configuration": "InvalidBucketName InvalidResourceName",
        # Of these ConditionalRequestConflict and OperationAborted mean: ask again.
        "conflict": "BlobAlreadyExists ConditionNotMet ConditionalRequestConflict OperationAborted "
        "PreconditionFailed TargetConditionNotMet conditionNotMet",
        "forbidden": "AccessDenied AccountIsDisabled AllAccessDisabled ContainerDisabled "
        "ExpiredToken ExpiredTokenException InvalidAccessKeyId InvalidToken TokenRefreshRequired",
        "full": "QuotaExceeded XMinioStorageFull",
        "missing": "BlobNotFound NoSuchKey",
        "no-bucket": "ContainerBeingDeleted ContainerNotFound NoSuchAccessPoint NoSuchBucket",
        "other": "BlobArchived BlobBeingRehydrated InvalidObjectState OrgPolicyConstraintFailed "
        "RequestTimeTooSkewed",
        "read-only": "BlobImmutableDueToLegalHold BlobImmutableDueToPolicy",
        "throttled": "RequestLimitExceeded ServerBusy SlowDown SlowDownRead SlowDownWrite "
        "Throttling ThrottlingException TooManyRequests",
        "timeout": "OperationTimedOut RequestTimeout",
    }
)
"""The reason for a server's error code, where the HTTP status alone would mislead."""

PROVES = {
    # Amazon S3: InternalError, "a subsequent GET might retrieve the old value or the updated value"
    # ("Amazon S3 error best practices"). Google: internalError, ask again ("HTTP status and error
    # codes for JSON"). Azure: InternalError, ask again ("Status and error codes").
    "500": Sent.ANSWERED,
    # Azure: not finished in the time that the service gives itself ("Status and error codes").
    "OperationTimedOut": Sent.MAYBE,
    "501": Sent.ANSWERED,  # S3 and its compatibles: NotImplemented ("Error responses")
    # S3: SlowDown, ServiceUnavailable, "reduce your request rate" ("Error responses"). Google:
    # backendError, ask again. Azure: ServerBusy, the request was throttled or a part is away.
    "503": Sent.ANSWERED,
    "507": Sent.ANSWERED,  # compatibles of S3: full
}
"""What a server error says of a write, by code or status; with any other 5xx it may have landed.

502 and 504 are a gateway's, which had no answer in time, or none that is one (RFC 9110, 15.6).
No provider rules out that a write answered with 500 or 503 is carried out, now or in a moment. It
counts as refused, so that its session is ended. If it lands after all, a dead token is stored, and
that costs one needless login.
"""

OWN_HEADERS = ("x-amz-request-id", "x-ms-request-id", "x-guploader-uploadid")
"""What the clouds put into each answer, and nothing on the way to them does."""

CREDENTIALS_ONLY = "azure:ClientAuthenticationError"
"""An error that may hold the answer of a credential service; with 401 and 403 it is the store's."""

OBJECT_CALLS = frozenset({"GetObject", "PutObject", "DeleteObject", "HeadBucket", "CreateSession"})
"""The calls of S3; any other that botocore makes is for credentials."""

REJECTED_CREDENTIALS = frozenset(
    (
        # Amazon S3 and STS
        *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId"),
        *("InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"),
        # Azure: a signature that has expired, or by a key that the account has no more
        "AuthenticationFailed",
    )
)
"""Error codes that say, as a 401 does, that the credentials are not good, or no longer."""

UNKNOWN_CONDITION = frozenset({"InvalidArgument", "NotImplemented"})
"""The codes of a 400 with which S3-compatible servers refuse a header, conditions among them."""

ADVICE = {
    **dict.fromkeys(
        (
            *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
            *("PermanentRedirect", "WrongRegion"),
        ),
        "set the bucket's region, client_kwargs={'region_name': …}",
    ),
    "RequestTimeTooSkewed": "correct this machine's clock",
}
"""What to do about a server's error code whose own text says it to nobody."""

_UNREACHABLE = ("unreachable", Sent.MAYBE)
_UNCONNECTED = ("unreachable", Sent.UNCONNECTED)
_TIMEOUT = ("timeout", Sent.MAYBE)
_GARBLED = ("server", Sent.MAYBE)
_CREDENTIALS = ("forbidden", Sent.NEVER)
_FORBIDDEN = ("forbidden", Sent.ANSWERED)
_CONFIGURATION = ("configuration", Sent.NEVER)
_MISSING = ("missing", Sent.ANSWERED)
_CONFLICT = ("conflict", Sent.ANSWERED)

TYPES: dict[str, Meaning] = {
    f"{package}:{name}": meaning
    for package, names, meaning in (
        ("betfair_session", "OutOfTime", ("timeout", Sent.NEVER)),
        ("betfair_session", "Garbled", _GARBLED),
        ("betfair_session", "Altered", ("configuration", Sent.MAYBE)),
        ("betfair_session", "NoThreadError", ("exhausted", Sent.NEVER)),
        ("betfair_session", "NoCredentials", _CREDENTIALS),
        ("betfair_session", "Unconnected", _UNCONNECTED),
        ("builtins", "TimeoutError", _TIMEOUT),
        ("builtins", "ConnectionRefusedError", _UNCONNECTED),
        ("builtins", "ConnectionError EOFError", _UNREACHABLE),
        ("builtins", "FileExistsError", _CONFLICT),
        ("builtins", "FileNotFoundError", _MISSING),
        ("builtins", "PermissionError", _FORBIDDEN),
        ("concurrent", "CancelledError", _TIMEOUT),
        ("socket", "gaierror", _UNCONNECTED),
        ("ssl", "SSLCertVerificationError", _UNCONNECTED),
        ("ssl", "SSLError", _UNREACHABLE),
        # below s3fs, gcsfs and adlfs
        ("aiohttp", "ClientConnectorError ClientHttpProxyError", _UNCONNECTED),
        ("aiohttp", "ConnectionTimeoutError", ("timeout", Sent.UNCONNECTED)),
        ("aiohttp", "ServerTimeoutError", _TIMEOUT),
        ("aiohttp", "InvalidURL", _CONFIGURATION),
        ("aiohttp", "ClientError HttpProcessingError", _UNREACHABLE),
        # below s3fs
        ("botocore", "ConnectTimeoutError", ("timeout", Sent.UNCONNECTED)),
        ("botocore", "ReadTimeoutError", _TIMEOUT),
        ("botocore", "ConnectionError HTTPClientError IncompleteReadError", _UNREACHABLE),
        ("botocore", "ParserError ResponseParserError FlexibleChecksumError", _GARBLED),
        ("botocore", "EndpointProviderError MissingDependencyException", _CONFIGURATION),
        ("botocore", "NoRegionError ParamValidationError", _CONFIGURATION),
        ("botocore", "NoCredentialsError PartialCredentialsError SSOError", _CREDENTIALS),
        ("botocore", "CredentialRetrievalError MetadataRetrievalError LoginError", _CREDENTIALS),
        ("botocore", "RefreshWithMFAUnsupportedError TokenRetrievalError", _CREDENTIALS),
        # below gcsfs
        ("google", "GoogleAuthError", _CREDENTIALS),
        ("google", "TransportError", ("unreachable", Sent.NEVER)),
        ("requests", "RequestException", _UNREACHABLE),
        # below adlfs; HttpResponseError comes with a success that is not the one of that call
        ("azure", "ClientAuthenticationError", _CREDENTIALS),
        ("azure", "ServiceRequestTimeoutError", ("timeout", Sent.UNCONNECTED)),
        ("azure", "ServiceResponseTimeoutError", _TIMEOUT),
        ("azure", "IncompleteReadError ServiceRequestError ServiceResponseError", _UNREACHABLE),
        ("azure", "HttpResponseError DeserializationError", _GARBLED),
        # below sshfs, and fsspec's ftp
        ("asyncssh", "PermissionDenied", _CREDENTIALS),
        ("asyncssh", "SFTPPermissionDenied", _FORBIDDEN),
        ("asyncssh", "SFTPNoSuchFile", _MISSING),
        ("asyncssh", "SFTPNoConnection SFTPConnectionLost DisconnectError", _UNREACHABLE),
        ("ftplib", "error_temp error_reply error_proto", _UNREACHABLE),
        # where its text does not tell an HTTP answer
        ("obstore", "AlreadyExistsError PreconditionError", _CONFLICT),
        ("obstore", "NotFoundError", _GARBLED),
        ("obstore", "PermissionDeniedError UnauthenticatedError", _FORBIDDEN),
        ("obstore", "InvalidPathError UnknownConfigurationKeyError", _CONFIGURATION),
        ("obstore", "NotSupportedError", _CONFIGURATION),
    )
    for name in names.split()
}
"""What an error's type means: by the root package and the name of its class, or of a base."""

NO_FILE = ("no-file", Sent.NEVER)
"""What a missing or forbidden local file means to a cloud: its driver needs one."""

ERRNOS: dict[int, Meaning] = {
    getattr(errno, name): meaning
    for names, meaning in (
        ("EACCES EPERM", _FORBIDDEN),
        ("EROFS", ("read-only", Sent.ANSWERED)),
        ("ENOSPC EDQUOT EFBIG", ("full", Sent.ANSWERED)),
        ("EBUSY EAGAIN ETXTBSY EDEADLK ENOLCK", ("busy", Sent.ANSWERED)),
        ("EMFILE ENFILE", ("exhausted", Sent.ANSWERED)),
        ("ENOENT", _MISSING),
        ("EEXIST", _CONFLICT),
        ("ENOTDIR EISDIR ENAMETOOLONG ELOOP EINVAL", ("other", Sent.ANSWERED)),
        ("EIO ENXIO ENODEV", ("server", Sent.MAYBE)),
        ("ETIMEDOUT", _TIMEOUT),
        ("ECONNREFUSED EHOSTUNREACH ENETUNREACH EHOSTDOWN ENETDOWN", _UNCONNECTED),
        ("ESTALE ECONNRESET ECONNABORTED EPIPE ENOTCONN ESHUTDOWN", _UNREACHABLE),
    )
    for name in names.split()
    if hasattr(errno, name)
}
"""What an OSError's errno means."""

KEEPABLE = frozenset(
    ("asyncio", "betfair_session", "botocore", "builtins", "concurrent", "obstore", "socket", "ssl")
)
"""Root packages of errors that hold no request (azure's and aiohttp's do)."""
