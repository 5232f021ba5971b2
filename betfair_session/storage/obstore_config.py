"""Translate options of s3fs, gcsfs and adlfs into obstore's configuration.

An option without a counterpart is an error. obstore's own settings pass unchanged, under "config"
and "client_options".
"""

from __future__ import annotations

import json
import os
import re
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from betfair_session.arguments import check_options
from betfair_session.exceptions import ConfigurationError

from .location import is_amazon

if TYPE_CHECKING:
    from collections.abc import Mapping

_Options: TypeAlias = dict[str, Any]

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
        "client_id": "client_id",
        "client_secret": "client_secret",
        "tenant_id": "tenant_id",
        "sas_token": "sas_key",
        "anon": "skip_signature",
    },
}
"""The other drivers' option names, and obstore's name for each."""

_NESTED = ("client_kwargs", "s3_additional_kwargs", "config_kwargs", "s3")
"""Options of s3fs whose value is a mapping of further options."""

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
"""The names under which obstore takes an endpoint, in lower case; earlier ones win.

The names with a cloud's name, in upper case, are also the environment variables that obstore reads.
It does not show which endpoint it has taken from them.
"""

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_GOOGLE_FILE = r"(google_)?(service_account(_path)?|application_credentials)"
_GOOGLE_VARIABLES = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH")
_ANONYMOUS_GOOGLE = {"client_email": "", "private_key": "", "private_key_id": ""}


def configure(cloud: str, options: _Options) -> tuple[_Options, str | None]:
    """Return the `config` for obstore's store, and the endpoint, None for the cloud's own.

    An endpoint in the options goes before the environment's; slashes at its end are removed. Amazon
    gets a checksum with each write, as from the other drivers.
    """
    own = ("config", "client_options")
    given = _flat({name: value for name, value in options.items() if name not in own})
    virtual = cloud == "s3" and given.get("addressing_style") == "virtual"
    config: _Options = _translate(cloud, given) | options.get("config", {})
    config = {str(name).lower(): value for name, value in config.items()}
    names = _ENDPOINTS[cloud]
    variables = [name.upper() for name in names if name.startswith(("aws", "google", "azure"))]
    named = [("the endpoint (endpoint_url)", config[name]) for name in names if name in config]
    named += [(name, os.environ[name]) for name in variables if os.environ.get(name)]
    name, endpoint = named[0] if named else ("", None)
    if named and virtual:  # or it would take the prefix's first part for the bucket
        message = f"obstore takes {name} for the bucket's own where addressing_style is 'virtual'"
        instead = "config={'virtual_hosted_style_request': True}"
        raise ConfigurationError(f"{message}: begin it with the bucket, and give {instead} instead")
    if named:
        if not (isinstance(endpoint, str) and _URL.fullmatch(endpoint)):
            raise ConfigurationError(f"{name} must begin with https://, or http:// for an emulator")
        config = {name: value for name, value in config.items() if name not in names}
        # BlobEndpoint from Azure's portal ends with a slash: obstore would ask for //container.
        endpoint = config[names[0]] = endpoint.rstrip("/")
    summed = any("checksum_algorithm" in each for each in config)
    if cloud == "s3" and is_amazon(endpoint) and not summed:
        # A bucket whose Object Lock has a default retention refuses writes without a checksum.
        config["aws_checksum_algorithm"] = "sha256"
    return config, endpoint


def _flat(options: Mapping[str, Any]) -> _Options:
    """Move s3fs's nested options to the top level; drop None and False, which mean "not given"."""
    flat: _Options = {}
    for name, value in options.items():
        if value not in (None, False):
            flat |= _flat(value) if name in _NESTED else {name: value}
    return flat


def _translate(cloud: str, given: _Options) -> _Options:
    """Turn the other drivers' options into obstore's."""
    config: _Options = {}
    if cloud == "s3" and given.pop("addressing_style", None) == "virtual":
        config["virtual_hosted_style_request"] = True
    elif cloud == "gs":
        config = _google(given)
    elif cloud == "az":
        config = _azure(given)
    names = _NAMES[cloud]
    check_options("obstore", given, names)
    return config | {names[name]: value for name, value in given.items()}


def _google(options: _Options) -> _Options:
    """Take from gcsfs's options those that need more than another name; return obstore's."""
    config: _Options = {}
    options.pop("project", None)  # not needed to find a bucket's objects
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")  # gcsfs reads it, obstore does not
    if emulator not in {"", "default"}:
        config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
    token = options.pop("token", None)
    if token == "anon":  # noqa: S105 - gcsfs's word for "without credentials"
        # skip_signature is not enough: obstore would still look for credentials to write with.
        token = {**_ANONYMOUS_GOOGLE, "disable_oauth": True}
    if isinstance(token, dict):
        config["service_account_key"] = json.dumps(token)
    elif isinstance(token, str) and os.path.exists(token):
        config["application_credentials"] = token
    elif isinstance(token, str) and token not in {"google_default", "cloud", "cache", "browser"}:
        config["bearer_token"] = token
    elif token not in {None, "google_default", "cloud"}:
        options["token"] = token  # no counterpart: an error follows
    return config


def google_files(config: Mapping[str, Any]) -> _Options:
    """Return what obstore takes for the path of a key file, by the setting or the variable."""
    files = {name: value for name, value in config.items() if re.fullmatch(_GOOGLE_FILE, name)}
    if not any("service_account" in name for name in files):
        names = os.environ.keys() & _GOOGLE_VARIABLES or {"SERVICE_ACCOUNT"}  # it comes last
        files |= {name: os.environ.get(name) for name in names}
    return files


def _azure(options: _Options) -> _Options:
    """Take from adlfs's options those that need more than another name; return obstore's."""
    config: _Options = {}
    text, named = options.pop("connection_string", None), options.get("account_name") or ""
    if not named:
        options.pop("account_name", None)
    if text is not None:
        config = connection_string(text, named)
    elif "account_host" not in options:
        text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")  # adlfs reads it, obstore does not
        with suppress(ConfigurationError) if named else nullcontext():
            # A host of the owner's own is nobody's: the caller's signature must not go there.
            config = connection_string(text, named, own_host=False) if text else {}
        if options.keys() - {"account_name"}:  # credentials of the caller's own
            config = {each: config[each] for each in config.keys() - {"account_key", "sas_key"}}
    if config:
        options.pop("account_name", None)  # the string's may be in other letters
    host = options.pop("account_host", None)
    if host is not None:
        config["endpoint"] = f"https://{host}"
    if isinstance(options.get("sas_token"), str):
        options["sas_token"] = options["sas_token"].lstrip("?")
    return config


def connection_string(
    text: str, named: str, where: str = "the connection string", *, own_host: bool = True
) -> _Options:
    """Return obstore's options for a connection string of Azure's.

    Args:
        text: the string.
        named: the account that the URL or the options name, or "".
        where: what to call the string in an error.
        own_host: whether a host of the owner's own, which names none, is that account's.

    Returns:
        The options, the account's name among them.

    Raises:
        ConfigurationError: the string names no account, or another than `named`.
    """
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
    parts = {name.strip().lower(): value.strip() for name, value in parts.items()}
    config: _Options = {
        ours: parts[name] for name, ours in _CONNECTION_STRING.items() if name in parts
    }
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        config = {"use_emulator": True, "account_name": "devstoreaccount1"}
    endpoint, _, signature = config.get("endpoint", "").partition("?")
    if signature:
        config |= {"endpoint": endpoint, "sas_key": signature}
    if "account_name" not in config:
        # account.blob.core.windows.net, or an emulator's 127.0.0.1:10000/account
        address = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        host, path = address.hostname or "", address.path.strip("/")
        own = named if own_host and ".blob." not in host else ""
        if own and not re.fullmatch(r"localhost|[\d.]+", host):
            path = ""  # of a gateway
        name = path or own or host.partition(".")[0]
        if not name:
            raise ConfigurationError(f"{where} names neither AccountName nor BlobEndpoint")
        config["account_name"] = name
    if named and config["account_name"].lower() != named.lower():
        raise ConfigurationError(f"the URL, or account_name, and {where} name different accounts")
    if not endpoint and "endpointsuffix" in parts:
        scheme, suffix = parts.get("defaultendpointsprotocol", "https"), parts["endpointsuffix"]
        config["endpoint"] = f"{scheme}://{config['account_name']}.blob.{suffix}"
    return config


def usual_endpoint(cloud: str, config: Mapping[str, Any]) -> str:
    """Return the address of the cloud's own service for the bucket.

    `config` lacks what obstore takes from the environment.
    """
    given = os.environ.get
    if cloud == "s3":
        usual = given("AWS_REGION") or given("AWS_DEFAULT_REGION") or "us-east-1"
        return f"https://s3.{config.get('region', usual)}.amazonaws.com"
    if cloud == "gs":
        return "https://storage.googleapis.com"
    account = config.get("account_name") or given("AZURE_STORAGE_ACCOUNT_NAME")
    return f"https://{account}.blob.core.windows.net"
