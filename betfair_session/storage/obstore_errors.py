"""What obstore's errors mean, which only their text tells in full."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .judging import Garbled, NoCredentials, Refusal, Unconnected

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = re.compile(r"Error performing [A-Z]+ (\S+) ")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)")
_BULK = re.compile(r"request failed for key .*: ([^:\n]*) \(code: (\w+)\)")
_LOCAL_FILE = re.compile(r"token file|\(os error \d+\)")
_LONGEST = 10_000  # the body of an answer may follow
_KIND = re.compile(r"kind: (\w+)")
_TUNNELS = {
    "ProxyAuthRequired": "a proxy answered 407 and made no connection",
    "TunnelUnsuccessful": "a proxy refused to make a connection",
}
_TUNNEL = re.compile(rf"\b({'|'.join(_TUNNELS)})\b")

_TRANSPORT: dict[str, type[Exception]] = {"Connect": Unconnected, "Timeout": TimeoutError}


class Panicked(Exception):
    """Obstore's Rust code gave up in the middle, as it does with an address that is none."""


@contextmanager
def understanding(bucket: str) -> Iterator[None]:
    """Turn obstore's errors into ones that `judging.judge` knows.

    A panic, which is no Exception, becomes one: it may not end the caller's program.
    """
    try:
        yield
    except Exception as error:
        raise understood(error, bucket) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # it can be imported from nowhere
            raise
        raise Panicked(str(error)) from error


def understood(error: Exception, bucket: str) -> Exception:
    """Read the HTTP answer, or what went wrong instead, out of obstore's text.

    Its types alone mislead: a 404 on a conditional write is a PreconditionError even when the
    bucket is missing, and everything that is not one of a few statuses is a GenericError.
    """
    text = str(error)[:_LONGEST]
    request = _REQUEST.search(text)
    # Credentials are asked for elsewhere; a URL with a signature in it is not shown.
    url = request[1] if request and "://" in request[1] else f"//{bucket}."
    elsewhere = not re.search(rf"/{re.escape(bucket)}([/.?]|$)", unquote(url))
    if "token request" in text or elsewhere:
        status = _STATUS.search(text)
        return NoCredentials(text, rejected=bool(status and status[1].startswith("4")))
    if request is None and _LOCAL_FILE.search(text):
        return FileNotFoundError(text)  # it reads none but those with credentials
    refusal = _refusal_in(text)
    if refusal:
        return refusal
    if "Header missing from response" in text:
        return Garbled(text)
    kind = _KIND.search(text)
    if kind:
        tunnel = _TUNNEL.search(text)
        return _TRANSPORT.get(kind[1], ConnectionError)(_TUNNELS[tunnel[1]] if tunnel else text)
    return error


def _refusal_in(text: str) -> Refusal | None:
    status = _STATUS.search(text)
    if status:
        code, message = _CODE.search(text), _MESSAGE.search(text)
        said = message[1] if message else text[status.end() :]
        return Refusal(int(status[1]), code[1] if code else "", said)
    if "Received redirect without LOCATION" in text:
        return Refusal(301, "WrongRegion", "the bucket is in another region")
    bulk = _BULK.search(text)
    if bulk:
        numeric = bulk[2].isdigit()
        code_text = "" if numeric else bulk[2]
        if bulk[2] == "404":  # one of many answers in a whole that only the store can give
            code_text = "NoSuchBucket" if "container" in bulk[1] else "NoSuchKey"
        # The store names the objects of such a call one by one; nothing on the way does.
        return Refusal(int(bulk[2]) if numeric else 400, code_text, bulk[1], own=True)
    return None
