"""Amazon S3 and its compatibles, through s3fs.

`get` is one GetObject. `put` is PutObject, with If-None-Match: * for ABSENT and If-Match: <etag>
for a version; both are atomic on Amazon S3 since November 2024. The calls go to the filesystem's
client, since s3fs's request method repeats failed requests and drops parameters that its version
of botocore does not know, conditions among them.
"""

# ruff: noqa: SLF001 - s3fs has no public names for its client's parts

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from s3fs import S3FileSystem

from .cloud import CONNECT_SECONDS, Driver, stored
from .contract import ABSENT, ANY, MAX_READ
from .judging import SPARE_SECONDS, fetch_once, unsent
from .location import is_amazon
from .loop import READ_SECONDS, LoopStore, read_start, set_known
from .meanings import no_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contract import Expect, StoredObject

_CHECKSUMS = frozenset({"request_checksum_calculation", "response_checksum_validation"})
"""Settings of botocore's client."""

_REGION = "x-amz-bucket-region"  # of an answer of S3's


class S3Store(LoopStore):
    """A bucket on Amazon S3, or on a server that speaks its protocol."""

    probe = True
    deletes_versions = False
    _digests = False  # whether to send Content-MD5
    kind = S3FileSystem
    hints: ClassVar[Mapping[str, str]] = {
        "forbidden": "give credentials (key and secret, profile, role) that allow s3:GetObject, "
        "s3:PutObject and s3:DeleteObject, and s3:ListBucket on the bucket, without which a "
        "missing object looks forbidden",
        "no-bucket": "create the bucket, or correct its name, the region or the endpoint",
    }

    def _place(self, path: str) -> tuple[str, str]:
        # s3fs knows access points and other bucket names that contain a slash.
        path = self.kind._strip_protocol(path).lstrip("/")
        bucket, prefix = self.kind._find_bucket_key(None, path)
        return bucket, prefix.strip("/")

    def _make(self, options: dict[str, Any]) -> Driver:
        from aiobotocore.httpsession import AIOHTTPSession
        from aiohttp import TooManyRedirects

        make_session = AIOHTTPSession._get_session

        class OneAttempt(AIOHTTPSession):  # type: ignore[misc] # it is untyped
            """A session without aiohttp's second attempt and redirects: no setting forbids them."""

            async def _get_session(self, proxy_url: str | None) -> Any:  # noqa: ANN401
                session = await make_session(self, proxy_url)
                set_known(session, _retry_connection=False)

                async def request(*given: Any, **named: Any) -> Any:  # noqa: ANN401
                    answer = await session.request(*given, **named, allow_redirects=False)
                    # botocore asks anew where S3 names the bucket's region, else without end.
                    if 300 <= answer.status < 400 and _REGION not in answer.headers:  # noqa: PLR2004
                        answer.close()
                        raise TooManyRedirects(answer.request_info, (answer,))
                    return answer

                return SimpleNamespace(request=request)

        config = {
            "http_session_cls": OneAttempt,
            **(options.get("config_kwargs") or {}),
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": 1},
        }
        driver = self.kind(**{**options, "config_kwargs": config})
        if driver.session is None:
            driver.session = _unattended(driver.kwargs)
        return driver

    async def _prepare(self, driver: Driver) -> bool:
        from botocore.handlers import add_expect_header

        try:
            client = await driver.set_session()
        except (LookupError, UnicodeDecodeError, json.JSONDecodeError) as error:
            # Wrong options give other errors: what is to give credentials gave something else.
            raise no_credentials(f"no credentials: {type(error).__name__}: {error}", 500) from error
        if not is_amazon(client.meta.endpoint_url):
            # Over https botocore wraps a body in a frame with a checksum; other servers refuse the
            # frame or store it. Object Lock needs a checksum; on those servers Content-MD5 will do.
            given = driver.config_kwargs
            for name in _CHECKSUMS - given.keys():
                set_known(client.meta.config, **{name: "when_required"})
            self._digests = "request_checksum_calculation" not in given
        # "Expect: 100-continue" costs a round trip, and hangs where a server does not know it.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        credentials = client._request_signer._credentials
        # The class's own: drivers that are given one session share its credentials.
        refresh: Any = getattr(type(credentials), "_refresh", None)  # of those that expire
        ours = asyncio.get_running_loop()

        async def refresh_once() -> None:
            if asyncio.get_running_loop() is not ours:  # a client of the program's own shares them
                await refresh(credentials)
                return
            due = credentials.refresh_needed(SPARE_SECONDS)
            await unsent(fetch_once(credentials, lambda: refresh(credentials), join=due))

        if refresh:
            # A child forked during a fetch inherits a lock that nothing opens.
            lock = type(credentials._refresh_lock)()
            set_known(credentials, _refresh=refresh_once, _refresh_lock=lock)
        return driver.anon or credentials is not None

    @staticmethod
    async def _shut(driver: Driver) -> None:
        await driver._s3creator.__aexit__(None, None, None)

    async def _send(
        self, driver: Driver, method: str, name: str, **arguments: object
    ) -> dict[str, Any]:
        """Call a method of the filesystem's client, with those of its options that apply."""
        await driver.set_session()
        client = await driver.get_s3(self._bucket)
        if is_amazon(client.meta.endpoint_url):
            self.probe, self.deletes_versions = False, True
        send = getattr(client, method)
        own_arguments = driver._get_s3_method_kwargs(
            send, driver.req_kw, Bucket=self._bucket, Key=name
        )
        answer: dict[str, Any] = await send(**{**own_arguments, **arguments})
        return answer

    async def _read(self, driver: Driver, name: str) -> StoredObject:
        answer = await self._send(driver, "get_object", name)
        try:
            content = await read_start(answer["Body"], MAX_READ + 1)
        finally:
            answer["Body"].close()
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return stored(content, answer.get("ETag"), answer.get("LastModified"), date)

    async def _write(self, driver: Driver, name: str, expect: Expect, content: bytes) -> object:
        condition = {"IfNoneMatch": "*"} if expect is ABSENT else {"IfMatch": expect}
        condition = {} if expect is ANY else condition
        if self._digests:
            digest = hashlib.md5(content, usedforsecurity=False).digest()
            condition["ContentMD5"] = base64.b64encode(digest).decode()
        answer = await self._send(driver, "put_object", name, Body=content, **condition)
        return answer.get("ETag")

    async def _delete(self, driver: Driver, name: str, expect: Expect) -> None:
        condition = {} if expect is ANY else {"IfMatch": expect}
        await self._send(driver, "delete_object", name, **condition)


def _unattended(settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return a session like that of s3fs, but one that never asks a terminal for an MFA code."""
    from aiobotocore.session import AioSession

    session = AioSession(**settings)
    provider = session.get_component("credential_provider").get_provider("assume-role")
    set_known(provider, _prompter=_ask_nobody)
    return session


def _ask_nobody(_: str) -> NoReturn:
    message = (
        "the AWS profile has an mfa_serial, which needs a code from a terminal; use a profile "
        "without it, or temporary credentials (aws sts get-session-token)"
    )
    raise no_credentials(message, 401)
