"""Azure Blob Storage, through adlfs.

Reading is one GET of the blob, and a HEAD when it is empty; `create` is a PUT with
If-None-Match: *, `replace_if_version` one with If-Match: <etag>. The calls go to the blob client of
the filesystem's own service client, where Azure's retries can be turned off for a single call;
adlfs does not pass that on when it reads.
"""

# ruff: noqa: SLF001 - adlfs and azure-core have no public names for the pipeline's parts

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from .contract import MAX_READ, StoredObject
from .driver import CONNECT_TIMEOUT, Driver, DriverStore
from .loop import background_loop, own, run
from .verdict import version_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENING = 60.0


class AzureStore(DriverStore):
    """A container of an Azure storage account."""

    module = "adlfs"
    extra = "azure"
    hints: ClassVar[Mapping[str, str]] = {
        "forbidden": "give valid credentials (account_key, connection_string, sas_token, or "
        "anon=False for the environment's identity) with the role Storage Blob Data Contributor "
        "on the container, or a SAS that allows read, create, write and delete",
        "no-bucket": "create the container, or correct its name or the account",
    }

    def _place(self, path: str) -> tuple[str, str]:
        kind = self._module.AzureBlobFileSystem
        container, _, prefix = kind._strip_protocol(path).strip("/").partition("/")
        return container, prefix.strip("/")

    def _open(self) -> Driver:
        from fsspec.config import apply_config

        kind = self._module.AzureBlobFileSystem
        loop = background_loop()
        options = apply_config(kind, {**kind._get_kwargs_from_urls(self._url), **self._options})
        options |= {"skip_instance_cache": True, "loop": loop}

        async def connect() -> Driver:
            filesystem = kind(**options)
            transport = filesystem.service_client._pipeline._transport
            await transport.open()
            # aiohttp sends a PUT again by itself when its connection is lost.
            transport.session._retry_connection = False
            return own(filesystem)

        return run(loop, connect, timeout=_OPENING)

    @staticmethod
    async def _shut(driver: Driver) -> None:
        await driver.service_client.close()
        if driver.sync_credential is not None:  # adlfs has made both itself
            await driver.credential.close()

    def _blob(self, driver: Driver, name: str) -> Any:  # noqa: ANN401 - adlfs is untyped
        return driver.service_client.get_blob_client(self._bucket, name)

    async def _read(self, driver: Driver, name: str, timeout: float) -> StoredObject:
        from azure.core.exceptions import HttpResponseError

        blob = self._blob(driver, name)
        dates: list[str] = []
        settings = _once(timeout) | {
            "raw_response_hook": lambda answer: dates.append(answer.http_response.headers["Date"])
        }
        content = b""
        try:
            # The client downloads 32 MB at once unless told a range.
            stream = await blob.download_blob(offset=0, length=MAX_READ + 1, **settings)
            content = await stream.readall()
            found = stream.properties
        except HttpResponseError as error:
            if error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            # An empty blob has no range, and the refusal does not tell its version.
            found = await blob.get_blob_properties(**settings)
        version = version_in(found.etag)
        now = parsedate_to_datetime(dates[-1]).timestamp()
        return StoredObject(content, version, found.last_modified.timestamp(), now)

    async def _write(
        self,
        driver: Driver,
        name: str,
        content: bytes,
        timeout: float,
        *,
        absent: bool,
        version: str | None,
    ) -> str:
        from azure.core import MatchConditions

        condition = (
            {"etag": version, "match_condition": MatchConditions.IfNotModified} if version else {}
        )
        answer = await self._blob(driver, name).upload_blob(
            content, overwrite=not absent, max_concurrency=1, **condition, **_once(timeout)
        )
        return version_in(answer["etag"])

    async def _delete(self, driver: Driver, name: str, timeout: float) -> None:
        await self._blob(driver, name).delete_blob(**_once(timeout))


def _once(timeout: float) -> dict[str, Any]:
    """Return what keeps the client to one attempt, and that to `timeout` seconds."""
    return {
        "retry_total": 0,
        "connection_timeout": min(CONNECT_TIMEOUT, timeout),
        "read_timeout": timeout,
    }
