"""Inputs that found a bug, by what it was: (name, target, input)."""

from __future__ import annotations

BUGS: tuple[tuple[str, str, bytes], ...] = (
    ("a passphrase that is no UTF-8", "certificate", b"\x05\x03-----BEGIN PRIVATE KEY-----"),
    ("a password with an @", "address", b"\0\x02a@"),
    ("a password with a slash", "address", b"\0\0/"),
    ("options that are no mapping", "store", b's3://b\n{"client_kwargs": "x"}'),
    ("nested options that are none", "store", b'obstore+s3://b\n{"config_kwargs": {"s3": "x"}}'),
    ("a connection string that is a number", "store", b'obstore+az://c\n{"connection_string": 5}'),
    ("a port that is none", "store", b"abfs://u:PLANTED9/x@host"),
    ("an address that is none", "store", b"az://[x"),
    ("a path with a NUL", "store", b"~\0"),
    ("an errno that is none", "errors", b"\0\0\0\x01\0\x10\xb1"),
    ("an answer that is no mapping", "errors", b"\1\0\0\0\x01\x20\x04\0\0\0x"),
    ("a status in superscript", "errors", b"\1\0\0\0\x01\x02\x06\0\0\0x"),
    (
        "a lock that grows",
        "lock",
        bytes(24)
        + b'{"v":1,"state":"done","nonce":"","owner":"","ttl":1,"since":1,"logins":['
        + b",".join([b"1"] * 1900)
        + b'],"published":"","refusals":0,"status":"","login_class":"","not_before":0}',
    ),
)
