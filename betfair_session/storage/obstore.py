"""The three clouds through obstore, which starts in a fraction of the other drivers' time.

`get` is one GET. `put` is obstore's, with mode="create" for ABSENT, or the etag (on Google, the
generation) that was read. obstore's fsspec filesystem is not used: it accepts mode="create" but
overwrites.
"""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import unquote

from obstore import store as stores

from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process.threads import NoThreadError, OutOfTime, run_until

from .cloud import CONNECT_SECONDS, CloudStore, Driver, stored
from .contract import ABSENT, ANY, MAX_READ, seconds_of
from .errors import Operation, attempt
from .location import AZURE, GCS, S3, is_amazon
from .meanings import CODES, NO_FILE, Known, Refusal, Sent, check_google_token, no_credentials
from .obstore_config import configure, google_files, usual_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from betfair_session.process import T

    from .cloud import MaybeAsync, Target
    from .contract import Expect, StoredObject

_SCHEMES = {**dict.fromkeys(S3, "s3"), **dict.fromkeys(GCS, "gs"), **dict.fromkeys(AZURE, "az")}
_STORES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
_AZURE_HOST = r"(.+)\.(?:dfs|blob)\.core\.windows\.net(?::\d+)?"

_USUAL_SECONDS = 5.0  # the default timeout of a call of the store, see LeaseSettings

# Patterns for the text of obstore's errors, whose types say too little.
_REQUEST = r"Error performing [A-Z]+ (\S+) "
_STATUS = r"status code: (\d{3})"
_CODE = r"<Code>([\w.]+)</Code>"
_MESSAGE = r"<Message>([^<]*)"
_BULK = r"request failed for key .*?: ([^\n]*) \(code: ([\w.]+)\)"
_SERVICE = (  # its own words come first; a page of a gateway's may follow
    r"Generic \w+ error: Error (?:performing token request|getting token response)"
    r"|Generic S3 error: (?:Error performing POST REDACTED|Invalid Assume"
    r"|HTTP error: .* at line \d+ column \d+)"  # of JSON
)
_LOCAL_FILE = r"token file|\(os error \d+\)"
_HOST = r"://(?:[^/?#]*@)?([^/?#]+)"
_DEBUG = "\n\nDebug source"
_LONGEST = 10_000  # characters: the body of an answer may follow
_TEXTS = {
    "Could not parse path": ("configuration", Sent.NEVER),  # a prefix such as ".." or "a//b"
    "Header missing from response": ("server", Sent.MAYBE),
}
_KIND = r"kind: (\w+)"
_KINDS = {"Connect": ("unreachable", Sent.UNCONNECTED), "Timeout": ("timeout", Sent.MAYBE)}
_TUNNELS = {
    "ProxyAuthRequired": "a proxy answered 407 and made no connection",
    "TunnelUnsuccessful": "a proxy refused to make a connection",
}


_used_in: set[int] = set()
"""Process ids that used obstore, those of parents included: its threads do not survive a fork."""


class ObstoreStore(CloudStore):
    """A bucket on Amazon S3, Google Cloud Storage or Azure, through obstore."""

    deletes_versions = False
    hints: ClassVar[Mapping[str, str]] = {
        "forbidden": "give credentials (options, variables, the machine's identity; obstore reads "
        "no AWS profile) that allow reading, writing and deleting, and on S3 s3:ListBucket",
        "no-bucket": "create the bucket or container, or correct its name, region or endpoint",
    }

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        """Prepare the store."""
        self._account: dict[str, Any] = {}
        super().__init__(url, options)
        self._configure()
        self.probe = self._cloud == "s3" and not is_amazon(self._endpoint)

    def _configure(self) -> None:
        self._config, self._endpoint = configure(self._cloud, self._account | self._options)

    def _place(self, path: str) -> tuple[str, str]:
        scheme, _, rest = path.removeprefix("obstore+").partition("://")
        try:
            self._cloud = _SCHEMES[scheme.lower()]
        except KeyError:
            message = f"{self.label}: obstore serves s3, gs and abfs, not {scheme!r}"
            raise ConfigurationError(message) from None
        bucket, _, prefix = rest.partition("/")
        if self._cloud == "az":
            container, _, host = bucket.rpartition("@")
            known = re.fullmatch(_AZURE_HOST, host)
            if known:
                self._account = {"account_name": known[1]}
            if container:  # container@account.dfs.core.windows.net, or another cloud's host
                bucket = container
            elif known:  # account.dfs.core.windows.net/container
                bucket, _, prefix = prefix.partition("/")
        return bucket, prefix.strip("/")

    def _open(self) -> Driver:
        _used_in.add(os.getpid())
        if len(_used_in) > 1:
            raise ConfigurationError(
                "obstore does not work in a process that was forked after obstore had been used; "
                "start processes with 'spawn' or 'forkserver', or use the URL without 'obstore+'"
            )
        if self._cloud == "gs":
            check_google_token(self._options.get("token"), google_files(self._config))
        self._configure()  # the environment may have changed
        # obstore has a timeout for a store, not for a call, so there is one store for each timeout.
        # Its asynchronous calls could be cancelled, but sometimes abort an exiting interpreter.
        build = cache(self._build)

        def store(left: float) -> Driver:
            steps = 2 if left >= 1 else 10  # rounded, so that a few stores serve all calls
            return build(max(1, math.floor((left + 0.05) * steps)) / steps)

        with translated_errors(self._bucket):
            store(_USUAL_SECONDS)  # report wrong options now; it takes milliseconds
        return store

    def _build(self, seconds: float) -> Driver:
        # Usually an emulator on this machine.
        plain = {"allow_http": True} if str(self._endpoint).startswith("http://") else {}
        return getattr(stores, _STORES[self._cloud])(
            self._bucket,
            config=self._config,
            client_options={
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                **self._options.get("client_options", {}),
                **plain,
                "timeout": timedelta(seconds=seconds),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
        )

    def _request(self, target: Target, send: Callable[..., MaybeAsync[T]], *given: object) -> T:
        """Send one request in the calling thread."""
        driver, name, deadline = target
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime

        def request() -> T:
            with translated_errors(self._bucket):
                return cast("T", send(driver(left), name, *given))

        if send == self._read:
            # Credentials come by requests of their own, each of which gets the whole time, too.
            with suppress(NoThreadError):
                return run_until(deadline, request)
        return request()  # a write that was given up would still be sent

    def _read(self, driver: Driver, name: str) -> StoredObject:
        content, part = bytearray(), b""
        answer = driver.get(name)
        meta = answer.meta
        try:
            for part in answer.stream(min_chunk_size=1):
                content += part
                if len(content) > MAX_READ:
                    break
        except BaseException:
            content.clear()  # keep the token out of tracebacks
            del part
            raise
        return stored(content, meta[self._condition], meta["last_modified"], None)

    def _write(self, driver: Driver, name: str, expect: Expect, content: bytes) -> object:
        modes = {ABSENT: "create", ANY: "overwrite"}
        mode = {self._condition: expect} if isinstance(expect, str) else modes[expect]
        answer = driver.put(name, content, mode=mode, use_multipart=False)
        return answer[self._condition]

    def _delete(self, driver: Driver, name: str, _: Expect) -> None:
        driver.delete(name)

    @property
    def _condition(self) -> str:
        """The name of what a conditional write compares: the etag, on Google the generation."""
        return "version" if self._cloud == "gs" else "e_tag"

    def server_now(self, *, deadline: float) -> float | None:
        """Ask the endpoint, without credentials, for the Date header; see TokenStore.server_now."""
        from betfair_session.betfair.transport import date_at  # not needed with a trusted token

        def ask() -> float | None:
            config = self._driver(deadline)(_USUAL_SECONDS).config
            url = self._endpoint or usual_endpoint(self._cloud, config)
            return seconds_of(date_at(url, deadline))

        with suppress(BetfairSessionError):  # None is a valid answer
            return attempt(Operation("read", self.label), lambda: run_until(deadline, ask))
        return None


@contextmanager
def translated_errors(bucket: str) -> Iterator[None]:
    """Raise obstore's errors, and a panic of its Rust code, as errors with a known meaning."""
    try:
        yield
    except Exception as error:
        raise _known_error(error, bucket) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # its class cannot be imported
            raise
        raise Known(str(error), "other", Sent.MAYBE) from error


def _known_error(error: Exception, bucket: str) -> Exception:
    """Return an error with the HTTP answer, or what went wrong instead, from obstore's text.

    Its types mislead: a 404 on a conditional write is a PreconditionError even when the bucket is
    missing, and most statuses make a GenericError.
    """
    text = str(error)[:_LONGEST]
    request = re.search(_REQUEST, text)
    # Another URL than the bucket's is a credential service's. obstore hides a URL with a signature,
    # and that of Amazon's STS, but no other to which it would POST for S3.
    url = request[1] if request and "://" in request[1] else f"//{bucket}."
    elsewhere = not re.search(rf"/{re.escape(bucket)}([/.?]|$)", unquote(url))
    if elsewhere or re.match(_SERVICE, text):
        return _without_credentials(text, url)
    if request is None and re.search(_LOCAL_FILE, text):
        return Known(text, *NO_FILE)  # it reads no local files but those with credentials
    refusal = _refusal_in(text)
    if refusal:
        return refusal
    for words, meaning in _TEXTS.items():
        if words in text:
            return Known(text, *meaning)
    kind = re.search(_KIND, text)
    if kind:
        tunnel = next((told for name, told in _TUNNELS.items() if name in text), "")
        return Known(tunnel or text, *_KINDS.get(kind[1], ("unreachable", Sent.MAYBE)))
    return error


def _without_credentials(text: str, url: str) -> Known:
    status, code, kind = (re.search(each, text) for each in (_STATUS, _CODE, _KIND))
    connected = kind and kind[1] != "Connect" and "tcp connect error" not in text
    said, host = text.partition(_DEBUG)[0], re.search(_HOST, url)
    message = re.search(_MESSAGE, said)
    said = message[1] if message else said[status.end() :] if status else said.split(" - ", 1)[-1]
    found = (f"no credentials from {host[1]}" if host else "no credentials", status and status[1])
    told = ": ".join(filter(None, (*found, code and code[1], " ".join(said.split()))))
    # The service is there, and may answer in a moment; a machine's own, by http, may not be there.
    if not status and (connected or (kind and url.startswith(("https://", "//")))):
        return Known(told, "unreachable", Sent.NEVER)
    throttled = code and CODES.get(code[1]) == "throttled"  # with the status 400
    return no_credentials(told, 429 if throttled else int(status[1]) if status else 0)


def _refusal_in(text: str) -> Refusal | None:
    status = re.search(_STATUS, text)
    if status:
        code, message = re.search(_CODE, text), re.search(_MESSAGE, text)
        said = message[1] if message else text[status.end() :]
        return Refusal(int(status[1]), code[1] if code else "", said)
    if "Received redirect without LOCATION" in text:
        return Refusal(301, "WrongRegion", "the bucket is in another region")
    bulk = re.search(_BULK, text)
    if bulk:
        numeric = bulk[2].isdigit()
        code_text = "" if numeric else bulk[2]
        if bulk[2] == "404":  # one of several answers in a body that only the store can send
            code_text = "NoSuchBucket" if "container" in bulk[1] else "NoSuchKey"
        # An answer for each object comes from the store, never from a proxy.
        return Refusal(int(bulk[2]) if numeric else 400, code_text, bulk[1], own=True)
    return None
