"""Tables of what each foreign error means, and internal errors that carry their meaning.

Sources: the error lists of Amazon S3, Azure Blob Storage and Google Cloud Storage, and the
exceptions that the drivers define. After an error that is in no table a write may have landed.
"""

from __future__ import annotations

import enum
import os
import re
from binascii import a2b_base64
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEARER = r"[A-Za-z0-9._~+/-]+=*"  # an access token by RFC 6750, 2.1
_GOOGLE_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_LONGEST_DETAIL = 160
_LONGEST_TEXT = 2000  # characters: a server chooses the text, and the patterns take time


def _hidden_in(found: re.Match[str]) -> str:
    """Hide a long word with the changing letters of base64, whose slashes make it look a path."""
    word = found[0]
    changes, words = re.findall("[a-z0-9][A-Z]", word), "".join(re.findall("[a-z]{4,}", word))
    return "…" if 10 * len(changes) > len(word) > 3 * len(words) else word


_CLEANERS = (  # compiled only when a call fails
    (r"(?s)-----BEGIN.*", "…"),
    (r"(?<=://)[^/\s]*@", ""),
    (r"[^\s/@\"']+:[^\s/@\"']+@", ""),  # user:password@host without a scheme
    (r"\?[^\s'\"<>]*=[^\s'\"<>]*", "?…"),
    (
        (
            r"(?i)(?<![a-z])(authorization|bearer|basic|sharedkey|sig|signature|token|secret|password"
            r"|account_?key|access_?key|secret_?access_?key|session_?token)([\"']?\s*[=:]\s*|\s+)(?=\S*[0-9+/=_])\S+"
        ),
        r"\1 …",
    ),
    (r"[A-Za-z0-9+/_-]{40,}={1,2}(?![A-Za-z0-9])", "…"),
    (r"[A-Za-z0-9+/_=-]{40,}", _hidden_in),
    (r"[A-Za-z0-9+_=-]{40,}", "…"),
)


class Sent(enum.Enum):
    """How far a failed request came, which decides whether a write may have landed."""

    NEVER = "it could not be made at all, now or in an earlier try"
    UNCONNECTED = "this time there was no connection to send it on"
    ANSWERED = "the server refused it"
    MAYBE = "nobody knows"


Meaning: TypeAlias = tuple[str, Sent]
"""A reason, and how far the request came."""


class Refusal(Exception):
    """An HTTP answer that is not a success, where the driver has no usable error for it."""

    def __init__(self, status: int, code: str, text: str, *, own: bool = False) -> None:
        """Keep status, code (or "") and text; `own`: the store itself answered, code or not."""
        super().__init__(text)
        self.status_code, self.error_code, self.own = status, code, own


class Known(Exception):
    """An error whose meaning is known where it is raised."""

    def __init__(self, text: str, reason: str, sent: Sent, *, status: int | None = None) -> None:
        """Keep the meaning, and the HTTP status if there was an answer."""
        super().__init__(text)
        self.meaning, self.status_code = (reason, sent), status


def no_credentials(text: str, status: int = 0) -> Known:
    """Return the error for no credentials; `status`: of the credential service's answer, or 0."""
    if status >= 500:  # noqa: PLR2004 - HTTP: it may be better in a moment
        return Known(text, "server", Sent.NEVER)
    if status in {408, 410, 429}:  # so says Azure's metadata service
        return Known(text, "throttled", Sent.NEVER)
    return Known(text, "forbidden", Sent.NEVER, status=401 if status >= 400 else None)  # noqa: PLR2004


WORDS = {
    "busy": ("something else is using it", ""),
    "configuration": ("an option or the URL cannot work", ""),
    "conflict": ("another write came first", ""),
    "driver": ("its driver does not fit", "install another version of it, or of this library"),
    "ending": (
        "Python is shutting down, so no driver can be started",
        "make the first call before the program ends, not in an atexit function",
    ),
    "exhausted": ("too many files or threads are in use", "raise the limit (ulimit -n, -u)"),
    "forbidden": ("access was refused", "check the permissions, and the credentials if any"),
    "full": ("there is no room left", "free some space or raise the quota"),
    "no-bucket": ("no such bucket, container or directory", "create it, or correct its name"),
    "no-file": (
        "a local file that its driver needs cannot be read",
        "create it, or correct the setting that names it (a key, token or CA file, a program)",
    ),
    "other": ("it was refused", ""),
    "read-only": ("it cannot be written", "choose a place that can be written"),
    "server": ("the store failed", "try again in a moment"),
    "throttled": ("too many requests", "try again in a moment"),
    "timeout": ("no answer in time", "check network, endpoint and credentials, or allow more time"),
    "unreachable": ("it cannot be reached", "check the network, the endpoint and the proxy"),
}
"""Each reason in words, and what to do about it unless the store has a hint of its own."""

REFUSED_WRITE = frozenset({"forbidden", "read-only", "full", "other"})
"""The reasons that make a failed write a StoreWriteError."""

CERTAIN_REFUSALS = frozenset({"forbidden", "missing", "no-bucket"})
"""If the last try of a repeated request gets one of these, no earlier try has written."""

STATUSES = {
    401: "forbidden",
    403: "forbidden",
    404: "server",  # only the store's own code can say that an object is missing
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
    code: reason
    for reason, codes in {
        "busy": "LeaseIdMissing",
        "configuration": "InvalidBucketName InvalidResourceName",
        # ConditionalRequestConflict and OperationAborted mean: try again.
        "conflict": "BlobAlreadyExists ConditionNotMet ConditionalRequestConflict OperationAborted "
        "PreconditionFailed TargetConditionNotMet conditionNotMet",
        "forbidden": "AccessDenied AccountIsDisabled AllAccessDisabled ContainerDisabled "
        "ExpiredToken ExpiredTokenException InvalidAccessKeyId InvalidToken TokenRefreshRequired",
        "full": "QuotaExceeded XMinioStorageFull",
        "missing": "BlobNotFound NoSuchKey",
        "no-bucket": "ContainerBeingDeleted ContainerNotFound NoSuchAccessPoint NoSuchBucket",
        "other": "BlobArchived BlobBeingRehydrated InvalidObjectState OrgPolicyConstraintFailed "
        "RequestTimeTooSkewed",
        "read-only": "BlobImmutableDueToLegalHold BlobImmutableDueToPolicy ObjectUnderActiveHold "
        "RetentionPolicyNotMet objectUnderActiveHold retentionPolicyNotMet",
        "throttled": "RequestLimitExceeded ServerBusy SlowDown SlowDownRead SlowDownWrite "
        "Throttling ThrottlingException TooManyRequests",
        "timeout": "OperationTimedOut RequestTimeout",
    }.items()
    for code in codes.split()
}
"""The reason for a server's error code; it goes before the one for the HTTP status."""

PROVES = {
    **dict.fromkeys(("500", "501", "503", "507"), Sent.ANSWERED),
    "OperationTimedOut": Sent.MAYBE,  # Azure: not finished in its own time limit
}
"""What a server error says about a write, by code or status; after other 5xx it may have landed.

backends.md quotes the providers. 502 and 504 come from a gateway that got no valid answer, or none
in time (RFC 9110, 15.6). No provider rules out that a write answered with 500 or 503 is still
carried out. We count it as refused, so that the new session is logged out. If the write lands after
all, the store holds a dead token, which costs one needless login.
"""

OWN_HEADERS = ("x-amz-request-id", "x-ms-request-id", "x-guploader-uploadid")
"""Headers that the clouds put into every answer; a proxy or gateway does not."""

CREDENTIALS_ONLY = "azure:ClientAuthenticationError"
"""It may hold a credential service's answer; with status 401 or 403 it holds the store's own."""

OBJECT_CALLS = frozenset({"GetObject", "PutObject", "DeleteObject", "HeadBucket", "CreateSession"})
"""The calls of S3 that we make; botocore makes any other to get credentials."""

REJECTED_CREDENTIALS = frozenset(
    (
        # Amazon S3 and STS
        *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId"),
        *("InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"),
        "InvalidTokenId",  # MinIO
        "AuthenticationFailed",  # Azure
    )
)
"""Error codes that say, as a 401 does, that the credentials have expired or are not valid."""

UNKNOWN_CONDITION = frozenset({"InvalidArgument", "NotImplemented"})
"""With 400 and one of these, S3-compatible servers refuse a header, such as a condition."""

REFUSED_BY_AZURE = (
    r"AADSTS|\b(invalid_\w+|unauthorized_client|access_denied|[a-z]+_required)\b"
    r"|\[Errno (2|13)\]|Could not read file|Multiple accounts|not configured to|doesn't exist"
    r"|\((Unauthorized|Forbidden)\)|run ['\"`]?(az|Connect-Az)|no response from the IMDS"
    r"|(?i:(identity|MSI)( endpoint)? (not )?found|\bbeen assigned|proper Managed Identity)"
)
"""What azure-identity says of a credential that does not serve; anything else may pass."""

_REGION = "set the bucket's region, client_kwargs={'region_name': …}"
ADVICE = {
    "AuthorizationFailure": "or do the account's firewall and private endpoints shut this machine "
    "out?",
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "KeyBasedAuthenticationNotPermitted": "use a role (anon=False): the account takes no key",
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "WrongRegion": _REGION,
    "RequestTimeTooSkewed": "correct this machine's clock",
}
"""What to do about a server's error code, where the server's own text does not help."""

NO_FILE = ("no-file", Sent.NEVER)
"""What a missing or forbidden local file means for a cloud store: its driver needs that file."""


def check_google_token(token: object, files: Mapping[str, object] = MappingProxyType({})) -> None:
    """Raise if Google's `token` is a key file's content, or its path and leads nowhere.

    The drivers would send it as an access token, or show it. The same holds for `files`: further
    settings and variables that hold a path, by their names.
    """
    usual = token is None or token in ("google_default", "cloud")
    given = {"token": token, _GOOGLE_FILE: os.environ.get(_GOOGLE_FILE) if usual else None}
    for name, text in {**given, **files}.items():
        if isinstance(text, str) and not os.path.exists(text) and _may_be_a_key(text):
            told = f"{name} names no file, and may hold a key file's content"
            instead = "give the file's path, or `token` as a mapping"
            raise Known(f"{told}; {instead}", "configuration", Sent.NEVER)
    if not isinstance(token, str) or os.path.exists(token):
        return
    path = token.endswith(".json") or token.startswith(("/", "~", "."))
    if path or not re.fullmatch(_BEARER, token):
        raise Known(f"no such file: {token}", *NO_FILE)


def _may_be_a_key(text: str) -> bool:
    """Return whether a text holds JSON or PEM, or begins as the base64 of these or of DER does."""
    start = b""
    if "." not in text:  # as it is in access tokens
        with suppress(ValueError):
            start = a2b_base64(text.lstrip(" \t\r\n'\"\ufeff")[:8])
    start = start.lstrip(b" \t\r\n\xef\xbb\xbf\xff\xfe")
    # A brace alone is not JSON: one of 26 hexadecimal tokens begins as its base64 does.
    coded = re.match(rb"\{[\s\0]*([\"']|\Z)|-----|0\x82", start)
    return "{" in text or "-----" in text or coded is not None


TYPES: dict[str, Meaning] = {
    f"{package}:{name}": meaning
    for meaning, packages in {
        ("busy", Sent.ANSWERED): "errno EBUSY EAGAIN ETXTBSY EDEADLK EDEADLOCK ENOLCK",
        ("configuration", Sent.NEVER): "builtins UnicodeEncodeError; "  # of a name, by its driver
        "aiohttp InvalidURL; botocore EndpointProviderError "
        "MissingDependencyException NoRegionError ParamValidationError; "
        "obstore InvalidPathError NotSupportedError UnknownConfigurationKeyError",
        ("conflict", Sent.ANSWERED): "errno EEXIST; builtins FileExistsError; "
        "obstore AlreadyExistsError PreconditionError",
        ("exhausted", Sent.ANSWERED): "errno EMFILE ENFILE",
        ("exhausted", Sent.NEVER): "betfair_session NoThreadError",
        ("forbidden", Sent.ANSWERED): "errno EACCES EPERM; builtins PermissionError; "
        "asyncssh SFTPPermissionDenied; obstore PermissionDeniedError UnauthenticatedError",
        # no credentials
        ("forbidden", Sent.NEVER): "asyncssh PermissionDenied; azure ClientAuthenticationError; "
        "paramiko AuthenticationException BadHostKeyException; "
        "botocore CredentialRetrievalError LoginError MetadataRetrievalError NoCredentialsError "
        "PartialCredentialsError RefreshWithMFAUnsupportedError SSOError TokenRetrievalError; "
        "google GoogleAuthError",
        ("full", Sent.ANSWERED): "errno ENOSPC EDQUOT EFBIG",
        ("missing", Sent.ANSWERED): "errno ENOENT; builtins FileNotFoundError; "
        "asyncssh SFTPNoSuchFile",
        ("other", Sent.ANSWERED): "errno ENOTDIR EISDIR ENAMETOOLONG ELOOP EINVAL; "
        "ftplib error_perm",
        ("read-only", Sent.ANSWERED): "errno EROFS",
        # An answer with the status of a success that is not the store's, such as a network's login
        # page; obstore's NotFoundError does not say whether the object or the bucket is missing.
        ("server", Sent.MAYBE): "errno EIO ENXIO ENODEV; azure DeserializationError "
        "HttpResponseError; botocore FlexibleChecksumError ParserError ResponseParserError; "
        "obstore NotFoundError",
        ("timeout", Sent.MAYBE): "errno ETIMEDOUT; builtins TimeoutError; "
        "aiohttp ServerTimeoutError; azure ServiceResponseTimeoutError; "
        "botocore ReadTimeoutError; concurrent CancelledError",
        ("timeout", Sent.NEVER): "betfair_session OutOfTime",
        ("timeout", Sent.UNCONNECTED): "aiohttp ConnectionTimeoutError; "
        "azure ServiceRequestTimeoutError; botocore ConnectTimeoutError",
        ("unreachable", Sent.MAYBE): "errno ESTALE ECONNRESET ECONNABORTED EPIPE ENOTCONN "
        "ESHUTDOWN; builtins ConnectionError EOFError; aiohttp ClientError HttpProcessingError; "
        "asyncssh DisconnectError SFTPConnectionLost SFTPNoConnection; azure IncompleteReadError "
        "ServiceRequestError ServiceResponseError; botocore ConnectionError HTTPClientError "
        "IncompleteReadError; ftplib error_proto error_reply error_temp; "
        "paramiko SSHException; requests RequestException; ssl SSLError",
        ("unreachable", Sent.NEVER): "google TransportError",
        ("unreachable", Sent.UNCONNECTED): "errno ECONNREFUSED EHOSTUNREACH ENETUNREACH EHOSTDOWN "
        "ENETDOWN; builtins ConnectionRefusedError; aiohttp ClientConnectorError "
        "ClientHttpProxyError; paramiko NoValidConnectionsError; socket gaierror; "
        "ssl SSLCertVerificationError",
    }.items()
    for package, *names in map(str.split, packages.split(";"))
    for name in names
}
"""What an errno, an error's class or a base class means, by root package and name."""


def clean(foreign: BaseException | str) -> str:
    """Return one short line of a foreign text, without queries, credentials or long words."""
    try:
        text = str(foreign)[:_LONGEST_TEXT]
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        return ""
    for pattern, replacement in _CLEANERS:
        text = re.sub(pattern, replacement, text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else ""
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"
