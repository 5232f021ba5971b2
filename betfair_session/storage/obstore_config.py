"""Options of s3fs, gcsfs and adlfs, as obstore's configuration.

What has no counterpart is an error, not silently dropped; obstore's own settings go in as they are
under "config" and "client_options".
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
    from collections.abc import Mapping

_Options = dict[str, Any]

_NAMES = {
    "s3": {
        "key": "access_key_id",
        "username": "access_key_id",
        "aws_access_key_id": "access_key_id",
        "secret": "secret_access_key",
        "password": "secret_access_key",
        "aws_secret_access_key": "secret_access_key",
        "token": "session_token",
        "aws_session_token": "session_token",
        "anon": "skip_signature",
        "endpoint_url": "endpoint",
        "region_name": "region",
        "requester_pays": "request_payer",
        "ServerSideEncryption": "server_side_encryption",
        "SSEKMSKeyId": "sse_kms_key_id",
        "BucketKeyEnabled": "sse_bucket_key_enabled",
    },
    "gs": {"endpoint_url": "base_url"},
    "az": {
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_token": "sas_key",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "tenant_id": "tenant_id",
        "anon": "skip_signature",
    },
}
"""obstore's names for those of the other drivers."""

_NESTED = ("client_kwargs", "s3_additional_kwargs", "config_kwargs", "s3")
"""Options of s3fs that hold others."""

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
    "az": ("endpoint", "azure_storage_endpoint", "azure_endpoint"),
}
"""Under which names obstore takes an endpoint, in small letters; the first before the others."""

_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""What obstore takes an endpoint from, the first before the others; it does not tell."""

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_ANONYMOUS_GOOGLE = {"client_email": "", "private_key": "", "private_key_id": ""}


def configure(cloud: str, options: Mapping[str, Any]) -> tuple[_Options, str | None]:
    """Return the `config` of obstore's store, and the endpoint that it or the environment names.

    A named endpoint goes before the environment's and ends without a slash, and Amazon is sent a
    checksum, as the other drivers do.
    """
    options = {name: value for name, value in options.items() if name != "client_options"}
    own = options.pop("config", {})
    config = {**translate(cloud, options), **own}
    lower = {str(name).lower(): value for name, value in config.items()}
    name, endpoint = _endpoint(cloud, lower)
    if endpoint is None and cloud == "s3":
        endpoint = _china(lower)
    if endpoint is not None:
        if not (isinstance(endpoint, str) and _URL.fullmatch(endpoint)):
            message = f"{name} must begin with https://, or http:// for an emulator"
            raise ConfigurationError(message)
        config = {n: text for n, text in config.items() if str(n).lower() not in _ENDPOINTS[cloud]}
        # Azure's portal writes a slash at the end of BlobEndpoint; obstore would ask for
        # //container.
        endpoint = config[_ENDPOINTS[cloud][0]] = endpoint.rstrip("/")
    if cloud == "s3" and is_amazon(endpoint) and not any("checksum_algorithm" in n for n in lower):
        # A bucket where Object Lock retains objects by default takes no write without one.
        config["aws_checksum_algorithm"] = "sha256"
    return config, endpoint


def _endpoint(cloud: str, config: Mapping[str, Any]) -> tuple[str, Any]:
    """Return what names an endpoint, for people, and the endpoint; None for the cloud's own."""
    for name in _ENDPOINTS[cloud]:
        if name in config:
            return "the endpoint" if cloud == "az" else "endpoint_url", config[name]
    for name in _VARIABLES[cloud]:
        if os.environ.get(name):
            return name, os.environ[name]
    return "", None


def _china(config: Mapping[str, Any]) -> str | None:
    """Return the endpoint of one of China's regions, which obstore would ask at amazonaws.com."""
    names, variables = ("region", "aws_region"), ("AWS_REGION", "AWS_DEFAULT_REGION")
    given = [config.get(name) for name in names] + [os.environ.get(name) for name in variables]
    region = next((str(region) for region in given if region), "")
    return f"https://s3.{region}.amazonaws.com.cn" if region.startswith("cn-") else None


def translate(cloud: str, options: Mapping[str, Any]) -> _Options:
    """Turn the other drivers' options into obstore's; None and False mean "not given"."""
    given = _flat(options)
    config: _Options = {}
    if cloud == "s3" and given.pop("addressing_style", None) == "virtual":
        config["virtual_hosted_style_request"] = True
    elif cloud == "gs":
        config = _google(given)
    elif cloud == "az":
        config = _azure(given)
    names = _NAMES[cloud]
    unknown = sorted(given.keys() - names.keys())
    if unknown:
        message = (
            f"the storage option {unknown[0]!r} has no counterpart in obstore: leave it out, give "
            'obstore\'s own setting under "config" or "client_options", or use the URL without '
            '"obstore+"'
        )
        raise ConfigurationError(message)
    return config | {names[name]: value for name, value in given.items()}


def _flat(options: Mapping[str, Any]) -> _Options:
    """Return options with those that s3fs takes nested beside the others."""
    flat: _Options = {}
    for name in _NESTED:
        if options.get(name):
            flat |= _flat(options[name])
    return flat | {
        name: value
        for name, value in options.items()
        if name not in _NESTED and value not in (None, False)
    }


def _google(options: _Options) -> _Options:
    """Take out of gcsfs's options what is not just called by another name."""
    config: _Options = {}
    options.pop("project", None)  # a bucket's objects are found without
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")  # gcsfs reads it, obstore does not
    if emulator not in {"", "default"}:
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
    return config


def _azure(options: _Options) -> _Options:
    """Take out of adlfs's options what is not just called by another name."""
    config: _Options = {}
    text = options.pop("connection_string", None)
    if text is None and not {"account_name", "account_host"} & options.keys():
        text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")  # adlfs reads it, obstore does not
    if text is not None:
        config = _connection_string(text)
    host = options.pop("account_host", None)
    if host is not None:
        config["endpoint"] = f"https://{host}"
    if isinstance(options.get("sas_token"), str):
        options["sas_token"] = options["sas_token"].lstrip("?")
    return config


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


def usual_endpoint(cloud: str, config: Mapping[str, Any]) -> str:
    """Return the address of the cloud's own service that holds the bucket."""
    if cloud == "s3":
        return f"https://s3.{config.get('region', 'us-east-1')}.amazonaws.com"
    if cloud == "gs":
        return "https://storage.googleapis.com"
    return f"https://{config['account_name']}.blob.core.windows.net"
