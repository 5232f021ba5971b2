"""What a foreign error means: by its HTTP answer, its type or its errno, not by its driver.

A local store imports this module only when a call fails, a cloud store always.
"""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from betfair_session.process import NamedTuple
from betfair_session.process.causes import chain, refused_tunnel
from betfair_session.process.threads import task_within

from . import meanings
from .meanings import NO_FILE, Known, Sent, clean, no_credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from betfair_session.process import T

    from .meanings import Meaning

_NOT_SET_UP = (  # what azure-identity says of a credential that nobody set up
    r"not (fully configured|found (on|in) |installed)|could not be found|No accounts|requires the"
)
_METADATA = ("botocore:CredentialRetrievalError", "botocore:MetadataRetrievalError")
_LOST = {  # what is said where a service of credentials gave no answer of its own
    **dict.fromkeys(_METADATA, "Received error when attempting"),
    meanings.CREDENTIALS_ONLY: "temporarily_unavailable|server_error"  # with an AADSTS number
    rf"|(?s:\A(?!.*({_NOT_SET_UP}|{meanings.REFUSED_BY_AZURE})))",
}
_FILE_ERRORS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


class Judgement(NamedTuple):
    """What an error means: a reason, how far the request came, and the error's text, cleaned.

    The reason is one of StoreError's, or one that `errors` turns into such: "missing" (no such
    object), "configuration", "exhausted" (no descriptor or thread left), "ending" (Python shuts
    down), "no-file" (a local file that a cloud's driver needs), "driver" (a name that we use in it
    is gone) or "doubtful" (409 or 412 without a known code: read the object to see whether the
    condition failed or the write was refused).
    """

    reason: str
    sent: Sent
    detail: str
    status: int = 0  # of the HTTP answer, if there was one
    code: str = ""

    @property
    def dropped(self) -> bool:
        """Whether the connection broke; the server may have closed it while it was idle."""
        return (self.reason, self.sent) == ("unreachable", Sent.MAYBE)

    @property
    def rejects_credentials(self) -> bool:
        """Whether the credentials have expired or are not valid, or there are none now."""
        refused = self.status == 401 or self.code in meanings.REJECTED_CREDENTIALS  # noqa: PLR2004 - HTTP
        return refused or (self.reason, self.sent) == ("forbidden", Sent.NEVER)

    @property
    def may_know_no_conditions(self) -> bool:
        """Whether the answer is one that servers without conditional writes give."""
        refuses = self.status == 400 and self.code in meanings.UNKNOWN_CONDITION  # noqa: PLR2004 - HTTP
        # A gateway's own 412 or 501, or one of a service of credentials, may mean anything.
        return (refuses or self.status in {412, 501}) and self.sent is Sent.ANSWERED


def judge(error: BaseException, *, cloud: bool = False) -> Judgement:
    """Find out what a foreign error means; an unknown one is "other" and Sent.MAYBE."""
    parts, text = [*chain(error)], "; ".join(map(clean, _attempts(error))) or clean(error)
    status, code = next(filter(None, map(_answer, parts)), (0, ""))
    in_full = (_in_full(each, text, cloud=cloud) for each in parts)
    judged = next((each for each in in_full if each), None) or _by_types(parts, text, cloud=cloud)
    return judged._replace(status=status, code=code)


def _attempts(error: BaseException) -> list[str]:
    """Return what those of Azure's credentials that are set up said; the last one ended it."""
    listed = str(getattr(error, "message", "")).partition("Attempted credentials:")[2]
    said = [each for each in listed.split("\n\t") if each and not re.search(_NOT_SET_UP, each)]
    # Most begin "ManagedIdentityCredential: ManagedIdentityCredential authentication unavailable."
    prefix = r"^(\w+): \1 authentication unavailable\b[.,]?"
    return [re.sub(prefix, r"\1:", each) for each in said]


def _in_full(error: BaseException, text: str, *, cloud: bool) -> Judgement | None:
    """Judge one error of a chain, if it says everything by itself; else return None."""
    if isinstance(error, Known):
        return Judgement(*error.meaning, clean(error))
    if isinstance(error, RuntimeError) and "shutdown" in str(error):  # only the text tells
        return Judgement("ending", Sent.MAYBE, text)
    if isinstance(error, RuntimeError) and "still expired" in str(error):  # a process gave these
        return Judgement("forbidden", Sent.NEVER, f"no credentials: {text}")
    lacking = _lacking(error)
    if lacking:
        return Judgement("driver", Sent.NEVER, lacking)
    status = refused_tunnel(error)
    if status or "aiohttp:ClientHttpProxyError" in _names(error):
        status = status or getattr(error, "status", "?")
        told = f"a proxy answered {status} and made no connection"
        return Judgement("unreachable", Sent.UNCONNECTED, told)
    answer = _answer(error)
    return _answered(error, *answer, text, cloud=cloud) if answer else _of_machine(error, text)


def _of_machine(error: BaseException, text: str) -> Judgement | None:
    """Judge what botocore and azure-identity make of an answer, or none, of such a service."""
    lost = next((_LOST[name] for name in _names(error) if name in _LOST), None)
    if lost is None:
        return None
    told = [str(error), *_attempts(error)][-1]
    if status := re.search(r"non 200 response (\d+)", told):
        return Judgement(*no_credentials("", int(status[1])).meaning, f"no credentials: {text}")
    found = re.search(lost, told)
    return Judgement("unreachable", Sent.NEVER, f"no credentials: {text}") if found else None


def _by_types(parts: list[BaseException], text: str, *, cloud: bool) -> Judgement:
    found: list[Meaning] = []
    for each in parts:
        meaning = _by_type(each, cloud=cloud)
        if meaning is NO_FILE:
            return Judgement(*NO_FILE, f"{type(each).__name__}: {clean(each)}")
        found += [meaning] if meaning else []
    name = type(parts[0]).__name__
    detail = f"{name}: {text}" if text else name
    if not found:
        return Judgement("other", Sent.MAYBE, detail)
    # The outermost error has the reason. Only an inner one may say that nothing was sent: drivers
    # use one type for "could not connect" and for "lost in the middle".
    unsent = (sent for _, sent in found if sent in {Sent.NEVER, Sent.UNCONNECTED})
    reason = next((reason for reason, _ in found if reason != "other"), "other")
    return Judgement(reason, next(unsent, found[0][1]), detail)


def _lacking(error: BaseException) -> str:
    """Say which private name a driver's package does not have any more, or return ""."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals["__name__"] if trace else ""
    if not where.startswith(__package__):
        return ""  # not raised by our code
    if isinstance(error, AttributeError) and error.name:
        owner = error.obj if isinstance(error.obj, (type, ModuleType)) else type(error.obj)
        module = getattr(owner, "__module__", owner.__name__)
        return "" if module == "builtins" else f"{_package(module)} has no {error.name!r}"
    if isinstance(error, ImportError) and error.name and error.msg.startswith("cannot import name"):
        return f"{_package(error.name)}: {error.msg.partition(' (')[0]}"
    return ""


def _package(module: str) -> str:
    """Return the name and version of the package that a module belongs to."""
    from importlib.metadata import PackageNotFoundError, version

    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        name = "-".join(parts[:count])  # azure-storage-blob has azure.storage.blob
        with suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
    return parts[0]


def _answered(error: BaseException, status: int, code: str, text: str, *, cloud: bool) -> Judgement:
    """Find out what an HTTP answer means; of the servers, only a cloud marks its own."""
    reason = (
        meanings.CODES.get(code)
        or meanings.STATUSES.get(status)
        or ("other" if status < 500 else "server")  # noqa: PLR2004 - HTTP
    )
    detail = f"{status} {code}".strip()
    if _of_credentials(error, status):
        busy = 429 if reason == "throttled" else status  # STS throttles with the status 400
        return Judgement(*no_credentials("", busy).meaning, f"no credentials: {detail}: {text}")
    if cloud and status >= 400 and not _in_own_words(error, code):  # noqa: PLR2004 - HTTP
        # A proxy or gateway may answer with the same status. Taken for the store's, it would make
        # a live token look absent, or report another process's write that never happened.
        told = f"{status}, not in the store's format; is the endpoint right, or did a proxy answer?"
        return Judgement("server", Sent.MAYBE, told)
    # Google's own reason, a key's permission instead of a bucket's, and whose policy forbids it.
    own = code == "forbidden" or any(each in text for each in ("kms:", "not authorized to"))
    telling = own or reason in {"other", "doubtful"}
    text = text if code or status >= 400 else "a redirect, which is not followed"  # noqa: PLR2004
    more = meanings.ADVICE.get(code) or (text if telling else "")
    if status == 404 and reason == "server":  # noqa: PLR2004 - HTTP
        more = "the answer does not say what is missing"
    unproven = Sent.ANSWERED if status < 500 else Sent.MAYBE  # noqa: PLR2004
    sent = meanings.PROVES.get(code) or meanings.PROVES.get(str(status), unproven)
    return Judgement(reason, sent, f"{detail}: {more}" if more else detail)


def _answer(error: BaseException) -> tuple[int, str] | None:
    """Return the HTTP status and the server's error code (or "") that an error holds, if any."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = _inside(response, "ResponseMetadata", "HTTPStatusCode")
        code = _inside(response, "Error", "Code")
    else:  # azure; aiohttp; gcsfs; requests (the order matters: aiohttp's `code` is deprecated)
        found = (getattr(error, name, None) for name in ("status_code", "status", "code"))
        status = next((each for each in found if each is not None), None)
        status = getattr(response, "status_code", None) if status is None else status
        if "aiohttp:TooManyRedirects" in _names(error):
            status = getattr(error, "history", [response])[0].status
        headers = getattr(response, "headers", None)
        code = getattr(error, "error_code", None) or _inside(headers, "x-ms-error-code")
    # aiohttp sets the status 400 on an answer that it could not parse.
    parents = [each for each in (error, error.__cause__) if each]
    garbled = any("aiohttp:HttpProcessingError" in _names(each) for each in parents)
    if garbled or not isinstance(status, int) or not 300 <= status < 600:  # noqa: PLR2004
        return None
    code = str(getattr(code, "value", code) or "")
    return status, "" if code == str(status) else code  # botocore does so when it finds none


def _inside(value: object, *names: str) -> Any:  # noqa: ANN401 - drivers put anything there
    """Look names up in nested mappings; return None where one is missing."""
    for name in names:
        get = getattr(value, "get", None)
        value = get(name) if callable(get) else None
    return value


def _of_credentials(error: BaseException, status: int) -> bool:
    """Return whether an HTTP answer comes from a credential service and not from the store."""
    operation = getattr(error, "operation_name", None)  # botocore's
    if operation is not None:
        return operation not in meanings.OBJECT_CALLS
    return meanings.CREDENTIALS_ONLY in _names(error) and status not in (401, 403)


def _in_own_words(error: BaseException, code: str) -> bool:
    """Return whether the store itself answered, not a proxy or gateway on the way to it."""
    if code or getattr(error, "own", False):
        return True
    response = getattr(error, "response", None)
    headers = _inside(response, "ResponseMetadata", "HTTPHeaders")
    headers = headers or getattr(response, "headers", None) or {}
    return any(_inside(headers, name) for name in meanings.OWN_HEADERS)


def _by_type(error: BaseException, *, cloud: bool) -> Meaning | None:
    name = next((name for name in _names(error) if name in meanings.TYPES), None)
    # A driver's own type says more than the errno below it (OpenSSL's errno 1 is not EPERM).
    if name is not None and not name.startswith("builtins:"):
        return meanings.TYPES[name]
    denied = isinstance(error, PermissionError) and error.filename  # a connection has no filename
    if cloud and (denied or isinstance(error, _FILE_ERRORS)):
        return NO_FILE
    number = error.errno if isinstance(error, OSError) else 0  # None in that of paramiko's socket
    code = "EPIPE" if error.args == ("Socket is closed",) else errno.errorcode.get(number or 0, "")
    # Windows has other numbers, and names, for errors of its sockets.
    return meanings.TYPES.get(f"errno:{code.removeprefix('WSA')}") or meanings.TYPES.get(name or "")


def _names(error: BaseException) -> Iterator[str]:
    """Yield `root package:class name` for the error's class and its bases, nearest first."""
    for kind in type(error).__mro__:
        yield f"{kind.__module__.split('.', 1)[0]}:{kind.__name__}"


_FETCH = "_betfair_session_fetch"  # a driver's attribute with the task at work
_OF_OBJECTS = frozenset({"missing", "no-bucket", "conflict", "doubtful", "other"})
_FETCH_SECONDS = 60.0  # then a new one is begun: this one may hang
SPARE_SECONDS = 30  # in which an access token arrives, by any clock; until then it serves


async def fetch_once(
    driver: object, fetch: Callable[[], Awaitable[object]], *, join: bool = True
) -> None:
    """Fetch a driver's credentials in a task of its own, which outlives the call that began it.

    Cancelled with each call, a fetch that takes longer than a call would never succeed, and might
    leave a thread or a process behind each time. `join`: whether to wait for it.
    """
    from asyncio import Task, create_task, get_running_loop, wait  # not for local stores

    async def in_time() -> None:  # without a result: asyncio logs those of tasks
        await task_within(fetch, _FETCH_SECONDS)

    def over(done: Task[None]) -> None:
        if vars(driver).get(_FETCH) is done:
            del vars(driver)[_FETCH]  # its error holds the frames of calls, and their tokens

    task: Task[None] | None = getattr(driver, _FETCH, None)
    if not task or task.done() or task.get_loop() is not get_running_loop():  # or a parent's
        task = create_task(in_time())
        setattr(driver, _FETCH, task)
        task.add_done_callback(over)
    if not join:
        return
    await wait([task])
    task.result()


async def unsent(work: Awaitable[T]) -> T:
    """Do work that comes before a request, and let its error say that nothing was sent."""
    from asyncio import CancelledError  # not for local stores

    try:
        return await work
    except Exception as error:
        judged = judge(error, cloud=True)
        if judged.sent in {Sent.NEVER, Sent.UNCONNECTED}:
            raise
        # Whatever was asked for credentials, perhaps another bucket, spoke of no object of ours.
        reason = "server" if judged.reason in _OF_OBJECTS else judged.reason
        raise Known(judged.detail, reason, Sent.NEVER) from error
    except CancelledError:  # at the call's deadline
        raise Known("no credentials in time", "timeout", Sent.NEVER) from None
