"""How the clouds' drivers use their surroundings: credentials, addresses, proxies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import io
import json
import random
import socket
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import fsspec
import pytest
from aiobotocore.credentials import AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import compute_engine
from google.oauth2.credentials import Credentials
from s3fs import S3FileSystem
from secrets_shown import assert_hidden, everything_in
from servers.cloudlike import Cloud
from servers.cloudlike_wire import Says
from servers.listeners import Listener, Stranger, answer, saying
from servers.objects import Bucket
from servers.process import poll
from servers.script import Answer
from within import within

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    StoreError,
    StoreUnavailable,
)
from betfair_session.process.threads import NoThreadError
from betfair_session.storage import loop, open_store
from betfair_session.storage.cloud import CloudStore
from betfair_session.storage.contract import ABSENT, TokenStore
from betfair_session.storage.judging import judge
from betfair_session.storage.loop import set_known
from betfair_session.storage.meanings import Sent, clean, no_credentials
from betfair_session.storage.s3 import S3Store
from storage.contract import all_fail, create, delete, failure, get, read
from storage.places import TIMEOUT
from storage.surroundings import in_a_child

CLOUDS: dict[str, tuple[str, dict[str, Any]]] = {
    "s3": ("s3://bucket", {"key": "k", "secret": "s", "client_kwargs": {"region_name": "r"}}),
    "gs": ("gs://bucket", {"token": "anon"}),
    "az": ("abfs://bucket", {"account_name": "acc", "account_key": "ZGV2ZWxvcG1lbnQ="}),
}
JSON = {"Content-Type": "application/json"}
REGION = {"client_kwargs": {"region_name": "eu-west-1"}}

drivers = pytest.mark.parametrize("driver", ["", "obstore+"])
NO_BLOB = answer(
    b"<Error><Code>BlobNotFound</Code></Error>",
    "x-ms-error-code: BlobNotFound",
    status="404 No",
)
CONNECTION = "AccountName={};AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:{}/x"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without credentials of any cloud's."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


@pytest.fixture
def gcs() -> Iterator[Cloud]:
    with Cloud("gcs") as cloud:
        yield cloud


# --- credentials ----------------------------------------------------------------------------------


def test_amazons_credentials_may_come_later(nowhere: pytest.MonkeyPatch, s3: Cloud) -> None:
    bucket = s3.new_bucket()
    options = bucket.options
    key, secret = options.pop("key"), options.pop("secret")
    with open_store(bucket.url(), options) as store:
        all_fail(store, "forbidden", ["read", "create"])
        assert s3.requests == []
        nowhere.setenv("AWS_ACCESS_KEY_ID", key)
        nowhere.setenv("AWS_SECRET_ACCESS_KEY", secret)
        assert get(store) is None
    with open_store(bucket.url(), {**options, "anon": True}) as store:
        assert get(store) is None
    assert "authorization" not in s3.requests[-1].headers


def test_googles_credentials_may_come_later(nowhere: pytest.MonkeyPatch, gcs: Cloud) -> None:
    """Gcsfs would go on without any; with Google's own servers that is refused."""
    bucket = gcs.new_bucket()
    nowhere.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    with open_store(bucket.url()) as store:
        all_fail(store, "forbidden", ["read", "create"])
        nowhere.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        assert get(store) is None


def test_nobody_is_asked_for_an_mfa_code(nowhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would block every store of the process; instead the error says what the profile lacks."""
    (tmp_path / "config").write_text(
        "[profile mine]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/u\nregion = us-east-1\n"
        "[profile base]\naws_access_key_id = k\naws_secret_access_key = s\n"
    )
    answer = io.StringIO("123456\n")
    nowhere.setattr("sys.stdin", answer)
    with open_store("s3://bucket", {"profile": "mine"}) as store:
        all_fail(store, "forbidden", ["read", "create"])
    assert answer.tell() == 0


@drivers
def test_a_missing_key_file_is_no_missing_object(nowhere: pytest.MonkeyPatch, driver: str) -> None:
    nowhere.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/keys/missing")
    nowhere.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    with open_store(f"{driver}s3://bucket", REGION) as store:
        all_fail(store, "forbidden")
        assert "/keys/missing" in str(failure("read", store))


@drivers
@pytest.mark.parametrize("file", ["service-account.json", "/run/secrets/google"])
@pytest.mark.usefixtures("nowhere")
def test_a_key_file_of_googles_that_is_missing_is_sent_nowhere(
    gcs: Cloud, driver: str, file: str
) -> None:
    """As from another working directory; the drivers would take it for an access token."""
    bucket = gcs.new_bucket()
    with open_store(driver + bucket.url(), {**bucket.options, "token": file}) as store:
        all_fail(store, "forbidden", ["read", "create"])
        assert file in str(failure("read", store))
    assert gcs.requests == []


PEM = "-----BEGIN PRIVATE KEY-----\nMIIE/hidden1/hidden1"
KEY = json.dumps({"project_id": "hidden1", "private_key": PEM})
LINES = json.dumps(json.loads(KEY), indent=8)


def coded(text: str, encoding: str = "utf-8") -> str:
    return base64.b64encode(text.encode(encoding)).decode()


FORMS = [
    *(KEY, f"'{KEY}'", f"\ufeff{KEY}", f" {KEY}", PEM),
    *(coded(KEY), coded(f"\ufeff{KEY}"), coded(LINES), coded(LINES, "utf-16")),
]
PLACES = [
    *("token", "GOOGLE_APPLICATION_CREDENTIALS", "obstore+ token"),
    *("obstore+ GOOGLE_APPLICATION_CREDENTIALS", "obstore+ SERVICE_ACCOUNT"),
    *(f"obstore+ GOOGLE_SERVICE_ACCOUNT{end}" for end in ("", "_PATH")),
    *(f"obstore+ config {name}" for name in ("service_account", "google_application_credentials")),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", FORMS, ids=lambda key: key[:9])
def test_a_key_of_googles_in_a_files_place_is_sent_nowhere(
    nowhere: pytest.MonkeyPatch, gcs: Cloud, tmp_path: Path, place: str, key: str
) -> None:
    """The drivers would send it, in a URL or as an access token, or show it."""
    bucket, name = gcs.new_bucket(), place.rsplit(maxsplit=1)[-1]
    options = {**bucket.options, "token": None}
    url = ("obstore+" if place.startswith("obstore+") else "") + bucket.url()

    def opened(text: str) -> TokenStore:
        if name.isupper():
            nowhere.setenv(name, text)
            return open_store(url, options)
        option = {name: text} if name == "token" else {"config": {name: text}}
        return open_store(url, {**options, **option})

    with opened(key) as store, pytest.raises(ConfigurationError, match=name) as caught:
        get(store)
    assert_hidden(everything_in(caught.value), "hidden1", key[-16:-8])
    assert gcs.requests == []
    if place == "GOOGLE_APPLICATION_CREDENTIALS":
        # Gcsfs does not look at it for this, which is none of Google's machines.
        store = open_store(url, {**options, "token": "cloud"})
        with store, pytest.raises(BetfairSessionError) as denied:
            get(store)
        # By gcsfs's version; the advice in the second names the variable, too.
        assert isinstance(denied.value, ConfigurationError | StoreUnavailable)
        assert isinstance(denied.value, StoreUnavailable) or place not in str(denied.value)
    if "GOOGLE_APPLICATION_CREDENTIALS" in place:
        with open_store(url, {**options, "token": "anon"}) as store:
            assert get(store) is None  # nobody looks at the variable then
    if name in {"GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "service_account"}:
        nowhere.setenv("SERVICE_ACCOUNT", key)  # obstore does not look at it then
    with opened(str(key_file(tmp_path, gcs))) as store:
        assert get(store) is None


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("token", [f"e{digit}" * 16 for digit in (0, 7)])
def test_an_access_token_may_begin_as_json_does_in_base64(gcs: Cloud, token: str) -> None:
    """Such as one of 26 in hexadecimal; gcsfs would have Google look at it first."""
    bucket = gcs.new_bucket()
    with open_store(f"obstore+{bucket.url()}", {**bucket.options, "token": token}) as store:
        assert get(store) is None
    assert gcs.requests[-1].headers["authorization"] == f"Bearer {token}"


def drivers_of(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what a store makes from now on, to be seen in the list."""
    made, make = list[Any](), store._make  # type: ignore[attr-defined] # a CloudStore's

    def noted(options: Any) -> Any:  # noqa: ANN401 - the drivers are untyped
        made.append(make(options))
        return made[-1]

    monkeypatch.setattr(store, "_make", noted)
    return made


def test_credentials_that_are_not_found_are_sought_once_a_call(
    nowhere: pytest.MonkeyPatch, gcs: Cloud
) -> None:
    """The search may take seconds: a second one would end in a time-out that proves nothing."""
    bucket, lacking = gcs.new_bucket(), no_credentials("none found")
    with open_store(bucket.url(), bucket.options) as store:
        made = drivers_of(store, nowhere)
        create(store)
        nowhere.setattr("gcsfs.core.GCSFileSystem._get_headers", Mock(side_effect=lacking))
        all_fail(store, "forbidden", ["read", "create"])
        assert len(made) == 2
        nowhere.undo()
        assert read(store).content == b"first"


def bearer(number: int, seconds: int = 3600) -> Answer:
    given = {"access_token": f"bearer{number}", "expires_in": seconds, "token_type": "Bearer"}
    return Answer(200, json.dumps(given).encode(), JSON)


@cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(
    directory: Path, gcs: Cloud, number: int = 1, seconds: int = 3600, **more: str
) -> Path:
    """Write a key file of Google's, for which the server gives an access token."""
    about = {"type": "service_account", "client_email": "a@b.test", "project_id": "theirs"}
    path = {"token_uri": f"{gcs.endpoint}/token/{number}", "private_key_id": str(number)}
    file = directory / "key.json"
    file.write_text(json.dumps({**about, **path, "private_key": private_key(), **more}))
    gcs.pages[f"/token/{number}"] = bearer(number, seconds)
    return file


def test_another_project_than_the_keys_own_hides_no_credentials(
    nowhere: pytest.MonkeyPatch, gcs: Cloud, tmp_path: Path
) -> None:
    """Gcsfs goes on without any then; nothing here needs a project."""
    bucket = gcs.new_bucket()
    nowhere.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, gcs)))
    options = {name: value for name, value in bucket.options.items() if name != "token"}
    with open_store(bucket.url(), {**options, "project": "mine"}) as store:
        create(store)
    assert "bearer1" in gcs.requests[-1].headers["authorization"]


def test_why_googles_own_key_file_cannot_be_used_is_told(
    nowhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was opened is closed at once: gcsfs's finalizer would do so in any thread."""
    file = tmp_path / "damaged"
    file.write_text("{")
    nowhere.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with open_store("gs://bucket") as store:
        made = drivers_of(store, nowhere)
        all_fail(store, "forbidden", ["read", "create"])
        assert str(file) in str(failure("read", store))
    assert [each.session.closed for each in made] == 3 * [True]


@pytest.mark.usefixtures("nowhere")
def test_a_service_of_tokens_that_cannot_be_reached_is_no_refusal(
    gcs: Cloud, tmp_path: Path
) -> None:
    """A machine's own service, by http, may not be there; one by https is, as a rule."""
    file = key_file(tmp_path, gcs, token_uri="https://127.0.0.1:1/token")
    with open_store("obstore+gs://bucket", {"token": str(file)}) as store:
        all_fail(store, "unreachable", ["read", "create"])


def test_a_proxy_that_lets_nobody_to_the_service_of_tokens_is_told(
    nowhere: pytest.MonkeyPatch, served: Served, gcs: Cloud
) -> None:
    """The status ends a long text of requests'."""
    with (
        Listener(saying(answer(b"no", status="407 No"))) as proxy,
        served("key file", "https://nobody.invalid/token", gcs.new_bucket()) as store,
    ):
        nowhere.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = failure("create", store)
        assert (error.reason, error.landed) == ("unreachable", False)
        assert "407" in str(error)
        assert proxy.connections


@drivers
def test_a_url_and_a_connection_string_mean_one_account(
    nowhere: pytest.MonkeyPatch, driver: str
) -> None:
    """Adlfs would use the string's without a word, if only the environment holds it."""
    url = f"{driver}abfs://c@urls.dfs.core.windows.net/x"
    options = {"connection_string": CONNECTION.format("another", 1)}
    another = "https://another.blob.core.windows.net/"
    for string in (
        options["connection_string"],
        f"BlobEndpoint={another};SharedAccessSignature=sv=1&sig=x",
        f"blobendpoint={another}?sv=1&sig=x",
        "BlobEndpoint=http://127.0.0.1:1/another;SharedAccessSignature=sv=1&sig=x",
        "UseDevelopmentStorage=true",
    ):
        with pytest.raises(ConfigurationError, match="account"):
            get(open_store(url, {"connection_string": string}))
    with Listener(saying(NO_BLOB)) as service:
        given = {"connection_string": CONNECTION.format("urls", service.port)}
        for same, more in (
            (url, {}),
            (f"{driver}abfs://c@Urls.dfs.core.windows.net/x", {}),
            (f"{driver}abfs://c/x", {"account_name": ""}),
        ):
            with open_store(same, {**given, **more}) as store:
                assert get(store) is None
        assert service.heard.count(b"SharedKey urls:") == 3
        host = f"http://127.0.0.1:{service.port}"  # one of their own, which names no account
        given = {"connection_string": f"BlobEndpoint={host};SharedAccessSignature=sv=1&sig=x"}
        with open_store(url, given) as store:
            assert get(store) is None
        service.heard = b""
        nowhere.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION.format("urls", service.port))
        with open_store(url) as store:
            assert get(store) is None
        assert b"sharedkey urls:" in service.heard.lower()
        mine = {"sas_token": "sv=1&sig=mine", "account_name": "urls"}
        with open_store(f"{driver}abfs://c/x", mine) as store:
            get(store)
        assert service.heard.lower().count(b"sharedkey urls:") == (1 if driver else 2)
    for none_given in ("", "AccountKey=a2V5"):
        nowhere.setenv("AZURE_STORAGE_CONNECTION_STRING", none_given)
        open_store(url, {"account_key": "a2V5"}).close()
    nowhere.setenv("AZURE_STORAGE_CONNECTION_STRING", options["connection_string"])
    with open_store(url) as store, pytest.raises((ConfigurationError, StoreUnavailable)):
        get(store)


ROLE = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "{directory}/token",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
    "AWS_ENDPOINT_URL_STS": "{address}",
    "AWS_MAX_ATTEMPTS": "1",
}
POD = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{address}",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{directory}/token",
}
IDENTITY = {"IDENTITY_ENDPOINT": "{address}/identity", "IDENTITY_HEADER": "x"}
SERVICES: dict[str, tuple[dict[str, str], str, dict[str, Any]]] = {
    "role": (ROLE, "s3://bucket", REGION),
    "container": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{address}"}, "s3://bucket", REGION),
    "identity": (IDENTITY, "abfs://c", {"account_name": "n", "anon": False}),
    "key file": ({}, "gs://bucket", {}),
    "machine of Google's": ({}, "gs://bucket", {}),
    # Obstore hides this one's URL.
    "role by https": (
        ROLE,
        "obstore+s3://bucket",
        {"client_options": {"allow_invalid_certificates": True}},
    ),
    "container, obstore": (POD, "obstore+s3://bucket", {}),
    "machine, obstore": ({"AWS_METADATA_ENDPOINT": "{address}"}, "obstore+s3://bucket", {}),
    "identity, obstore": (IDENTITY, "obstore+abfs://c", {"account_name": "n"}),
}
"""Where credentials come from: the variables, with the service's address, and the store."""

Served = Callable[..., TokenStore]


@pytest.fixture
def served(nowhere: pytest.MonkeyPatch, gcs: Cloud, tmp_path: Path) -> Served:
    """Return a store, perhaps on a bucket, whose credentials a service at an address gives."""

    def opened(service: str, address: str, bucket: Bucket | None = None) -> TokenStore:
        variables, url, options = SERVICES[service]
        known = bucket.options if bucket else {}
        kept = known.keys() - {"key", "secret", "token"}
        options = {name: known[name] for name in kept} | options
        (tmp_path / "token").write_text("token")
        for name, value in variables.items():
            nowhere.setenv(name, value.format(address=address, directory=tmp_path))
        if service == "key file":
            options["token"] = str(key_file(tmp_path, gcs, token_uri=address))
        elif service == "machine of Google's":
            host = (
                "google.auth.compute_engine._metadata._GCE_METADATA_HOST"  # of the variable, once
            )
            nowhere.setattr(host, address.removeprefix("http://"))
            credentials: Any = compute_engine.Credentials  # it has no types
            options["token"] = credentials()
        # They wait between attempts.
        nowhere.setattr("google.auth._exponential_backoff.time", Mock())
        nowhere.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
        return open_store(bucket.url() if bucket else url, options)

    return opened


SILENT = None
BUSY, MANY = answer(b"<html>no</html>", status="503 No"), answer(b"no", status="429 No")
NO, NONE = answer(b"no", status="403 No"), answer(b"no", status="404 No")
GATEWAY, PORTAL = answer(b"<html>no</html>", status="502 No"), answer(b"<html>log in</html>")


def in_xml(status: int, code: str) -> bytes:
    return answer(f"<e><Error><Code>{code}</Code></Error></e>".encode(), status=f"{status} No")


def in_json(status: int, code: bytes) -> bytes:
    said = b'{"error": "%b", "error_description": "x"}' % code
    return answer(said, "Content-Type: application/json", status=f"{status} No")


AGAIN: list[tuple[bytes | None, str]] = [
    *((BUSY, "server"), (MANY, "throttled")),
    *((answer(b"{}"), "unreachable"), (b"", "unreachable")),
]
IN_WORDS = [
    *((400, "Throttling", "throttled"), (429, "", "throttled")),
    *((503, "", "server"), (500, "InternalFailure", "server")),
    *((400, "ExpiredTokenException", "forbidden"), (404, "", "forbidden")),
]
SAID: dict[str, list[tuple[bytes | None, str]]] = {
    "role": [
        *((b"", "unreachable"), (PORTAL, "server"), (MANY, "server")),
        *((in_xml(status, code), reason) for status, code, reason in IN_WORDS),
    ],
    "role by https": [
        *((SILENT, "unreachable"), (b"", "unreachable"), (PORTAL, "forbidden"), (BUSY, "server")),
        *((GATEWAY, "server"), (MANY, "throttled"), (in_xml(400, "Throttling"), "throttled")),
        *((NONE, "forbidden"), (in_xml(403, "AccessDenied"), "forbidden")),
    ],
    "container": [(BUSY, "server"), (MANY, "throttled"), (NO, "forbidden"), (b"", "unreachable")],
    "machine of Google's": [(BUSY, "server"), (NONE, "forbidden")],
    "container, obstore": [(NONE, "forbidden")],
    "machine, obstore": [*AGAIN, (NONE, "forbidden")],
    "identity": [
        *((b"", "unreachable"), (BUSY, "unreachable"), (MANY, "unreachable")),
        *((PORTAL, "unreachable"), (in_json(500, b"message"), "unreachable")),
        (in_json(503, b"temporarily_unavailable"), "unreachable"),
        (in_json(400, b"invalid_request"), "forbidden"),
    ],
    "identity, obstore": AGAIN,
}


@pytest.mark.parametrize(
    ("service", "told", "reason"),
    [(service, *row) for service, listed in SAID.items() for row in listed],
)
def test_what_a_service_of_credentials_says_is_not_the_stores(
    served: Served, tmp_path: Path, service: str, told: bytes | None, reason: str
) -> None:
    """No object is missing and no write landed: nothing was sent. If it is busy, it is asked once.

    It gets better by itself; a new driver would only ask it again at once.
    """
    over = threading.Event()
    serve = saying(told) if told is not None else lambda *_: over.wait(TIMEOUT)
    tls = Stranger(tmp_path / "ca.pem").tls if "https" in service else None
    with Listener(serve, tls) as there:
        store = served(service, f"http{'s' if tls else ''}://127.0.0.1:{there.port}")
        with store:
            for number, call in enumerate(("read", "create"), 1):
                error = failure(call, store, timeout=TIMEOUT if told is not None else 1)
                late = told is None and call == "read"
                assert (error.reason, error.landed) == ("timeout" if late else reason, False)
                if service == "role" and reason in {"server", "throttled"}:
                    assert there.connections == number
            assert there.connections
            over.set()


@pytest.mark.parametrize(("status", "code", "reason"), IN_WORDS)
def test_what_entra_says_is_not_the_stores(status: int, code: str, reason: str) -> None:
    headers = {"x-ms-error-code": code}
    response = types.SimpleNamespace(status_code=status, headers=headers, reason="no")
    found = judge(ClientAuthenticationError("no", response=response), cloud=True)
    assert (found.reason, found.rejects_credentials) == (reason, reason == "forbidden")


def of_amazon(status: int, code: str, operation: str, **headers: str) -> ClientError:
    about: Any = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": about}, operation)


def test_an_error_about_credentials_is_known_without_a_status() -> None:
    """Azure's chain of credentials drops that of what it met; MinIO has a code of its own."""
    expired = ClientAuthenticationError("AADSTS700082: The refresh token has expired")
    for error in (expired, of_amazon(403, "InvalidTokenId", "GetObject")):
        assert judge(error, cloud=True).rejects_credentials
    for operation, told in (("AssumeRole", False), ("PutObject", True)):
        for status, code in ((400, "InvalidArgument"), (501, "NotImplemented")):
            found = judge(of_amazon(status, code, operation), cloud=True)
            assert found.may_know_no_conditions is told
    for operation, reason in (("AssumeRoleWithWebIdentity", "forbidden"), ("GetObject", "missing")):
        missing = of_amazon(404, "NoSuchKey", operation, **{"x-amz-request-id": "1"})
        assert judge(missing, cloud=True).reason == reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ManagedIdentityCredential: (None) An unexpected error occured.", "unreachable"),
        ("ManagedIdentityCredential: [Errno 104] Connection reset by peer", "unreachable"),
        ("EnvironmentCredential: No response content from Microsoft Entra ID", "unreachable"),
        ("EnvironmentCredential: 407, message='P', url='https://x'", "unreachable"),
        ("X: Microsoft Entra ID error '(temporarily_unavailable) AADSTS90033: A'", "unreachable"),
        ("X: Microsoft Entra ID error '(invalid_client) AADSTS7000215: A'", "forbidden"),
        ("X: Authentication failed: AADSTS700016: A", "forbidden"),
        ("X: (Unauthorized) no", "forbidden"),
        ("X: (None) Unable to load the proper Managed Identity.", "forbidden"),
        ("X: (None) No User Assigned or Delegated Managed Identity found for it", "forbidden"),
        ("X: No identity has been assigned to this resource.", "forbidden"),
        ("X: X authentication unavailable, no managed identity endpoint found.", "forbidden"),
        ("X: no response from the IMDS endpoint.\n\tAzureCliCredential: reset", "unreachable"),
        ("X: no response from the IMDS endpoint.\n\tY: Y could not be found", "forbidden"),
        ("X: [Errno 2] No such file or directory: '/var/run/secrets/token'", "forbidden"),
        ("X: (None) Could not read file /var/opt/azcmagent/tokens/a.key", "forbidden"),
        ("X: Multiple accounts were found in the cache.", "forbidden"),
        ("X: The current credential is not configured to acquire tokens for tenant", "forbidden"),
        ("X: ERROR: The subscription of 'x' doesn't exist in cloud 'AzureCloud'.", "forbidden"),
        ("AzureCliCredential: Please run 'az login' to set up an account", "forbidden"),
        ("Y: Y could not be found", "forbidden"),
    ],
)
def test_an_outage_of_azures_tokens_is_no_refusal(said: str, reason: str) -> None:
    """Its chain of credentials drops the status of an answer; one not found is not set up."""
    found = judge(ClientAuthenticationError(f"X\nAttempted credentials:\n\t{said}"), cloud=True)
    assert (found.reason, found.sent) == (reason, Sent.NEVER)


NOT_FOUND = b'{"error": "invalid_request", "error_description": "Identity not found"}'


@pytest.mark.parametrize(
    "said",
    [
        NOT_FOUND,
        b'{\n  "error": "x",\n  "error_description": "Identity not found"\n}\n',
        b"<e>\n <Error>\n <Code>X</Code>\n <Message>Identity not found</Message></Error></e>",
    ],
)
def test_why_a_service_gives_no_credentials_is_told(served: Served, said: bytes) -> None:
    """Its address, with a long query, comes first in obstore's text, and would fill the error."""
    with Listener(saying(answer(said, status="400 Bad Request"))) as there:
        place = f"127.0.0.1:{there.port}"
        long = f"http://user:hidden1@{place}/{'metadata/' * 20}token?x=hidden1"
        with served("identity, obstore", long) as store:
            told = str(failure("read", store))
    for part in ("400", place, "Identity not found"):
        assert part in told
    assert "hidden1" not in told


def test_why_azures_credentials_do_not_serve_is_told(served: Served) -> None:
    """Of those that are set up; the list begins with those that are not."""
    no = answer(NOT_FOUND, "Content-Type: application/json", status="400 No")
    with (
        Listener(saying(no)) as there,
        served("identity", f"http://127.0.0.1:{there.port}") as store,
    ):
        error = str(failure("read", store))
    assert "Identity not found" in error
    assert "ManagedIdentityCredential" in error
    assert "EnvironmentCredential" not in error
    expired = "AADSTS700082: The refresh token has expired"
    listed = (
        "EnvironmentCredential: Environment variables are not fully configured.\nVisit https://x.",
        f"SharedTokenCacheCredential: No accounts were found in the cache.{' ' * 2000}",
        f"AzureCliCredential: ERROR: {expired}. client_secret=hidden1\nTrace ID: x",
        "AzurePowerShellCredential: PowerShell is not installed\nTo mitigate this issue, wait.",
    )
    text = "\n\t".join(("DefaultAzureCredential failed\nAttempted credentials:", *listed))
    shown = judge(ClientAuthenticationError(text), cloud=True).detail
    assert expired in shown
    assert_hidden(shown, "hidden1", "Environment", "PowerShell", "Trace")


class SlowCredential:
    """One of Azure's that a program makes, whose access token takes its time."""

    def __init__(self, fails: BaseException | None = None, minutes: int = 60) -> None:
        self.over, self.asked, self.fails, self.minutes = threading.Event(), 0, fails, minutes
        self.options: dict[str, Any] = {"account_name": "n", "account_host": "127.0.0.1:1"}
        self.options["credential"] = self

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        self.asked += 1
        if not self.fails:
            await asyncio.to_thread(self.over.wait, TIMEOUT)
        if self.fails:
            raise self.fails
        return AccessToken("t", int(time.time()) + 60 * self.minutes)


@pytest.mark.parametrize(
    ("service", "minutes"),  # the drivers want others when under 15 (S3), or 5, are left
    [
        *(("role", 60), ("key file", 60), ("a program's own", 60)),
        *(("role", 12), ("role", 3), ("key file", 3), ("a program's own", 3)),
    ],
)
def test_credentials_that_take_longer_than_a_call_arrive(
    served: Served, s3: Cloud, gcs: Cloud, service: str, *, minutes: int
) -> None:
    """One fetch serves all calls, also those that gave up; a second one would pile up with it.

    What it brought serves until it expires, also while others are fetched or refused.
    """
    slow = SlowCredential(minutes=minutes)
    soon = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    names = {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": soon}
    sts = "".join(f"<{name}>{value}</{name}>" for name, value in names.items())
    sts = f"<r><AssumeRoleWithWebIdentityResult><Credentials>{sts}</Credentials>"
    sts = f"{sts}</AssumeRoleWithWebIdentityResult></r>"
    token = bearer(1, 60 * minutes).body
    given, cloud = (sts.encode(), s3) if service == "role" else (token, gcs)

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        slow.over.wait(TIMEOUT)
        if not slow.fails:  # else the connection ends without an answer
            connection.sendall(answer(given, "Content-Type: application/json"))

    with Listener(serve) as there:
        if service == "a program's own":
            store = open_store("abfs://c", slow.options)
        else:
            store = served(service, f"http://127.0.0.1:{there.port}", cloud.new_bucket())
        with store:
            store._driver(within(TIMEOUT))  # type: ignore[attr-defined] # a CloudStore's
            before = set(threading.enumerate())
            for call in ("create", "read", "create"):
                error = failure(call, store, timeout=0.5)
                assert (error.reason, error.landed) == ("timeout", False)
            asked = there.connections + slow.asked
            begun = (set(threading.enumerate()) - before for _ in poll(TIMEOUT / 3))
            assert any(sum(each.name == "betfair-session" for each in new) <= 1 for new in begun)
            slow.over.set()
            for fails in (None, None, OSError()):
                slow.fails = fails  # of the one under way, too
                if fails:
                    slow.over.set()
                if service == "a program's own":
                    all_fail(store, "unreachable", ["read"])  # nobody is there
                else:
                    assert get(store) is None
                slow.over.clear()
            assert asked == 1
            assert minutes < 60 or there.connections + slow.asked == 1
            slow.over.set()


def asking(slow: SlowCredential) -> dict[str, dict[str, Any]]:
    """Return options for each of CLOUDS with which its driver has that credential."""
    session = AioSession()

    async def refresh() -> dict[str, str]:
        soon = datetime.fromtimestamp((await slow.get_token()).expires_on, UTC).isoformat()
        return {"access_key": "k", "secret_key": "s", "token": "t", "expiry_time": soon}

    def handle(*_: object, **__: object) -> tuple[str, datetime]:
        token = asyncio.run(slow.get_token())
        return token.token, datetime.fromtimestamp(token.expires_on, UTC).replace(tzinfo=None)

    fetched = AioDeferredRefreshableCredentials(refresh, "a program's")
    set_known(session, _credentials=fetched)
    nobody, theirs = "http://127.0.0.1:1", Credentials
    return {
        "s3": {**REGION, "session": session, "endpoint_url": nobody},
        "gs": {"token": theirs(None, refresh_handler=handle), "endpoint_url": nobody},  # type: ignore[no-untyped-call]
        "az": slow.options,
    }


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_child_forked_during_a_fetch_of_credentials_fetches_its_own(cloud: str) -> None:
    """Its parent's fetch, for the credentials that a program gave to both, never ends there."""
    slow = SlowCredential()
    with open_store(CLOUDS[cloud][0], asking(slow)[cloud]) as store:
        assert failure("read", store, timeout=1).reason == "timeout"

        def work() -> str:
            slow.over.set()
            return failure("read", store, timeout=TIMEOUT).reason

        assert (slow.asked, in_a_child(work)) == (1, "unreachable")
        slow.over.set()
        all_fail(store, "unreachable", ["read"])
        assert slow.asked == 1


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("raised", [404, 412, 409, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_a_programs_own_credentials_raise_is_no_word_of_the_store(
    cloud: str, raised: int | type[BaseException]
) -> None:
    """Kept in another bucket, they may be missing: a token taken for missing means a login.

    And sys.exit in a program's own code ends no event loop: all stores have that one.
    """
    code = {404: "NoSuchKey", 412: "PreconditionFailed"}
    slow = SlowCredential(
        of_amazon(raised, code.get(raised, ""), "GetObject", **{"x-amz-request-id": "1"})
        if isinstance(raised, int)
        else raised("x")
    )
    with open_store(CLOUDS[cloud][0], asking(slow)[cloud]) as store:
        all_fail(store, "server", ["read", "create", "delete"])
        assert slow.asked
        slow.fails = None
        slow.over.set()
        all_fail(store, "unreachable", ["read"])  # nobody is there


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_driver_that_would_end_the_program_when_it_is_made_is_told(
    monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    url, options = CLOUDS[cloud]
    with open_store(url, options) as store:
        kind = store.kind  # type: ignore[attr-defined] # a CloudStore's
        monkeypatch.setattr(kind, "__init__", Mock(side_effect=SystemExit("x")))
        with pytest.raises(ConfigurationError):
            get(store)


@pytest.mark.usefixtures("nowhere")
def test_a_programs_own_client_may_have_the_same_credentials() -> None:
    """What the store does with them, in its own event loop, is no part of the program's calls."""
    slow = SlowCredential()
    options = asking(slow)["s3"]

    async def cancelled() -> bool:
        own = asyncio.create_task(options["session"]._credentials.get_frozen_credentials())
        assert await asyncio.to_thread(lambda: any(slow.asked for _ in poll(TIMEOUT)))
        own.cancel()
        await asyncio.wait([own])
        slow.over.set()
        return own.cancelled()

    with open_store("s3://bucket", options) as store:
        assert isinstance(store, S3Store)
        store._driver(within(TIMEOUT))
        assert asyncio.run(cancelled())


def test_a_fetch_of_credentials_that_hangs_is_begun_anew(nowhere: pytest.MonkeyPatch) -> None:
    slow = SlowCredential()
    nowhere.setattr("betfair_session.storage.judging._FETCH_SECONDS", 0.1)
    with open_store("abfs://c", slow.options) as store:
        all_fail(store, "timeout", ["read", "create"])
    slow.over.set()
    assert slow.asked == 2


@pytest.mark.parametrize("seconds", [25, 3600])
def test_a_write_refused_for_its_token_has_not_landed(tmp_path: Path, seconds: int) -> None:
    """Azure's driver then fetches another token, which may take longer than the call has.

    One that may expire on its way is not sent at all.
    """
    challenge = "Bearer authorization_uri=https://login.test/t/authorize resource_id=https://s.test"
    about = ("x-ms-error-code: InvalidAuthenticationInfo", f"WWW-Authenticate: {challenge}")
    tls = Stranger(tmp_path / "ca.pem").tls
    with Listener(saying(answer(b"", *about, status="401 No")), tls) as there:
        slow = SlowCredential(minutes=0)
        token = AccessToken("t", int(time.time()) + seconds)
        options = {**slow.options, "account_host": f"localhost:{there.port}"}
        with open_store("abfs://c", options) as store:
            assert isinstance(store, CloudStore)
            client = store._driver(within(TIMEOUT)).driver.service_client
            client._credential_policy._token = token
            client._pipeline._transport.connection_config.verify = str(tmp_path / "ca.pem")
            error = failure("replace", store, timeout=1)
            assert (error.reason, error.landed, slow.asked) == ("timeout", False, 1)
            assert (b"bearer t" in there.heard.lower()) is (seconds > 60)
            slow.over.set()


@pytest.mark.parametrize("ours", [True, False])
def test_renewed_keys_of_amazons_are_read(
    nowhere: pytest.MonkeyPatch, tmp_path: Path, s3: Cloud, *, ours: bool
) -> None:
    """Tools rewrite the file under a program that runs for weeks, which opens one driver anew."""
    bucket = s3.new_bucket()
    nowhere.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    nowhere.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def renew(number: int) -> None:
        (tmp_path / "credentials").write_text(
            f"[default]\naws_access_key_id = KEY{number}\naws_secret_access_key = s\n"
        )

    renew(0)
    filesystem = S3FileSystem(skip_instance_cache=True)
    with open_store(bucket.url() if ours else (filesystem, bucket.name)) as store:
        for number in range(3):
            assert get(store) is None
            s3.expired.add(f"KEY{number}/")
            if ours:  # while the file is being written
                (tmp_path / "credentials").write_text("[default")
                all_fail(store, "other", ["read", "create"])
            renew(number + 1)
            if not ours:
                all_fail(store, "forbidden", ["read"])
                return
        assert get(store) is None
    assert len(s3.orders) == 7, "each key but the first was met with one refusal"


@drivers
@pytest.mark.parametrize("seconds", [3600, 1], ids=["the store's", "the authority's"])
def test_a_renewed_key_file_of_googles_is_read(
    tmp_path: Path, gcs: Cloud, seconds: int, driver: str
) -> None:
    bucket = gcs.new_bucket()
    extra: Any = {"gcs_base_url": gcs.endpoint} if driver else {}
    file = key_file(tmp_path, gcs, 1, seconds, **extra)
    with open_store(driver + bucket.url(), {**bucket.options, "token": str(file)}) as store:
        create(store)
        # Obstore signs a token by itself, whose first part names the key.
        first = gcs.requests[-1].headers["authorization"].partition(".")[0]
        gcs.pages["/token/1"] = Answer(400, b'{"error": "invalid_grant"}', JSON)
        gcs.expired.add(first)
        all_fail(store, "forbidden", ["read", "create"])
        if not driver:  # obstore waits, and takes any answer for a refusal
            gcs.pages["/token/1"] = Answer(503, b"busy", {})
            all_fail(store, "server", ["read", "create"])
        key_file(tmp_path, gcs, 2, **extra)
        assert read(store).content == b"first"
    assert first not in gcs.requests[-1].headers["authorization"]


def test_a_garbled_answer_in_place_of_amazons_credentials_may_pass(
    served: Served, nowhere: pytest.MonkeyPatch, tmp_path: Path, s3: Cloud
) -> None:
    """It is no wrong option, at the first call or a later one; the next one may get an answer."""
    bucket, soon = s3.new_bucket(), (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    given = {"AccessKeyId": "k", "SecretAccessKey": "s", "Token": "t", "Expiration": soon}
    with (
        Listener(saying(b"")) as there,
        served("container", f"http://127.0.0.1:{there.port}", bucket) as store,
    ):
        for garbled in (b"{}", b'{"Expiration": "x"}'):
            there._answer = saying(answer(garbled))
            all_fail(store, "server", ["read", "create"])
            there._answer = saying(answer(json.dumps(given).encode()))
            assert get(store) is None
    nowhere.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    process = tmp_path / "process.py"
    (tmp_path / "config").write_text(
        f"[default]\ncredential_process = '{sys.executable}' '{process}'\n"
    )
    options = bucket.options
    del options["key"], options["secret"]
    for printed in ("print('garbled')", "import sys; sys.stdout.buffer.write(b'\\xff')"):
        process.write_text(printed)
        with open_store(bucket.url(), options) as store:
            all_fail(store, "server", ["read", "create"])
    late = {"Version": 1, **given, "SessionToken": "t", "Expiration": "2020-01-01T00:00:00Z"}
    process.write_text(f"print({json.dumps(late)!r})")  # what has expired is none
    filesystem = S3FileSystem(**options, skip_instance_cache=True)
    for place in ((bucket.url(), options), ((filesystem, bucket.name),)):
        with open_store(*place) as store:
            all_fail(store, "forbidden", ["read", "create"])


@pytest.mark.parametrize(
    ("url", "options", "key"),
    [
        ("s3://bucket", {"profile": "missing"}, "token"),
        ("s3://bucket", {"endpoint_url": "no url"}, "token"),
        ("s3://bucket", {"config_kwargs": {"missing": 1}}, "token"),
        *((f"{url}\ud800", {}, "token") for url in ("s3://b/", "obstore+s3://b/")),
        ("gs://b/\ud800", {"token": "anon"}, "token"),
        *((f"obstore+s3://b/{prefix}", {}, "token") for prefix in ("..", "./a", "a//b")),
        ("s3://b/x", {}, "\ud800"),
    ],
)
def test_what_a_driver_finds_wrong_late_is_a_wrong_argument(
    nowhere: pytest.MonkeyPatch, url: str, options: dict[str, Any], key: str
) -> None:
    """An option, or a name that it cannot send: who waits for the store would wait for ever."""
    nowhere.setenv("AWS_ACCESS_KEY_ID", "k")
    nowhere.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with open_store(url, options) as store, pytest.raises(ConfigurationError):
        get(store, key)


@drivers
def test_a_connection_string_that_the_program_changes_is_read(
    nowhere: pytest.MonkeyPatch, driver: str
) -> None:
    refused = answer(b"", status="401 No")
    with Listener(saying(refused)) as old, Listener(saying(NO_BLOB)) as new:
        nowhere.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION.format("x", old.port))
        with open_store(f"{driver}abfs://c/x") as store:
            all_fail(store, "server", ["read"])
            nowhere.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION.format("x", new.port))
            assert get(store) is None


# --- what is sent ---------------------------------------------------------------------------------


def test_requests_are_as_googles_reference_has_them(gcs: Cloud) -> None:
    """Emulators take more than Google does, such as a slash in an object's name."""
    bucket = gcs.new_bucket()
    with open_store(bucket.url("a b"), bucket.options) as store:
        create(store)
        generation = read(store).version
        delete(store, generation)
    made, looked, removed = gcs.requests
    name, objects = "a%20b%2Ftoken", f"storage/v1/b/{bucket.name}/o"
    assert made.path == f"/upload/{objects}"
    assert made.query == {"uploadType": "multipart", "ifGenerationMatch": "0"}
    assert looked.target == f"/download/{objects}/{name}?alt=media"
    assert removed.target == f"/{objects}/{name}?ifGenerationMatch={generation}"
    kind = made.headers["content-type"]
    message: Any = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + made.body)
    about, content = message.get_payload()
    kinds = [each.get_content_type() for each in (message, about, content)]
    assert kinds == ["multipart/related", "application/json", "application/octet-stream"]
    assert json.loads(about.get_payload()) == {"name": "a b/token"}


def test_a_callers_settings_of_the_client_count(s3: Cloud) -> None:
    """All but its timeouts and retries; with a caller's own filesystem, those too."""
    bucket = s3.new_bucket()
    config = {"user_agent_extra": "team/betting", "retries": {"max_attempts": 9}}
    s3.fail(answer=Says(500, "InternalError"))
    options = {**bucket.options, "config_kwargs": config, "requester_pays": True}
    with open_store(bucket.url(), options) as store:
        error = failure("create", store)
    assert (error.reason, error.landed) == ("server", False)
    (sent,) = s3.requests
    assert "team/betting" in sent.headers["user-agent"]
    assert sent.headers["x-amz-request-payer"] == "requester"
    config = {"retries": {"total_max_attempts": 2}}
    filesystem = S3FileSystem(**bucket.options, config_kwargs=config, skip_instance_cache=True)
    filesystem.retries = 1
    error = failure("create", open_store((filesystem, bucket.name)))
    assert (error.reason, error.landed, len(s3.orders) > 2) == ("server", True, True)


@pytest.mark.parametrize("given", ["asynchronous", "before a fork", "inside"])
def test_a_filesystem_whose_loop_would_never_answer_is_refused(s3: Cloud, given: str) -> None:
    """One without a loop, one of a parent's, and a call from inside the loop itself."""
    bucket = s3.new_bucket()
    own = {"asynchronous": True} if given == "asynchronous" else {}
    filesystem = S3FileSystem(**bucket.options, **own, skip_instance_cache=True)
    store = open_store((filesystem, bucket.name))

    async def inside() -> None:
        get(store)

    if given == "before a fork":
        assert str(in_a_child(lambda: get(store))).startswith("Config")
        return
    with pytest.raises(ConfigurationError):
        fsspec.asyn.sync(filesystem.loop, inside) if given == "inside" else asyncio.run(inside())


# --- the way there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cloud_lane", "variable"),
    [
        ("s3", "AWS_ENDPOINT_URL_S3"),
        ("obstore+s3", "AWS_ENDPOINT_URL"),
        ("gcs", "STORAGE_EMULATOR_HOST"),
        *(("obstore+gcs", name) for name in ("GOOGLE_BASE_URL", "STORAGE_EMULATOR_HOST")),
        *((lane, "AZURE_STORAGE_CONNECTION_STRING") for lane in ("azure", "obstore+azure")),
        ("obstore+azure", "AZURE_STORAGE_ENDPOINT"),
    ],
)
def test_a_slash_at_the_end_of_an_endpoint_means_nothing(
    nowhere: pytest.MonkeyPatch, cloud: Cloud, cloud_place: Bucket, variable: str
) -> None:
    options = cloud_place.options
    name = "connection_string" if cloud.kind == "azure" else "endpoint_url"
    given = options.pop(name).rstrip(";") + "/"
    with open_store(cloud_place.url(), {**options, name: given}) as store:
        create(store)
    if variable == "AZURE_STORAGE_ENDPOINT":
        parts = dict(part.split("=", 1) for part in given.split(";"))
        options = {"account_name": parts["AccountName"], "account_key": parts["AccountKey"]}
        given = parts["BlobEndpoint"]
    nowhere.setenv(variable, given)
    with open_store(cloud_place.url(), options) as store:
        assert read(store).content == b"first"
    assert all("//" not in each.path for each in cloud.requests)


_VIRTUAL, _PATH = (
    {"config_kwargs": {"s3": {"addressing_style": each}}} for each in ("virtual", "path")
)
_X, _WRONG = "https://x.example", "https://wrong.example"
_EMULATOR, _ANON = "STORAGE_EMULATOR_HOST", {"token": "anon"}
_AMAZON, _GOOGLE = "s3.us-east-1.amazonaws.com", "storage.googleapis.com"
_AZURE, _CHINA = "n.blob.core.windows.net", "n.blob.core.chinacloudapi.cn"
_KEY = {"account_key": "ZGV2ZWxvcG1lbnQ="}
_NAMED = {"account_name": "n", **_KEY}
_SIGNED = {"connection_string": "BlobEndpoint=https://n.blob.core.windows.net/?sv=1&sig=x"}
_OWN = f"BlobEndpoint={_WRONG};SharedAccessSignature=sv=1&sig=x"
_BARE = {"account_name": "n", "connection_string": _OWN.replace(_WRONG, _AZURE)}
ADDRESSES: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ("s3://b", REGION, {}, "s3.eu-west-1.amazonaws.com"),
    ("obstore+s3://b", {}, {}, _AMAZON),
    ("obstore+s3://b", _VIRTUAL, {}, f"b.{_AMAZON}"),
    ("obstore+s3://b", _PATH, {}, _AMAZON),
    # An option goes before the environment; obstore itself prefers AWS_ENDPOINT_URL_S3.
    ("obstore+s3://b", {"endpoint_url": _X}, {"AWS_ENDPOINT_URL_S3": _WRONG}, "x.example"),
    ("obstore+s3://b", {"config": {"endpoint": _X}}, {"AWS_ENDPOINT_URL_S3": _WRONG}, "x.example"),
    ("obstore+s3://b", {"config": {"AWS_ENDPOINT_URL": _X}}, {"AWS_ENDPOINT": _WRONG}, "x.example"),
    ("obstore+s3://b", {}, {"AWS_DEFAULT_REGION": "eu-west-1"}, "s3.eu-west-1.amazonaws.com"),
    (
        "obstore+s3://b",
        {},
        {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "eu-west-1"},
        "s3.eu-west-1.amazonaws.com",
    ),
    ("obstore+gs://b", _ANON, {}, _GOOGLE),
    ("gs://b", _ANON, {}, _GOOGLE),
    ("obstore+gs://b", {**_ANON, "endpoint_url": _X}, {_EMULATOR: _WRONG}, "x.example"),
    ("obstore+gs://b", _ANON, {_EMULATOR: _X}, "x.example"),
    ("obstore+gs://b", _ANON, {_EMULATOR: "default"}, _GOOGLE),
    ("abfs://c", _NAMED, {}, _AZURE),
    ("obstore+abfs://c", _NAMED, {}, _AZURE),
    ("obstore+abfs://c", _KEY, {"AZURE_STORAGE_ACCOUNT_NAME": "n"}, _AZURE),
    ("obstore+abfs://c@n.dfs.core.windows.net/p", _KEY, {}, _AZURE),
    ("obstore+abfs://c@n.dfs.core.windows.net:443/p", _KEY, {}, _AZURE),
    ("obstore+abfs://n.blob.core.windows.net/c/p", _KEY, {}, _AZURE),
    ("obstore+abfs://c@n.x.cn/p", {"account_host": _CHINA, **_NAMED}, {}, _CHINA),
    ("obstore+abfs://c", _SIGNED, {}, _AZURE),
    ("abfs://c", _BARE, {}, _AZURE),
    ("obstore+abfs://c", _NAMED, {"AZURE_STORAGE_CONNECTION_STRING": _OWN}, _AZURE),
]


@pytest.mark.parametrize(("url", "options", "variables", "host"), ADDRESSES, ids=str)
def test_a_store_is_reached_through_the_proxy_and_nowhere_else(
    nowhere: pytest.MonkeyPatch,
    url: str,
    options: dict[str, Any],
    variables: dict[str, str],
    host: str,
) -> None:
    for name, value in variables.items():
        nowhere.setenv(name, value)
    nowhere.setenv("AWS_ACCESS_KEY_ID", "k")
    nowhere.setenv("AWS_SECRET_ACCESS_KEY", "s")
    before = json.dumps(options)
    with Listener(saying(answer(b"", status="503 No"))) as proxy:
        nowhere.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with open_store(url, options) as store:
            assert failure("read", store).reason == "unreachable"
            heard = proxy.heard
            if url.startswith("obstore"):
                store.server_now(deadline=within(TIMEOUT))
    assert heard.split(b"\r\n")[0].split()[1].decode() == f"{host}:443"
    if url.startswith("obstore") and "virtual" not in before:
        assert proxy.heard[len(heard) :].startswith(f"CONNECT {host}:443 ".encode())
    assert json.dumps(options) == before


def test_a_bucket_in_another_region_is_found(nowhere: pytest.MonkeyPatch) -> None:
    """S3 names the region in a redirect, mostly without a place; that place is not followed."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.heard = b""
        listener.read_request(connection)
        place = ("x-amz-bucket-region: eu-west-1", "Location: http://elsewhere.invalid/")
        moved = answer(b"", *place, status="301 Moved")
        there = answer(b"content", 'ETag: "v"', "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT")
        connection.sendall(there if b"eu-west-1.amazonaws.com" in listener.heard else moved)

    _, options = CLOUDS["s3"]
    plain = {"client_kwargs": {"region_name": "us-west-2", "use_ssl": False}}
    with Listener(serve) as proxy, open_store("s3://bucket", {**options, **plain}) as store:
        nowhere.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        found = get(store)
        assert found
        assert (found.content, found.version) == (b"content", '"v"')


def test_a_callers_own_proxy_goes_before_the_environments(nowhere: pytest.MonkeyPatch) -> None:
    no = answer(b"", status="503 No")
    with Listener(saying(no)) as theirs, Listener(saying(no)) as proxy:
        nowhere.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        own = {"session_kwargs": {"proxy": f"http://127.0.0.1:{theirs.port}"}}
        with open_store("gs://bucket", {"token": "anon", **own}) as store:
            assert failure("read", store).reason == "unreachable"
        assert theirs.heard.startswith(b"CONNECT storage.googleapis.com:443 ")
        assert proxy.connections == 0


@drivers
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_proxys_refusal_is_not_the_stores(
    nowhere: pytest.MonkeyPatch, cloud: str, driver: str
) -> None:
    """If it makes no connection, nothing was sent: no object is missing and no race is lost."""
    url, options = CLOUDS[cloud]
    for status in (403, 404, 407, 409, 412, 502, 503):
        no = answer(b"no", status=f"{status} No")
        with Listener(saying(no)) as proxy, open_store(driver + url, options) as store:
            nowhere.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
            for call in ("read", "create"):
                error = failure(call, store)
                assert (error.reason, error.landed) == ("unreachable", False)
                assert "user" not in str(error)
                assert str(status) in str(error) or (driver and status != 407)
        assert base64.b64encode(b"user:pass") in proxy.heard


def test_nobody_listening_is_told(cloud: Cloud, cloud_place: Bucket) -> None:
    cloud.stop()
    with open_store(cloud_place.url(), cloud_place.options) as store:
        all_fail(store, "unreachable")


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("cloud_lane", ["gcs", "azure"])
def test_netrc_has_no_say(cloud: Cloud, cloud_place: Bucket, netrc: bytes) -> None:
    """Aiohttp would read it with the proxy, and refuse to send two authorizations."""
    credentials: Any = Credentials  # it has no types
    token = {"token": credentials("bearer")} if cloud.kind == "gcs" else {}
    with open_store(cloud_place.url(), cloud_place.options | token) as store:
        create(store)
    assert not any(netrc.decode() in each.headers["authorization"] for each in cloud.requests)


@pytest.mark.parametrize("patched", ["gevent", "eventlet"])
def test_patched_threads_are_refused(monkeypatch: pytest.MonkeyPatch, patched: str) -> None:
    """An event loop would hold the one real thread; obstore needs none."""
    url, options = CLOUDS["s3"]
    given = fsspec.core.url_to_fs(url, **options, skip_instance_cache=True)
    before = open_store(url, options)
    with monkeypatch.context() as patch:
        # In place of what their monkey-patching puts there.
        green = Mock(side_effect=threading.get_ident, __module__=f"{patched}.thread")
        patch.setattr(threading, "get_ident", green)
        for arguments in ((given,), (url, options)):
            with pytest.raises(ConfigurationError):
                open_store(*arguments)
        with pytest.raises(ConfigurationError):
            before.get("session.token", deadline=within(TIMEOUT))
        open_store(f"obstore+{url}", options).close()


def test_the_time_is_asked_for_without_netrc(netrc: bytes) -> None:
    """Obstore hides it; the request for it sends no password of .netrc. It may stay unknown."""
    dated = answer(b"", "Date: Sun, 22 Nov 2026 12:00:00 GMT")
    for said, now in ((dated, 1795348800.0), (answer(b""), None)):
        with Listener(saying(said)) as listener:
            endpoint = {"endpoint_url": f"http://127.0.0.1:{listener.port}"}
            store = open_store("obstore+s3://bucket", {**endpoint, "key": "k", "secret": "s"})
            assert store.server_now(deadline=within(TIMEOUT)) == now
        assert listener.heard.startswith(b"HEAD / HTTP/1.1\r\n")
        assert netrc not in listener.heard
        assert store.server_now(deadline=within(TIMEOUT)) is None


@pytest.mark.parametrize(
    "lacking", [NoThreadError(), RuntimeError("can't create new thread at interpreter shutdown")]
)
def test_an_event_loop_without_a_thread_keeps_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, lacking: Exception
) -> None:
    made = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "_new_loop", lambda: made)
    monkeypatch.setattr(loop, "start", Mock(side_effect=lacking))
    with pytest.raises(type(lacking)):
        loop._Loops().get()
    assert made.is_closed()


def test_a_drivers_task_that_would_end_the_program_ends_no_event_loop() -> None:
    async def work() -> None:
        await asyncio.create_task(end())

    async def end() -> None:
        sys.exit("x")

    for _ in range(2):
        with pytest.raises(RuntimeError):
            loop.run(loop.background_loop(), work, deadline=within(TIMEOUT))


def test_a_call_that_nobody_waits_for_fails_without_a_word(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-C; asyncio would log its error, with a traceback."""
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TimeoutError from None

    def left(work: Coroutine[Any, Any, None], on: asyncio.AbstractEventLoop) -> Future[None]:
        monkeypatch.undo()
        call = asyncio.run_coroutine_threadsafe(work, on)
        assert begun.wait(TIMEOUT)
        call.cancel()
        return call

    gc.collect()  # what other tests left
    caplog.clear()
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", left)
    with pytest.raises(CancelledError):
        loop.run(loop.background_loop(), work, deadline=within(60))
    for _ in range(5):  # turns of the loop, in which the call ends
        loop.run(loop.background_loop(), partial(asyncio.sleep, 0), deadline=within(TIMEOUT))
    gc.collect()
    assert caplog.records == []


def test_a_policy_for_the_main_thread_leaves_the_drivers_loop_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For one, qasync's run where the program's windows are, and nowhere else."""
    monkeypatch.setattr(asyncio, "new_event_loop", Mock(side_effect=RuntimeError))
    with contextlib.closing(loop._new_loop()) as made:
        assert made.run_until_complete(asyncio.sleep(0, "ran")) == "ran"


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_driver_closes_by_itself_what_the_store_closes(cloud: str) -> None:
    """At a forked child's end each driver would wait for its parent's event loop."""
    url, options = CLOUDS[cloud]
    with open_store(url, options) as store:
        assert isinstance(store, CloudStore)
        driver = store._driver(within(TIMEOUT)).driver
        theirs = [each.peek() for each in weakref.finalize._registry]  # type: ignore[attr-defined]
        assert [each for each in theirs if each and each[0] is driver] == []


@pytest.mark.parametrize("answer", ["stall", Says(403, "AccessDenied"), Says(412, "Unmet")])
def test_a_failed_call_keeps_no_driver(s3: Cloud, answer: Any) -> None:  # noqa: ANN401 - a fault's
    """Not by a cycle through its error, nor if that is kept, as KeepAlive keeps the last one."""
    bucket, kept = s3.new_bucket(), list[object]()
    with open_store(bucket.url(), bucket.options) as store:
        assert isinstance(store, CloudStore)
        opened = weakref.ref(store._driver(within(TIMEOUT)))
        s3.fail("GET", answer=answer)
        s3.fail("PUT", answer=answer)
        gc.collect()
        gc.disable()
        try:
            for call in (partial(store.get, "key"), partial(store.put, "key", b"one", ABSENT)):
                try:
                    kept.append(call(deadline=within(1)))
                except StoreError as error:
                    kept.append(error)
            store.close()
            assert any(opened() is None for _ in poll(TIMEOUT))
        finally:
            gc.enable()


def test_calls_under_way_end_before_their_driver_is_closed(
    s3: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads may have it opened anew meanwhile, as keys expire; the rest are closed."""
    bucket, closed = s3.new_bucket(), list[int]()
    fault = s3.fail("GET", answer="hold")
    with ThreadPoolExecutor() as pool, open_store(bucket.url(), bucket.options) as store:
        assert isinstance(store, S3Store)
        shut = store._shut

        async def noted(driver: object) -> None:
            closed.append(id(driver))  # fsspec's are equal to each other
            await shut(driver)

        def renewed() -> int:
            opened = store._driver(within(TIMEOUT))
            store._ours.forget(opened)
            return id(opened.driver)

        monkeypatch.setattr(store, "_shut", noted)
        monkeypatch.setattr(loop, "_GRACE_SECONDS", 60)
        reading = pool.submit(get, store)
        assert fault.reached.wait(60)
        first, second, third = renewed(), renewed(), id(store._driver(within(TIMEOUT)).driver)
        assert closed == [second]
        store.close()
        assert closed == [second, third]
        fault.release.set()
        assert reading.result() is None
        assert any(closed == [second, third, first] for _ in poll(60))


@pytest.mark.parametrize(
    ("cloud", "name", "package"),
    [
        ("s3", "s3fs.S3FileSystem._find_bucket_key", "s3fs"),
        ("s3", "aiobotocore.httpsession.AIOHTTPSession._get_session", "aiobotocore"),
        ("s3", "botocore.handlers.add_expect_header", "botocore"),
        ("gs", "gcsfs.core.GCSFileSystem._split_path", "gcsfs"),
        ("az", "adlfs.AzureBlobFileSystem._strip_protocol", "adlfs"),
        ("az", "azure.storage.blob.aio.BlobServiceClient.get_blob_client", "azure-storage-blob"),
    ],
)
def test_a_name_that_a_driver_has_no_longer_is_told_with_its_version(
    monkeypatch: pytest.MonkeyPatch, cloud: str, name: str, package: str
) -> None:
    """Most are private, and any release may drop them; the store then stops with an error."""
    url, options = CLOUDS[cloud]
    monkeypatch.delattr(name)
    with pytest.raises(ConfigurationError) as caught:
        open_store(url, options).get("token", deadline=within(TIMEOUT))
    said = str(caught.value)
    assert f"{package} {version(package)}" in said
    assert name.rpartition(".")[2] in said


def test_what_a_driver_would_not_look_at_is_not_set() -> None:
    with pytest.raises(AttributeError):
        set_known(types.SimpleNamespace(known=1), unknown=3)


@pytest.mark.parametrize(
    "text",
    [
        "Invalid endpoint: user:hidden1@127.0.0.1:1",
        'Unable to open file from {"client_secret": "hidden1", "refresh_token": "1//hidden1"}',
        'No such file or directory: \'{"client_secret": "hidden1"}\'',
        'Invalid bucket name "AKIAIOSFODNN7EXAMPLE:hidden1@bucket"',
        "SharedKey account:hidden1= was refused",
        f"No such file or directory: {PEM!r}",
        f"Unable to open file from {json.dumps({'private_key': PEM})}",
        'credentials: {"SecretAccessKey":"hidden1/K7MDENG","SessionToken":"hidden1/IQoJ"}',
    ],
)
def test_a_drivers_text_is_shown_without_what_may_be_a_secret(text: str) -> None:
    """A key file's content where its path belongs is a common mistake."""
    shown = clean(text)
    assert "hidden1" not in shown
    assert shown.split()[0] == text.split(maxsplit=1)[0]


def test_no_token_shows_in_a_drivers_text() -> None:
    """Betfair's have 44 characters of base64, slashes among them; a long path is no token.

    Nor does a line of a key's base64, which has no padding.
    """
    tokens = {base64.b64encode(random.Random(seed).randbytes(31)).decode() for seed in range(500)}
    assert any("/" in token for token in tokens)
    for token in tokens:
        assert token.strip("=") not in clean(f"cannot store {token}")
    for key in (
        base64.b64encode(random.Random(seed).randbytes(48)).decode() for seed in range(500)
    ):
        assert clean(f"no such file: '{key}'") == "no such file: '…'"
    for path in (
        "/data/year=2026/month=11/betfair/sessions/shared/by/all",
        "/Users/JaneDoe/Documents/GitHub/BetfairBot/Secrets/GoogleKey",
        "assumed-role/MyTradingBotExecutionRoleProd/BetfairSessionSharedLogin",
    ):
        assert path in clean(f"no such file: {path}")


def test_credentials_that_take_long_hold_no_read_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request for them gets as long as the read itself has; obstore knows no whole."""
    over, store = threading.Event(), open_store("obstore+s3://b", {"anon": True})
    monkeypatch.setattr(store, "_read", lambda *_: over.wait(60))
    try:
        assert failure("read", store, timeout=0.2).reason == "timeout"
        assert not over.is_set()
    finally:
        over.set()
