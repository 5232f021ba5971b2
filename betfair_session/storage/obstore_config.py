"""fsspec's storage options, as obstore's configuration.

The names on the left are those of s3fs, gcsfs and adlfs. What has no counterpart is an error, not
silently dropped; obstore's own settings go in as they are under "config" and "client_options".
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from betfair_session.exceptions import ConfigurationError

from .location import is_amazon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Options = dict[str, Any]

_S3 = {
    "key": "access_key_id",
    "username": "access_key_id",
    "secret": "secret_access_key",
    "password": "secret_access_key",
    "token": "session_token",
    "anon": "skip_signature",
    "endpoint_url": "endpoint",
    "requester_pays": "request_payer",
}
_S3_CLIENT = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "endpoint_url": "endpoint",
    "region_name": "region",
}
_S3_EXTRA = {
    "ServerSideEncryption": "server_side_encryption",
    "SSEKMSKeyId": "sse_kms_key_id",
    "BucketKeyEnabled": "sse_bucket_key_enabled",
}
_AZURE = {
    "account_name": "account_name",
    "account_key": "account_key",
    "sas_token": "sas_key",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "tenant_id": "tenant_id",
    "anon": "skip_signature",
}
_CONNECTION_STRING = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_key",
    "blobendpoint": "endpoint",
}
_ENDPOINTS = {
    "s3": (
        *("aws_endpoint_url_s3", "endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"),
        *("endpoint_url", "endpoint"),
    ),
    "gs": ("google_base_url", "base_url"),
    "az": ("azure_storage_endpoint", "azure_endpoint", "endpoint"),
}
"""Under which names obstore takes an endpoint, in small letters."""

_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""What obstore takes an endpoint from, the first before the others; it does not tell."""

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_ANONYMOUS_GOOGLE = {"client_email": "", "private_key": "", "private_key_id": ""}


def translate(cloud: str, options: Mapping[str, Any]) -> _Options:
    """Turn fsspec's options into a configuration for obstore.

    Args:
        cloud: "s3", "gs" or "az".
        options: what s3fs, gcsfs or adlfs would be given; None and False mean "not given".

    Returns:
        The `config` of obstore's store.

    Raises:
        ConfigurationError: an option has no counterpart.
    """
    given = {name: value for name, value in options.items() if value not in (None, False)}
    return _CLOUDS[cloud](given)


def complete(cloud: str, config: _Options) -> _Options:
    """Add what obstore would otherwise do in another way than the other drivers.

    A named endpoint goes before the environment's and ends without a slash, and Amazon is sent a
    checksum.

    Args:
        cloud: "s3", "gs" or "az".
        config: the `config` of obstore's store.

    Returns:
        The same, with more in it.

    Raises:
        ConfigurationError: the endpoint is no address.
    """
    # Azure's portal writes a slash at the end of BlobEndpoint; obstore would ask for //container.
    config = {
        name: text.rstrip("/") if isinstance(text, str) and _names_endpoint(cloud, name) else text
        for name, text in config.items()
    }
    named = named_endpoint(cloud, config)
    lower = {str(name).lower() for name in config}
    if cloud == "s3" and is_amazon(named) and not any("checksum_algorithm" in n for n in lower):
        # A bucket where Object Lock retains objects by default takes no write without one.
        config["aws_checksum_algorithm"] = "sha256"
    if named and named.endswith("/"):  # of the environment
        config[_ENDPOINTS[cloud][0]] = named.rstrip("/")
    elif cloud == "s3" and named and os.environ.get("AWS_ENDPOINT_URL_S3"):
        config["aws_endpoint_url_s3"] = named
    return config


def _names_endpoint(cloud: str, name: object) -> bool:
    return str(name).lower() in _ENDPOINTS[cloud]


def named_endpoint(cloud: str, config: Mapping[str, Any]) -> str | None:
    """Return the address that a configuration or the environment names, if they do.

    Args:
        cloud: "s3", "gs" or "az".
        config: what `translate` returned, or the `config` of obstore's store.

    Raises:
        ConfigurationError: it is no address; obstore would panic with it.
    """
    lower = {str(name).lower(): value for name, value in config.items()}
    given = next((lower[name] for name in _ENDPOINTS[cloud] if name in lower), None)
    if given is not None:
        _check_url(given, "the endpoint" if cloud == "az" else "endpoint_url")
        return str(given)
    for name in _VARIABLES[cloud]:
        if os.environ.get(name):
            _check_url(os.environ[name], name)
            return os.environ[name]
    return None


def _check_url(value: object, name: str) -> None:
    if not (isinstance(value, str) and _URL.fullmatch(value)):
        message = f"{name} must begin with https://, or http:// for an emulator"
        raise ConfigurationError(message)


def endpoint_of(cloud: str, config: Mapping[str, Any]) -> str:
    """Return the address of the service that holds the bucket."""
    named = named_endpoint(cloud, config)
    if named:
        return named
    if cloud == "s3":
        region = str(config.get("region", "us-east-1"))
        china = ".cn" if region.startswith("cn-") else ""
        return f"https://s3.{region}.amazonaws.com{china}"
    if cloud == "gs":
        return "https://storage.googleapis.com"
    return f"https://{config['account_name']}.blob.core.windows.net"


def _s3(options: _Options) -> _Options:
    client = options.pop("client_kwargs", {})
    extra = options.pop("s3_additional_kwargs", {})
    style = options.pop("config_kwargs", {})
    config = _rename(client, _S3_CLIENT, "client_kwargs option")
    config |= _rename(extra, _S3_EXTRA, "s3_additional_kwargs option")
    addressing = style["s3"] if style.keys() == {"s3"} else style
    if addressing.get("addressing_style") == "virtual":
        config["virtual_hosted_style_request"] = True
    _rename({name: None for name in addressing if name != "addressing_style"}, {}, "config option")
    return config | _rename(options, _S3, "option")


def _gs(options: _Options) -> _Options:
    config: _Options = {}
    options.pop("project", None)  # a bucket's objects are found without
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")  # gcsfs reads it, obstore does not
    if "endpoint_url" in options:
        config["base_url"] = options.pop("endpoint_url")
    elif emulator not in {"", "default"}:
        config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
    token = options.pop("token", None)
    if token == "anon":  # noqa: S105 - gcsfs's word for "without credentials"
        # skip_signature is not enough: obstore would still look for credentials to write with.
        config["service_account_key"] = json.dumps({**_ANONYMOUS_GOOGLE, "disable_oauth": True})
    elif isinstance(token, dict):
        config["service_account_key"] = json.dumps(token)
    elif isinstance(token, str) and os.path.exists(token):
        config["application_credentials"] = token
    elif isinstance(token, str) and token not in {"google_default", "cloud", "cache", "browser"}:
        config["bearer_token"] = token
    elif token not in {None, "google_default", "cloud"}:
        options["token"] = token
    return config | _rename(options, {}, "option")


def _az(options: _Options) -> _Options:
    config: _Options = {}
    text = options.pop("connection_string", None)
    if text is None and not {"account_name", "account_host"} & options.keys():
        text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")  # adlfs reads it, obstore does not
    if text is not None:
        config |= _connection_string(text)
    host = options.pop("account_host", None)
    if host is not None:
        config["endpoint"] = f"https://{host}"
    if isinstance(options.get("sas_token"), str):
        options["sas_token"] = options["sas_token"].lstrip("?")
    return config | _rename(options, _AZURE, "option")


def _connection_string(text: str) -> _Options:
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
    parts = {name.strip().lower(): value.strip() for name, value in parts.items()}
    config = {ours: parts[name] for name, ours in _CONNECTION_STRING.items() if name in parts}
    if "account_name" not in config:
        endpoint = urlsplit(config.get("endpoint", ""))
        # account.blob.core.windows.net, or an emulator's 127.0.0.1:10000/account
        name = endpoint.path.strip("/") or (endpoint.hostname or "").partition(".")[0]
        if not name:
            message = "the connection string names neither AccountName nor BlobEndpoint"
            raise ConfigurationError(message)
        config["account_name"] = name
    address, _, signature = config.get("endpoint", "").partition("?")
    if signature:
        config |= {"endpoint": address, "sas_key": signature}
    if "endpoint" not in config and "endpointsuffix" in parts:
        scheme = parts.get("defaultendpointsprotocol", "https")
        suffix = parts["endpointsuffix"]
        config["endpoint"] = f"{scheme}://{config['account_name']}.blob.{suffix}"
    return config


def _rename(options: Mapping[str, Any], names: Mapping[str, str], what: str) -> _Options:
    unknown = sorted(options.keys() - names.keys())
    if unknown:
        message = (
            f"the storage {what} {unknown[0]!r} has no counterpart in obstore: leave it out, give "
            'obstore\'s own setting under "config" or "client_options", or use the URL without '
            '"obstore+"'
        )
        raise ConfigurationError(message)
    return {names[name]: value for name, value in options.items()}


_CLOUDS: dict[str, Callable[[_Options], _Options]] = {"s3": _s3, "gs": _gs, "az": _az}
