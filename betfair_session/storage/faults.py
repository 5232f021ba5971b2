"""Tables: what each foreign error means, and what to tell people about it.

Sources: the error lists of Amazon S3, Azure Blob Storage and Google Cloud Storage, and the
exceptions that the drivers define.
"""

from __future__ import annotations

import enum
import errno


class Sent(enum.Enum):
    """How far a failed request came."""

    NEVER = "it could not be made at all, now or in an earlier try"
    UNCONNECTED = "this time there was no connection to send it on"
    ANSWERED = "the server refused it"
    MAYBE = "nobody knows"


WHAT = {
    "busy": "something else is using it",
    "configuration": "an option or the URL does not fit",
    "conflict": "another write was there first",
    "exhausted": "this process or machine has too many files or threads",
    "forbidden": "access was refused",
    "full": "there is no room left",
    "no-bucket": "there is no such bucket, container or directory",
    "no-file": "a local file that its driver needs cannot be read",
    "other": "it was refused",
    "read-only": "it cannot be written",
    "server": "the store failed",
    "throttled": "too many requests",
    "timeout": "no answer in time",
    "unreachable": "the store cannot be reached",
}
"""Each reason in words."""

HINTS = {
    "exhausted": "raise the limit (ulimit -n for files, -u for threads), or find what keeps them",
    "forbidden": "check the permissions, and the credentials where there are any",
    "full": "free some space or raise the quota",
    "no-bucket": "create it, or correct its name",
    "no-file": "put it there, or correct the option or variable that names it: a key or token "
    "file, a program for credentials, or the authorities (verify, AWS_CA_BUNDLE)",
    "read-only": "choose a place that can be written",
    "server": "try again in a moment",
    "throttled": "try again in a moment",
    "timeout": "check the network and the endpoint, or allow more time",
    "unreachable": "check the network, the endpoint and the proxy settings",
}
"""What to do about each reason, where a store does not know better."""

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

CODES = {
    # Amazon S3 and its compatibles
    "AccessDenied": "forbidden",
    "AccountProblem": "forbidden",
    "AllAccessDisabled": "forbidden",
    "ConditionalRequestConflict": "conflict",  # ask again
    "ExpiredToken": "forbidden",
    "ExpiredTokenException": "forbidden",
    "InvalidAccessKeyId": "forbidden",
    "InvalidBucketName": "configuration",
    "InvalidObjectState": "other",
    "InvalidToken": "forbidden",
    "NoSuchAccessPoint": "no-bucket",
    "NoSuchBucket": "no-bucket",
    "NoSuchKey": "missing",
    "OperationAborted": "conflict",  # ask again
    "PreconditionFailed": "conflict",
    "QuotaExceeded": "full",
    "RequestLimitExceeded": "throttled",
    "RequestTimeTooSkewed": "other",
    "RequestTimeout": "timeout",
    "SlowDown": "throttled",
    "SlowDownRead": "throttled",
    "SlowDownWrite": "throttled",
    "Throttling": "throttled",
    "ThrottlingException": "throttled",
    "TokenRefreshRequired": "forbidden",
    "TooManyRequests": "throttled",
    "XMinioStorageFull": "full",
    # Google Cloud Storage
    "OrgPolicyConstraintFailed": "other",
    "conditionNotMet": "conflict",
    # Azure Blob Storage
    "AccountIsDisabled": "forbidden",
    "BlobAlreadyExists": "conflict",
    "BlobArchived": "other",
    "BlobBeingRehydrated": "other",
    "BlobImmutableDueToLegalHold": "read-only",
    "BlobImmutableDueToPolicy": "read-only",
    "BlobNotFound": "missing",
    "ConditionNotMet": "conflict",
    "ContainerBeingDeleted": "no-bucket",
    "ContainerDisabled": "forbidden",
    "ContainerNotFound": "no-bucket",
    "InvalidResourceName": "configuration",
    "LeaseIdMissing": "busy",
    "OperationTimedOut": "timeout",
    "ServerBusy": "throttled",
    "TargetConditionNotMet": "conflict",
}
"""The reason for a server's error code, where the HTTP status alone would mislead."""

PROVES = {
    # Amazon S3: InternalError, "a subsequent GET might retrieve the old value or the updated value"
    # ("Amazon S3 error best practices"). Google: internalError, ask again ("HTTP status and error
    # codes for JSON"). Azure: InternalError, ask again ("Status and error codes").
    "500": Sent.ANSWERED,
    # Azure: not finished in the time that the service gives itself ("Status and error codes").
    "OperationTimedOut": Sent.MAYBE,
    "501": Sent.ANSWERED,  # S3 and its compatibles: NotImplemented ("Error responses")
    # A gateway had no answer in time, or none that is one (RFC 9110, 15.6). Google lists both as
    # passing; a repetition harms nothing under a condition ("Retry strategy").
    "502": Sent.MAYBE,
    "504": Sent.MAYBE,
    # S3: SlowDown, ServiceUnavailable, "reduce your request rate" ("Error responses"). Google:
    # backendError, ask again. Azure: ServerBusy, the request was throttled or a part is away.
    "503": Sent.ANSWERED,
    "507": Sent.ANSWERED,  # compatibles of S3: full
}
"""What a server error says of a write, by code or status: refused, or unknown as any other 5xx.

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

_REGION = "set the bucket's region, client_kwargs={'region_name': …}"

ADVICE = {
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "correct this machine's clock",
    "WrongRegion": _REGION,
}
"""What to do about a server's error code whose own text says it to nobody."""

_UNREACHABLE = ("unreachable", Sent.MAYBE)
_UNCONNECTED = ("unreachable", Sent.UNCONNECTED)
_TIMEOUT = ("timeout", Sent.MAYBE)
_GARBLED = ("server", Sent.MAYBE)
_CREDENTIALS = ("forbidden", Sent.NEVER)
_CONFIGURATION = ("configuration", Sent.NEVER)

TYPES = {
    # ours, and the interpreter's
    "betfair_session:OutOfTime": ("timeout", Sent.NEVER),
    "betfair_session:Garbled": _GARBLED,
    "betfair_session:Altered": ("configuration", Sent.MAYBE),
    "betfair_session:NoThreadError": ("exhausted", Sent.NEVER),
    "betfair_session:NoCredentials": _CREDENTIALS,
    "betfair_session:Unconnected": _UNCONNECTED,
    "builtins:TimeoutError": _TIMEOUT,
    "concurrent:CancelledError": _TIMEOUT,
    "builtins:ConnectionRefusedError": _UNCONNECTED,
    "builtins:ConnectionError": _UNREACHABLE,
    "builtins:EOFError": _UNREACHABLE,
    "socket:gaierror": _UNCONNECTED,
    "ssl:SSLCertVerificationError": _UNCONNECTED,
    "ssl:SSLError": _UNREACHABLE,
    "builtins:FileExistsError": ("conflict", Sent.ANSWERED),
    "builtins:FileNotFoundError": ("missing", Sent.ANSWERED),
    "builtins:PermissionError": ("forbidden", Sent.ANSWERED),
    # aiohttp, below s3fs, gcsfs and adlfs
    "aiohttp:ClientConnectorError": _UNCONNECTED,
    "aiohttp:ClientHttpProxyError": _UNCONNECTED,
    "aiohttp:ConnectionTimeoutError": ("timeout", Sent.UNCONNECTED),
    "aiohttp:InvalidURL": _CONFIGURATION,
    "aiohttp:ServerTimeoutError": _TIMEOUT,
    "aiohttp:ClientError": _UNREACHABLE,
    "aiohttp:HttpProcessingError": _UNREACHABLE,
    # botocore, below s3fs
    "botocore:ConnectTimeoutError": ("timeout", Sent.UNCONNECTED),
    "botocore:ReadTimeoutError": _TIMEOUT,
    "botocore:ConnectionError": _UNREACHABLE,
    "botocore:HTTPClientError": _UNREACHABLE,
    "botocore:IncompleteReadError": _UNREACHABLE,
    "botocore:ParserError": _GARBLED,
    "botocore:ResponseParserError": _GARBLED,
    "botocore:FlexibleChecksumError": _GARBLED,
    "botocore:EndpointProviderError": _CONFIGURATION,
    "botocore:MissingDependencyException": _CONFIGURATION,
    "botocore:NoRegionError": _CONFIGURATION,
    "botocore:ParamValidationError": _CONFIGURATION,
    "botocore:NoCredentialsError": _CREDENTIALS,
    "botocore:PartialCredentialsError": _CREDENTIALS,
    "botocore:CredentialRetrievalError": _CREDENTIALS,
    "botocore:MetadataRetrievalError": _CREDENTIALS,
    "botocore:RefreshWithMFAUnsupportedError": _CREDENTIALS,
    "botocore:SSOError": _CREDENTIALS,
    "botocore:TokenRetrievalError": _CREDENTIALS,
    "botocore:LoginError": _CREDENTIALS,
    # google-auth, below gcsfs
    "google:GoogleAuthError": _CREDENTIALS,
    "google:TransportError": ("unreachable", Sent.NEVER),
    "requests:RequestException": _UNREACHABLE,
    # asyncssh, below sshfs
    "asyncssh:PermissionDenied": _CREDENTIALS,
    "asyncssh:SFTPPermissionDenied": ("forbidden", Sent.ANSWERED),
    "asyncssh:SFTPNoSuchFile": ("missing", Sent.ANSWERED),
    "asyncssh:SFTPNoConnection": _UNREACHABLE,
    "asyncssh:SFTPConnectionLost": _UNREACHABLE,
    "asyncssh:DisconnectError": _UNREACHABLE,
    # ftplib, below fsspec's ftp
    "ftplib:error_temp": _UNREACHABLE,
    "ftplib:error_reply": _UNREACHABLE,
    "ftplib:error_proto": _UNREACHABLE,
    # azure-core, below adlfs
    "azure:ClientAuthenticationError": _CREDENTIALS,
    "azure:ServiceRequestTimeoutError": ("timeout", Sent.UNCONNECTED),
    "azure:ServiceResponseTimeoutError": _TIMEOUT,
    "azure:IncompleteReadError": _UNREACHABLE,
    "azure:ServiceRequestError": _UNREACHABLE,
    "azure:ServiceResponseError": _UNREACHABLE,
    "azure:HttpResponseError": _GARBLED,  # with a success that is not the one of that call
    "azure:AzureSigningError": _CREDENTIALS,
    "azure:DeserializationError": _GARBLED,
    # obstore
    "obstore:AlreadyExistsError": ("conflict", Sent.ANSWERED),
    "obstore:PreconditionError": ("conflict", Sent.ANSWERED),
    "obstore:NotFoundError": _GARBLED,  # with the store's own words it is read as an HTTP answer
    "obstore:PermissionDeniedError": ("forbidden", Sent.ANSWERED),
    "obstore:UnauthenticatedError": ("forbidden", Sent.ANSWERED),
    "obstore:InvalidPathError": _CONFIGURATION,
    "obstore:UnknownConfigurationKeyError": _CONFIGURATION,
    "obstore:NotSupportedError": _CONFIGURATION,
}
"""What an error's type means: by the root package and the name of its class, or of a base.

An error that is not here is unknown: "other", and a write may have landed."""

NO_FILE = ("no-file", Sent.NEVER)
"""What a missing or forbidden local file means to a cloud: its driver needs one."""

_BEFORE = Sent.ANSWERED  # the system refused the call itself

ERRNOS = {
    getattr(errno, name): verdict
    for names, verdict in (
        ("EACCES EPERM", ("forbidden", _BEFORE)),
        ("EROFS", ("read-only", _BEFORE)),
        ("ENOSPC EDQUOT EFBIG", ("full", _BEFORE)),
        ("EBUSY EAGAIN ETXTBSY EDEADLK ENOLCK", ("busy", _BEFORE)),
        ("EMFILE ENFILE", ("exhausted", _BEFORE)),
        ("ENOENT", ("missing", _BEFORE)),
        ("EEXIST", ("conflict", _BEFORE)),
        ("ENOTDIR EISDIR ENAMETOOLONG ELOOP EINVAL", ("other", _BEFORE)),
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
