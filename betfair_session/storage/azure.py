"""Azure Blob Storage, through adlfs.

`get` is one GET of the blob. `put` is one PUT, with If-None-Match: * for ABSENT and
If-Match: <etag> for a version. The calls go to the blob client of the filesystem's own service
client, because Azure's retries can be turned off there for a single call. adlfs does not pass that
setting on when it reads.
"""

# ruff: noqa: SLF001 - adlfs and azure-core have no public names for the pipeline's parts

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from adlfs import AzureBlobFileSystem
from azure.core import MatchConditions

from .cloud import CONNECT_SECONDS, Driver, stored
from .contract import ABSENT, ANY, MAX_READ
from .judging import SPARE_SECONDS, fetch_once, unsent
from .location import proxy_for
from .loop import READ_SECONDS, LoopStore, drivers_own, set_known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contract import Expect, StoredObject


class AzureStore(LoopStore):
    """A container of an Azure storage account."""

    kind = AzureBlobFileSystem
    hints: ClassVar[Mapping[str, str]] = {
        "forbidden": "give credentials (account_key, connection_string, anon=False) with the role "
        "Storage Blob Data Contributor, or a sas_token for reading, creating, writing and deleting",
        "no-bucket": "create the container, or correct its name or the account",
    }

    def _place(self, path: str) -> tuple[str, str]:
        path = drivers_own(self.kind, "_strip_protocol")(path)
        container, _, prefix = path.strip("/").partition("/")
        return container, prefix.strip("/")

    def _make(self, options: dict[str, Any]) -> Driver:
        # Where there is a connection string, if only in the environment, adlfs drops account_name.
        name, given = "AZURE_STORAGE_CONNECTION_STRING", options.get("connection_string")
        text, account = given or os.environ.get(name), options.get("account_name")
        if text and account:
            from .obstore_config import connection_string  # only here: each start pays for a module

            connection_string(text, account, "the connection string" if given else name)
        return super()._make(options)

    async def _prepare(self, driver: Driver) -> bool:
        transport = driver.service_client._pipeline._transport
        set_known(transport, _use_env_settings=False)  # see proxy_for
        await transport.open()
        # aiohttp repeats a PUT by itself when the connection breaks.
        set_known(transport.session, _retry_connection=False)
        policy: Any = getattr(driver.service_client, "_credential_policy", None)
        if hasattr(policy, "_request_token"):
            # `_blob` fetches tokens; each request would fetch one that soon expires again.
            set_known(policy, _need_new_token=lambda: False)
            # It fetches one more when the store refuses one, and only then sends again.
            again = policy.authorize_request
            set_known(policy, authorize_request=lambda *to, **more: unsent(again(*to, **more)))
        return True  # without credentials adlfs raises an error itself

    @staticmethod
    async def _shut(driver: Driver) -> None:
        await driver.service_client.close()
        if driver.sync_credential is not None:  # then adlfs made this one and `credential`
            await driver.credential.close()

    async def _blob(self, driver: Driver, name: str) -> Any:  # noqa: ANN401 - adlfs is untyped
        """Return the blob's client, which has an access token then if it needs one."""
        policy: Any = getattr(driver.service_client, "_credential_policy", None)
        fetch = getattr(policy, "_request_token", None)
        if fetch and self._theirs is None and type(policy)._need_new_token(policy):
            due = policy._token is None or policy._token.expires_on <= time.time() + SPARE_SECONDS
            await unsent(fetch_once(driver, lambda: fetch(*policy._scopes), join=due))
        return driver.service_client.get_blob_client(self._bucket, name)

    async def _read(self, driver: Driver, name: str) -> StoredObject:
        # Not the client's download_blob: that asks for a range, which an empty blob does not have,
        # and repeats a broken download three times, whatever its settings.
        blob = await self._blob(driver, name)
        answer, parts, headers = await blob._client.blob.download(
            cls=lambda *answer: answer, **self._once(driver)
        )
        content = bytearray()
        try:
            async for part in parts:
                content += part
                if len(content) > MAX_READ:
                    break
        finally:
            answer.http_response.internal_response.close()
        return stored(content, headers["ETag"], headers["Last-Modified"], headers["Date"])

    async def _write(self, driver: Driver, name: str, expect: Expect, content: bytes) -> object:
        blob = await self._blob(driver, name)
        answer = await blob.upload_blob(
            content,
            overwrite=expect is not ABSENT,
            max_concurrency=1,
            **self._once(driver, expect),
        )
        return answer["etag"]

    async def _delete(self, driver: Driver, name: str, expect: Expect) -> None:
        blob = await self._blob(driver, name)
        await blob.delete_blob(**self._once(driver, expect))

    def _once(self, driver: Driver, expect: Expect = ANY) -> dict[str, Any]:
        """Return the options with which the client sends a request once, on its condition."""
        condition = {"etag": expect, "match_condition": MatchConditions.IfNotModified}
        url = driver.service_client.url
        proxy = proxy_for(url) if self._theirs is None else None
        return {
            "retry_total": 0,
            "permit_redirects": False,  # another server would see the token, or give one
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            **({"proxies": {url.partition("://")[0]: proxy}} if proxy else {}),
            **(condition if isinstance(expect, str) else {}),
        }
