"""What a foreign error means: by its HTTP answer, its type or its errno, not by its driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from betfair_session.process.threads import chain

from .meanings import (
    ADVICE,
    CODES,
    CREDENTIALS_ONLY,
    ERRNOS,
    KEEPABLE,
    NO_FILE,
    OBJECT_CALLS,
    OWN_HEADERS,
    PROVES,
    REJECTED_CREDENTIALS,
    STATUSES,
    TYPES,
    UNKNOWN_CONDITION,
    Sent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .meanings import Meaning

_LONGEST_DETAIL = 160
_LONGEST_TEXT = 2000  # of what a server chose; the patterns take time
_GARBLED = "aiohttp:HttpProcessingError"
_NO_SECOND_CODE = "botocore:RefreshWithMFAUnsupportedError"
_PROXY = "aiohttp:ClientHttpProxyError"
_FILE_ERRORS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_CLEANERS = (
    (re.compile(r"(?<=://)[^/\s]*@"), ""),
    (re.compile(r"\?[^\s'\"<>]*=[^\s'\"<>]*"), "?…"),
    (
        re.compile(
            r"(?i)\b(authorization|bearer|basic|sharedkey|sig|signature|token|secret|password"
            r"|account_?key|access_?key)(\s*[=:]\s*|\s+)(?=\S*[0-9+/=_])\S+"
        ),
        r"\1 …",
    ),
    (re.compile(r"[A-Za-z0-9+_=-]{40,}"), "…"),
)


class Refusal(Exception):
    """An HTTP answer that is no success, where a driver has no good error of its own for it."""

    def __init__(self, status: int, code: str, text: str, *, own: bool = False) -> None:
        """Keep the HTTP status, the server's error code (or "") and what else it said.

        `own` says that the answer is the store's even without a code.
        """
        super().__init__(text)
        self.status_code = status
        self.error_code = code
        self.own = own


class NoCredentials(Exception):
    """The driver found no credentials, or could not renew them; nothing was sent.

    Attributes:
        rejected: whether a service that was asked for a token answered that the key is not good.
    """

    def __init__(self, text: str, *, rejected: bool = False) -> None:
        """Keep the words."""
        super().__init__(text)
        self.rejected = rejected


class Garbled(Exception):
    """A success that the store cannot have meant, such as the login page of a network."""


def version_in(value: object) -> str:
    """Return the version out of an answer, which no other server's answer has."""
    if not value:
        message = "the answer has no version; something between here and the store gave it"
        raise Garbled(message)
    return str(value)


class Altered(Exception):
    """A server keeps other bytes than it was sent."""

    def __str__(self) -> str:
        return (
            "the server keeps other content than was written, most likely with a checksum's frame "
            "around it; give config_kwargs={'request_checksum_calculation': 'when_required'}"
        )


class Unconnected(ConnectionError):
    """There was no connection to send a request on."""


class Judgement(NamedTuple):
    """What an error means.

    Attributes:
        reason: one of StoreError's reasons, or "missing" (no such object), "configuration",
            "exhausted" (no descriptor or thread left; outside it is "busy"), "no-file" (a local
            one that a cloud's driver needs; outside it is "forbidden") or "doubtful" (409 or 412
            for a cause that is not known: only a look tells a lost condition from a refusal;
            outside it is "other").
        sent: how far the request came.
        detail: the error in a few words, without credentials.
    """

    reason: str
    sent: Sent
    detail: str


def scrub(text: str) -> str:
    """Return `text` without queries, credentials and long random texts."""
    for pattern, replacement in _CLEANERS:
        text = pattern.sub(replacement, text)
    return text


def clean(text: str) -> str:
    """Return what a foreign error says in one short line, scrubbed."""
    lines = [line.strip() for line in scrub(text[:_LONGEST_TEXT]).splitlines() if line.strip()]
    line = " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else ""
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"


def _names(error: BaseException) -> Iterator[str]:
    """Yield `root package:class name` for the error's class and its bases, nearest first."""
    for kind in type(error).__mro__:
        yield f"{kind.__module__.split('.', 1)[0]}:{kind.__name__}"


def _answer(error: BaseException) -> tuple[int, str] | None:
    """Return the HTTP status and the server's error code that an error stands for, if any."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = _inside(response, "ResponseMetadata", "HTTPStatusCode")
        code = _inside(response, "Error", "Code")
    else:  # azure; aiohttp; gcsfs; requests (the order matters: aiohttp's `code` is deprecated)
        names = ("status_code", "status", "code")
        found = (getattr(error, name, None) for name in names)
        status = next((each for each in found if each is not None), None)
        if status is None:
            status = getattr(response, "status_code", None)
        headers = getattr(response, "headers", None)
        code = getattr(error, "error_code", None) or _inside(headers, "x-ms-error-code")
    if isinstance(status, str) and status.isascii() and status.isdecimal():
        status = int(status)
    # aiohttp gives what it could not parse the status 400.
    garbled = any(_GARBLED in _names(each) for each in (error, error.__cause__) if each)
    if garbled or not isinstance(status, int) or not 300 <= status < 600:  # noqa: PLR2004
        return None
    code = str(getattr(code, "value", code) or "")
    return status, "" if code == str(status) else code  # botocore puts it where it finds none


def _of_credentials(error: BaseException, status: int) -> bool:
    """Tell whether an HTTP answer is that of a service which was asked for credentials."""
    operation = getattr(error, "operation_name", None)  # botocore's
    if operation is not None:
        return operation not in OBJECT_CALLS
    return CREDENTIALS_ONLY in _names(error) and status not in (401, 403)


def _in_own_words(error: BaseException, code: str) -> bool:
    """Tell whether an answer shows that the store gave it, and not something on the way there."""
    if code or getattr(error, "own", False):
        return True
    response = getattr(error, "response", None)
    headers = _inside(response, "ResponseMetadata", "HTTPHeaders")
    headers = headers or getattr(response, "headers", None) or {}
    return any(_inside(headers, name) for name in OWN_HEADERS)


def _inside(value: object, *names: str) -> Any:  # noqa: ANN401 - whatever a driver put there
    """Return what lies in mappings within mappings, or None."""
    for name in names:
        get = getattr(value, "get", None)
        value = get(name) if callable(get) else None
    return value


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign error may be unable to say anything
        return ""


def _known(error: BaseException, *, cloud: bool) -> Meaning | None:
    """Look an error up by its type or its errno."""
    name = next((name for name in _names(error) if name in TYPES), None)
    # A driver's own type says more than the errno below it (OpenSSL's errno 1 is no EPERM).
    if name is not None and not name.startswith("builtins:"):
        return TYPES[name]
    denied = isinstance(error, PermissionError) and error.filename  # without, it was a connection
    if cloud and (denied or isinstance(error, _FILE_ERRORS)):
        return NO_FILE
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(number, int) and number in ERRNOS:
        return ERRNOS[number]
    return None if name is None else TYPES[name]


def judge(error: BaseException, *, cloud: bool = False) -> Judgement:
    """Find out what a foreign error means.

    To a cloud a file that is missing or forbidden is one that the driver needs, such as a key file;
    only the store's own answer is about an object. What is not known is "other", and may have been
    sent.
    """
    for each in chain(error):
        answer = _answer(each)
        if _PROXY in _names(each):
            told = f"a proxy answered {getattr(each, 'status', '?')} and made no connection"
            return Judgement("unreachable", Sent.UNCONNECTED, told)
        if answer is not None:
            return _of_answer(each, *answer, clean(_text(error)))
    text, name = clean(_text(error)), type(error).__name__
    found: list[Meaning] = []
    for each in chain(error):
        known = _known(each, cloud=cloud)
        if known is NO_FILE:
            return Judgement(*NO_FILE, f"{type(each).__name__}: {clean(_text(each))}")
        if known is not None:
            found.append(known)
    detail = f"{name}: {text}" if text else name
    if not found:
        return Judgement("other", Sent.MAYBE, detail)
    # The outermost says what it was. That it never left may be known only further in: drivers use
    # one type for "could not connect" and for "lost in the middle".
    unsent = (sent for _, sent in found if sent in {Sent.NEVER, Sent.UNCONNECTED})
    reason = next((reason for reason, _ in found if reason != "other"), "other")
    return Judgement(reason, next(unsent, found[0][1]), detail)


def _of_answer(error: BaseException, status: int, code: str, text: str) -> Judgement:
    """Find out what an HTTP answer means."""
    reason = CODES.get(code) or STATUSES.get(status) or ("other", "server")[status >= 500]  # noqa: PLR2004
    detail = f"{status} {code}".strip()
    if _of_credentials(error, status):
        return Judgement("forbidden", Sent.NEVER, f"no credentials: {detail}: {text}")
    if status >= 400 and not _in_own_words(error, code):  # noqa: PLR2004 - HTTP
        # A proxy or gateway refuses in the same statuses; a live token would look absent, or
        # another's write be seen where there was none.
        told = f"{status} without a store's own words; is the endpoint right, and its way there?"
        return Judgement("server", Sent.MAYBE, told)
    more = ADVICE.get(code) or (text if reason in {"other", "doubtful"} else "")
    if status == 404 and reason == "server":  # noqa: PLR2004 - HTTP
        more = "it does not say what is missing"
    unknown = Sent.ANSWERED if status < 500 else Sent.MAYBE  # noqa: PLR2004
    sent = PROVES.get(code) or PROVES.get(str(status), unknown)
    return Judgement(reason, sent, f"{detail}: {more}" if more else detail)


def dropped(error: BaseException) -> bool:
    """Tell whether a kept-open connection turned out to be closed when it was used again."""
    return judge(error, cloud=True)[:2] == ("unreachable", Sent.MAYBE)


def _first_answer(error: BaseException) -> tuple[int, str]:
    answers = (_answer(each) for each in chain(error))
    return next((answer for answer in answers if answer), (0, ""))


def credentials_rejected(error: BaseException) -> bool:
    """Tell whether an answer says that credentials have expired or are not valid (any more)."""
    if getattr(error, "rejected", False) or _NO_SECOND_CODE in _names(error):
        return True
    status, code = _first_answer(error)
    return status == 401 or code in REJECTED_CREDENTIALS  # noqa: PLR2004 - HTTP


def condition_refused(error: BaseException) -> str:
    """Return what a server answered that does not know conditions, or "" for any other error."""
    status, code = _first_answer(error)
    unknown = status == 501 or (status == 400 and code in UNKNOWN_CONDITION)  # noqa: PLR2004 - HTTP
    return f"{status} {code}".strip() if unknown else "412" if status == 412 else ""  # noqa: PLR2004 - HTTP


def bare(error: BaseException) -> BaseException | None:
    """Return a foreign error as ours may keep it: what it says, and nothing of how it came about.

    It loses its traceback and its context: its frames, and those of what it was raised from, hold
    what was being written, and its context may be a request. None if it may hold a credential, or
    something that it was raised from may.
    """
    harmless = all(
        next(_names(each)).split(":")[0] in KEEPABLE
        and not hasattr(each, "exceptions")  # a group, whose parts have frames of their own
        and getattr(each, "request", None) is None
        and len(_text(each)) <= _LONGEST_TEXT
        and scrub(_text(each)) == _text(each)
        for each in chain(error)
    )
    for each in chain(error):
        for name in ("__traceback__", "__context__"):  # past a class that lets nothing be set
            BaseException.__setattr__(each, name, None)
    return error if harmless else None
