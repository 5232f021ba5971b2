"""Google Cloud Storage, through gcsfs.

`get` is one GET of the object's content. `put` is an upload with ifGenerationMatch: 0 for ABSENT,
or the generation that was read. The requests use the filesystem's session and credentials, but not
its request method, which repeats failed requests for half a minute, logs a failed condition as an
error, and reads whole objects into memory. This also avoids the request for the bucket's type that
gcsfs's extended filesystem makes.
"""

# ruff: noqa: SLF001 - gcsfs has no public names for its session, parameters and headers

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from contextlib import suppress
from datetime import UTC
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from gcsfs.core import GCSFileSystem

from .cloud import CONNECT_SECONDS, Driver, stored
from .contract import ABSENT, ANY, MAX_READ
from .judging import SPARE_SECONDS, fetch_once, unsent
from .location import proxy_for
from .loop import LoopStore, read_start, set_known
from .meanings import OWN_HEADERS, Refusal, check_google_token, no_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contract import Expect, StoredObject

_LONGEST_ANSWER = 65536
_SAID, _NO_OBJECT = "No such object", "NoSuchKey"


class GCSStore(LoopStore):
    """A bucket on Google Cloud Storage."""

    kind = GCSFileSystem  # gcsfs's default, the extended one, would ask for the bucket's type first
    single = True
    hints: ClassVar[Mapping[str, str]] = {
        "forbidden": "give credentials (GOOGLE_APPLICATION_CREDENTIALS, or `token`, a key file) "
        "with the role Storage Object User (storage.objects.get, .create, .delete and .list)",
        "no-bucket": "create the bucket, or correct its name or the endpoint",
    }

    def _place(self, path: str) -> tuple[str, str]:
        bucket, prefix, _ = self.kind._split_path(path)
        return bucket, prefix.strip("/")

    def _make(self, options: dict[str, Any]) -> Driver:
        if options.get("token") != "cloud":  # which reads no variable
            check_google_token(options.get("token"))
        if not options.get("requester_pays"):
            # Nothing else needs it; one that is not its default makes gcsfs drop the credentials.
            options.pop("project", None)
        return super()._make(options)

    async def _prepare(self, driver: Driver) -> bool:
        session = await driver._set_session()
        set_known(session, _retry_connection=False)  # aiohttp's own second attempt
        asked = driver.storage_options.get("token") is not None or _is_emulator(driver._location)
        found = asked or driver.credentials.method != "anon"  # anonymous: it cannot write
        if not found and os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            await asyncio.to_thread(driver.credentials.connect, "google_default")  # it says why
        # `_send` fetches tokens; gcsfs would fetch one that soon expires again for each request.
        set_known(driver.credentials, maybe_refresh=lambda *_: None)
        return found

    @staticmethod
    async def _shut(driver: Driver) -> None:
        await driver.session.close()

    async def _send(
        self,
        driver: Driver,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        **query: str,
    ) -> tuple[Mapping[str, str], bytes]:
        """Send one request and read the start of its answer."""
        from aiohttp import ClientTimeout

        url = f"{driver._location.rstrip('/')}/{path}"
        session = await driver._set_session()
        signed = await unsent(self._signed(driver, headers))
        async with session.request(
            method,
            url,
            params=driver._get_params(query),
            headers=signed,
            data=data,
            timeout=ClientTimeout(sock_connect=CONNECT_SECONDS),
            allow_redirects=False,
            proxy=self._proxy(driver, url),
        ) as answer:
            if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                # That of a write repeats the name four times.
                most = MAX_READ + 1 if method == "GET" else _LONGEST_ANSWER
                return answer.headers, await read_start(answer.content, most)
            text = await read_start(answer.content, _LONGEST_ANSWER)
            raise _refusal(
                answer.status,
                text.decode(errors="replace"),
                upload=method == "POST",
                emulator=_is_emulator(driver._location),
                signed=any(name in answer.headers for name in OWN_HEADERS),
            )

    async def _signed(self, driver: Driver, headers: Mapping[str, str] | None) -> Any:  # noqa: ANN401
        """Return the headers with an access token, in a thread: fetching one would block."""
        try:
            if self._theirs is None:
                known, held = driver.credentials, driver.credentials.credentials
                refresh = partial(type(known).maybe_refresh, known)
                due = not (held and held.token) or _soon_expires(held)
                await fetch_once(driver, lambda: asyncio.to_thread(refresh), join=due)
            return await asyncio.to_thread(driver._get_headers, headers)
        except Exception as error:
            if getattr(error, "code", None) != HTTPStatus.UNAUTHORIZED:
                raise
            # gcsfs takes any refusal of Google's authority for one of the store.
            told = error.__cause__ or error
            busy = getattr(told, "retryable", False) or "server unavailable" in str(told)
            raise no_credentials(f"{type(told).__name__}: {told}", 503 if busy else 401) from error

    def _proxy(self, driver: Driver, url: str) -> str | None:
        """Return the environment's proxy, which gcsfs ignores unless its options say otherwise."""
        told = self._theirs is not None or {"proxy", "trust_env"} & driver.session_kwargs.keys()
        return None if told else proxy_for(url)

    async def _read(self, driver: Driver, name: str) -> StoredObject:
        path = f"download/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
        headers, content = await self._send(driver, "GET", path, alt="media")
        version = headers.get("X-Goog-Generation")
        return stored(content, version, headers.get("Last-Modified"), headers.get("Date"))

    async def _write(self, driver: Driver, name: str, expect: Expect, content: bytes) -> object:
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps({'name': name})}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        condition = {"ifGenerationMatch": "0" if expect is ABSENT else str(expect)}
        _, answer = await self._send(
            driver,
            "POST",
            f"upload/storage/v1/b/{self._bucket}/o",
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
            data=head.encode() + content + f"\r\n--{boundary}--".encode(),
            uploadType="multipart",
            **({} if expect is ANY else condition),
        )
        with suppress(ValueError, AttributeError):
            return json.loads(answer).get("generation")
        return None

    async def _delete(self, driver: Driver, name: str, expect: Expect) -> None:
        path = f"storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
        condition: dict[str, Any] = {} if expect is ANY else {"ifGenerationMatch": expect}
        await self._send(driver, "DELETE", path, **condition)


def _refusal(status: int, text: str, *, upload: bool, emulator: bool, signed: bool) -> Refusal:
    """Return the error in an answer, which is JSON or, for a download, plain text."""
    code, own = "", emulator or signed
    with suppress(ValueError, KeyError, TypeError, IndexError):
        error = json.loads(text)["error"]
        text, own = str(error["message"]), True
        code = str(error["errors"][0]["reason"])
    if status == HTTPStatus.PRECONDITION_FAILED and own:
        # A violated organisation policy has the same status and reason.
        policy = code == "orgPolicyConstraintFailed" or "constraints/" in text.lower()
        code = "OrgPolicyConstraintFailed" if policy else "conditionNotMet"
    elif status == HTTPStatus.NOT_FOUND:
        code = ""
        if _SAID in text:
            code = _NO_OBJECT
        elif upload or ("bucket" in text.lower() and "object" not in text.lower()):
            code = "NoSuchBucket"  # an upload needs only the bucket
        elif emulator:
            code = _NO_OBJECT
    return Refusal(status, code, text, own=own)


def _soon_expires(held: Any) -> bool:  # noqa: ANN401 - google-auth is untyped
    """Return whether an access token may expire on its way; its `valid` ends minutes before."""
    soon = time.time() + SPARE_SECONDS
    return bool(held.expiry) and held.expiry.replace(tzinfo=UTC).timestamp() <= soon


def _is_emulator(location: str) -> bool:
    return location.startswith("http://")
