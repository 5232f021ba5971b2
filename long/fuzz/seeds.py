"""Where the fuzzer starts: one or a few good inputs for each target."""

from __future__ import annotations

import base64
import json

from betfair_session.certificates.files import create
from betfair_session.environment import NAMES
from betfair_session.login import lock as locks

from .stored import PASSPHRASE


def seeds(target: str) -> list[bytes]:
    """Return good inputs for a target of that name; among them those that once found a bug."""
    found = [data for _, of, data in _BUGS if of == target]
    return [b"", *found, *(_certificates() if target == "certificate" else _SEEDS[target])]


_TOKEN = b"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCd="
_LOCKS = (
    locks.JUNK,
    locks.Lock(locks.HELD, "n", "host process 1", 30.0, 1.8e9, (1.8e9,)),
    locks.Lock(locks.DONE, "n", "o", 30.0, 1.8e9, (1.8e9, 1.8e9), published="token-one"),
    locks.Lock(locks.FAILED, "n", "o", 30.0, 1.8e9, (), "", 2, "X", "credentials", 1.9e9),
    locks.Lock(locks.FAILED, "n", "o", 30.0, 1.8e9, (), "", 0, "", "unknown", 1.9e9),
)
_ANSWERS = (
    {"sessionToken": _TOKEN.decode(), "loginStatus": "SUCCESS"},
    {"loginStatus": "CERT_AUTH_REQUIRED"},
    {"token": _TOKEN.decode(), "product": "p", "status": "SUCCESS", "error": ""},
    {"token": "", "product": "p", "status": "FAIL", "error": "NO_SESSION"},
    {"token": "t", "status": "LIMITED_ACCESS", "error": "INPUT_VALIDATION_ERROR"},
)
_FAULT = {"exceptionname": "APINGException", "APINGException": {"errorCode": "NO_SESSION"}}
_BETTING = (
    {"jsonrpc": "2.0", "error": {"code": -32099, "message": "ANGX-0003", "data": _FAULT}, "id": 1},
    [{"result": []}, {"error": {"data": _FAULT}}],
    {"faultcode": "Client", "faultstring": "ANGX-0003", "detail": _FAULT},
    {"op": "status", "statusCode": "FAILURE", "errorCode": "INVALID_SESSION_INFORMATION"},
)
_STORES: tuple[tuple[bytes, dict[str, object]], ...] = (
    (b"s3://bucket/prefix", {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "x"}}),
    (b"obstore+s3://b/p", {"config": {}, "client_options": {}, "config_kwargs": {"s3": {}}}),
    (b"obstore+gs://b", {"token": "anon", "project": "p", "endpoint_url": "http://x"}),
    (b"obstore+gs://b", {"token": {"client_email": "a"}}),
    (b"obstore+az://c", {"connection_string": "AccountName=a;AccountKey=Kw==;EndpointSuffix=b"}),
    (b"obstore+abfs://c@a.dfs.core.windows.net/p", {"sas_token": "?s"}),
    (b"az://c", {"account_name": "a", "obstore": True}),
    (b"gs://b", {}),
    (b"abfs://c", {"account_name": "a"}),
    (b"file:///tmp/x", {"allow_world_writable": True}),
    (b"simplecache::memory://x", {}),
    (b"memory://x", {}),
    (b"unknown://x", {}),
)
_DOTENV = (
    b'# all\nexport BETFAIR_USERNAME=\'u\'\nBETFAIR_PASSWORD="p\\n\\"w" # said\n',
    b"BETFAIR_APP_KEY=k k\nBETFAIR_CERT_FILE=a\r\nBETFAIR_KEY_FILE=b\n\n",
)
_VARIABLES = (
    {"USERNAME": "u", "PASSWORD": "planted99", "APP_KEY": "k", "PKCS12_BASE64": "AAAA"},
    {"USERNAME": "u", "PASSWORD": "planted99", "APP_KEY": "k", "CERT_PEM": "c", "KEY_PEM": "k"},
    {
        "USERNAME": "u",
        "PASSWORD": "planted99",
        "APP_KEY": "k",
        "CERT_FILE": "c",
        "CERT_PASSPHRASE": "p",
        "JURISDICTION": "italy",
        "IDENTITY_URL": "https://localhost:8443/api/",
        "SESSION_STORE": "memory://x",
        "SESSION_KEY": "k",
        "STORAGE_OPTIONS": "{}",
    },
)
_LINES = (
    "token\nmemory://x\nk\n--timeout\n5\n--json",
    "status\n--quiet",
    "certificate\ncreate\nname\n--days\n30\n--p12",
    "certificate\ncheck\na.crt\nb.key",
    "sandbox\n--session-seconds\n9",
    "logout\n-h",
    "--version",
)
_SEEDS: dict[str, list[bytes]] = {
    "token": [_TOKEN, _TOKEN + b"\r\n", b"x" * 1025],
    "lock": [locks.encode(lock) for lock in _LOCKS],
    "answers": [b"\0" + json.dumps(answer).encode() for answer in _ANSWERS]
    + [b"\x09<html><title>Blocked</title><p>Your planted-pass word9 country</p>"],
    "betting": [json.dumps(answer).encode() for answer in _BETTING],
    "errors": [bytes(range(start, start + 64)) for start in (0, 64, 128)],
    "key": [b"session.token", b"a/b.token", b"../x", b"C:\\x"],
    "address": [bytes([n, 3]) + b"https://localhost:8443/api/" for n in range(4)]
    + [b"\0\1p@ss/w?x#y:z"],
    "store": [url + b"\n" + json.dumps(options).encode() for url, options in _STORES],
    "dotenv": list(_DOTENV),
    "variables": [
        "\n".join(f"BETFAIR_{name}={value}" for name, value in values.items()).encode()
        for values in _VARIABLES
    ]
    + ["\n".join(f"{name}=1" for name in NAMES).encode()],
    "command_line": [line.encode() for line in _LINES],
    "stretched": [
        bytes([kind, 2]) + part
        for kind in range(3)
        for part in (b"token:", b"?", b"A=x\xff ", b"<script ", b"A='", b"https://\xffa.", b"://u:")
    ],
}


def _certificates() -> list[bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import pkcs12

    crt, key, pem = (content.decode() for content in create("fuzz").values())
    private = s.load_pem_private_key(key.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    public = x509.load_pem_x509_certificate(crt.encode())
    # One round of key derivation: many would slow the fuzzer down as they do a guesser.
    locked = (
        s.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(1)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(PASSPHRASE.encode())
    )
    p12 = pkcs12.serialize_key_and_certificates(b"x", private, public, None, locked)
    return [
        b"\0\0" + pem.encode(),
        b"\1\0" + pem.replace("\n", "\\n").encode(),
        b"\1\0" + f"{crt}\0{key}".encode(),
        b"\2\1" + p12,
        b"\3\1" + base64.b64encode(p12),
        b"\4\3" + p12,
        b"\5\0" + pem.replace("\n", " ").encode(),
        b"\5\0" + public.public_bytes(s.Encoding.DER),
        b"\5\0\xff\xfeA",
    ]


_HELD: dict[str, object] = json.loads(locks.encode(_LOCKS[1]))
_ODD_TEXTS = dict.fromkeys(("nonce", "owner", "published", "login_class"), "\u00e9" * 200)
_BUGS: tuple[tuple[str, str, bytes], ...] = (
    ("a passphrase that is no UTF-8", "certificate", b"\x05\x03-----BEGIN PRIVATE KEY-----"),
    ("a password with an @", "address", b"\0\x02a@"),
    ("a password with a slash", "address", b"\0\0/"),
    ("options that are no mapping", "store", b's3://b\n{"client_kwargs": "x"}'),
    ("nested options that are none", "store", b'obstore+s3://b\n{"config_kwargs": {"s3": "x"}}'),
    ("a connection string that is a number", "store", b'obstore+az://c\n{"connection_string": 5}'),
    ("a port that is none", "store", b"abfs://u:PLANTED9/x@host"),
    ("an address that is none", "store", b"az://[x"),
    ("a path with a NUL", "store", b"~\0"),
    (
        "a lock that grows",
        "lock",
        b'{"v":1,"state":"done","nonce":"","owner":"","ttl":1,"since":1,"logins":['
        + b",".join([b"1"] * 1900)
        + b'],"published":"","refusals":0,"status":"","login_class":"","not_before":0}',
    ),
    (
        "a lock whose text grows",
        "lock",
        json.dumps({**_HELD, **_ODD_TEXTS}, ensure_ascii=False).encode(),
    ),
)
