"""Client certificates: made, read in every form, checked, explained, and shown to Betfair."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from command_line import CommandLine, Done
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import load_pem_x509_certificate
from front import identity
from secrets_shown import everything_in

from betfair_session import (
    Certificate,
    CertificateError,
    ConfigurationError,
    IdentityClient,
    Secret,
)
from betfair_session.sandbox import Sandbox

PASS = "open-sesame-47"  # a made-up passphrase, looked for in every error
CLIENT = "-addext keyUsage=digitalSignature,keyEncipherment -addext extendedKeyUsage=clientAuth"
MADE = f"""
req -x509 -nodes -days 400 -subj /CN=good -newkey rsa:2048 -keyout good.key -out good.crt {CLIENT}
req -x509 -nodes -subj /CN=other -newkey rsa:2048 -keyout other.key -out other.crt {CLIENT}
req -x509 -nodes -subj /CN=small -newkey rsa:1024 -keyout small.key -out small.crt {CLIENT}
ecparam -name prime256v1 -genkey -noout -out ec.key
req -x509 -subj /CN=ec -key ec.key -out ec.crt {CLIENT}
req -x509 -subj /CN=s -key good.key -out server.crt -addext extendedKeyUsage=serverAuth
req -x509 -subj /CN=plain -key good.key -out plain.crt
req -new -key good.key -subj /CN=good -out good.csr
x509 -in good.crt -outform DER -out der.crt
rsa -in good.key -aes256 -passout pass:{PASS} -out locked.key
rsa -in good.key -traditional -aes256 -passout pass:{PASS} -out old-locked.key
rsa -in good.key -traditional -out pkcs1.key
pkcs12 -export -in good.crt -inkey good.key -passout pass:{PASS} -out good.p12
genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key
req -x509 -subj /CN=pss -key pss.key -out pss.crt
pkcs12 -export -in good.crt -inkey good.key -passout pass: -out open.p12
pkcs12 -export -in good.crt -inkey good.key -legacy -passout pass:{PASS} -out legacy.p12
pkcs12 -export -in good.crt -inkey good.key -certfile other.crt -passout pass:{PASS} -out chain.p12
pkcs12 -export -in good.crt -nokeys -passout pass:{PASS} -out keyless.p12
"""
"""Commands of openssl, so that we do not test our own forms with our own files."""


def openssl(directory: Path, arguments: str, *more: str) -> str:
    command = ["openssl", *arguments.split(), *more]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def made_by_openssl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with certificates and keys, good and bad."""
    kit = tmp_path_factory.mktemp("kit")
    for line in MADE.strip().splitlines():
        openssl(kit, line)
    crt, key = (kit / "good.crt").read_bytes(), (kit / "good.key").read_bytes()
    der = ssl.PEM_cert_to_DER_cert(crt.decode())

    def redone(old: bytes, new: bytes) -> bytes:
        return ssl.DER_cert_to_PEM_cert(re.sub(old, new, der, count=1)).encode()

    loaded: Any = serialization.load_pem_private_key(key, None)
    lock = serialization.BestAvailableEncryption(b"caf\xe9")
    latin = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock
    )
    for name, content in {
        "good.pem": crt + key,
        "key-first.pem": key + crt,
        "mixed.pem": crt + (kit / "other.key").read_bytes(),
        "chained.crt": (kit / "other.crt").read_bytes() + crt,
        "locked.pem": (kit / "locked.key").read_bytes() + crt,
        "windows.crt": b"\xef\xbb\xbf" + crt.replace(b"\n", b"\r\n"),
        "latin.key": latin,
        "good.b64": base64.encodebytes((kit / "good.p12").read_bytes()).replace(b"\n", b"\\r\\n"),
        "renewed.pem": key + redone(rb"(\d{12})Z(..)\d{12}", rb"\1Z\g<2>200101000000") + crt,
        "cut.crt": crt[:-300],
        "cut.key": key[:-300],
        "cut.p12": (kit / "good.p12").read_bytes()[:-300],
        "undated.crt": redone(rb"\d{12}Z", b"209901000000Z"),
        "unnamed.crt": redone(b"\x0c\x04good", b"\x0c\x04\xff\xff\xff\xff"),
        "empty.crt": b"\n",
        "junk.crt": b"not a certificate at all",
        "huge.crt": b"x" * 300_000,
    }.items():
        (kit / name).write_bytes(content)
    return kit


@pytest.fixture
def kit(made_by_openssl: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made_by_openssl)
    return made_by_openssl


def make(how: str, *given: Any) -> Certificate:  # noqa: ANN401 - whatever is given
    """Call one of the constructors; @NAME stands for the bytes of that file.

    With a second @ it is text, and what follows are its line ends.
    """
    taken = []
    for each in given:
        _, at, name = each.partition("@") if isinstance(each, str) else ("", "", "")
        name, other, ends = name.partition("@")
        content = Path(name).read_bytes() if at else each
        taken.append(content.decode().replace("\n", ends) if other else content)
    made: Certificate = getattr(Certificate, how)(*taken)
    return made


GOOD: dict[str, tuple[Any, ...]] = {
    "pair": ("of", ("good.crt", Path("good.key"))),
    "pair the other way round": ("from_files", "good.key", "good.crt"),
    "pair with a certificate that is not its": ("from_files", "chained.crt", "good.key"),
    "pair with Windows line ends": ("from_files", "windows.crt", "good.key"),
    "PKCS#1 key": ("from_files", "good.crt", "pkcs1.key"),
    "encrypted key": ("from_files", "good.crt", "locked.key", PASS),
    "old encrypted key": ("from_files", "good.crt", "old-locked.key", PASS.encode()),
    "passphrase not needed": ("from_files", "good.crt", "good.key", PASS),
    "passphrase not in UTF-8": ("from_files", "good.crt", "latin.key", b"caf\xe9"),
    "one file": ("of", "good.pem"),
    "one file, key first": ("of", "key-first.pem"),
    "one file, encrypted": ("from_files", "locked.pem", None, PASS),
    "bytes of PEM": ("of", "@good.pem"),
    "PEM text where a path is expected": ("of", "@good.pem@\n"),
    "two texts": ("from_pem", "@good.crt", "@good.key"),
    "escaped line ends": ("from_pem", "@good.pem@\\n"),
    "escaped Windows line ends": ("from_pem", "@good.pem@\\r\\n"),
    "line ends turned into spaces": ("from_pem", "@good.crt@ ", "@good.key@ "),
    "line ends lost": ("from_pem", "@good.pem@"),
    "encrypted key as text": ("from_pem", "@good.crt", "@locked.key", PASS),
    "old encrypted key, line ends turned into spaces": (
        *("from_pem", "@good.crt@ ", "@old-locked.key@ ", PASS),
    ),
    "one file with the certificate that was renewed": ("of", "renewed.pem"),
    "PKCS#12": ("from_pkcs12", "good.p12", Secret(PASS)),
    "PKCS#12 with another certificate": ("from_pkcs12", "chain.p12", PASS),
    "PKCS#12 of old programs": ("from_pkcs12", "legacy.p12", PASS),
    "PKCS#12 without a passphrase": ("of", "open.p12"),
    "bytes of PKCS#12": ("from_pkcs12", "@good.p12", PASS),
    "base64 of PKCS#12": ("from_pkcs12_base64", "@good.b64", PASS.encode()),
}
BAD: dict[str, list[tuple[Any, ...]]] = {
    "weak": [("of", ("small.crt", "small.key")), ("of", ("ec.crt", "ec.key"))],
    "usage": [("of", ("server.crt", "good.key"))],
    "mismatch": [("of", ("good.crt", "other.key")), ("of", "mixed.pem")],
    "missing": [("of", ("none.crt", "good.key")), ("of", ("good.crt", "none.key"))],
    "no-key": [("of", ("good.crt", "good.crt")), ("from_pkcs12", "keyless.p12", PASS)],
    "no-certificate": [("of", "good.key"), ("of", ("good.csr", "good.key"))],
    "unreadable": [("of", (".", "good.key")), ("of", ("good.crt/x", "good.key"))],
    "format": [
        *(("of", f"{name}.crt") for name in ("empty", "junk", "huge", "der")),
        ("of", b"\x00\xff"),
        ("from_pem", "päss"),
    ],
    "damaged": [
        *(("of", (f"{name}.crt", "good.key")) for name in ("cut", "undated", "unnamed")),
        ("of", ("good.crt", "cut.key")),
        ("from_pem", "-----BEGIN X-----" * 15_000),  # at once
    ],
    "passphrase": [
        *(
            ("from_files", "good.crt", key, wrong)
            for key in ("locked.key", "old-locked.key")
            for wrong in (None, "", PASS + "!")
        ),
        ("of", "good.p12"),
        ("from_pkcs12", "good.p12", PASS + "!"),
        ("from_pkcs12", "cut.p12", PASS),
    ],
    "argument": [
        *(
            ("of", value)
            for value in (None, 7, ("x",), ("a", "b", "c"), bytearray(b"x"), (b"a", b"b"), "")
        ),
        *(("of", name) for name in ("a\nb", "x" * 1025)),
        *(("of", ("good.p12", PASS)), ("from_files", Path("good.PFX"), PASS)),
        ("from_pem", 5),
        ("from_pem", None, "@good.key", PASS),
        ("from_pem", "@good.key", bytearray(PASS, "ascii"), PASS),
        ("from_pkcs12_base64", None, PASS),
        ("from_files", "a.crt", "a.key", bytearray(PASS, "ascii")),
        ("from_pkcs12", "@good.key", [PASS]),
        ("from_files", "good.crt", "@good.key@\n"),  # a key where its path belongs
        ("from_pkcs12", "@good.key@\n", PASS),
        ("from_pkcs12_base64", "@good.key", PASS),
        ("from_pkcs12_base64", b"\xfc", PASS),
    ],
}


@contextlib.contextmanager
def refused(reason: str, kit: Path) -> Any:  # noqa: ANN401 - what pytest.raises gives
    """Check that a certificate is refused, and that the error holds no secret, anywhere."""
    with pytest.raises(CertificateError) as caught:
        yield
    error = caught.value
    assert (error.reason, error.__cause__, error.__context__) == (reason, None, None)
    keys = [(kit / f"{name}.key").read_text().splitlines()[3] for name in ("good", "locked")]
    shown = everything_in(error)
    assert [secret for secret in (PASS, *keys) if secret in shown] == []


def test_a_secret_that_is_not_mounted_is_named() -> None:
    """Containers and systemd give such files no ending."""
    path = "/run/secrets/betfair_session_tests/crt"
    with pytest.raises(CertificateError) as caught:
        Certificate.from_files(path).check()
    assert caught.value.reason == "missing"
    assert path in str(caught.value)


class PeekingContext(ssl.SSLContext):
    """A real TLS context that remembers what it was handed, and how."""

    path = ""
    mode = 0
    content = b""

    def load_cert_chain(self, certfile: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Remember the file and pass it on."""
        path = Path(os.fsdecode(certfile))
        self.path = str(path)
        self.mode = stat.S_IMODE(path.stat().st_mode)
        self.content = path.read_bytes()
        super().load_cert_chain(certfile, *args, **kwargs)


def open_files() -> Iterator[str]:
    """Find what this process has open."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own, or another thread's
            yield os.readlink(f"/proc/self/fd/{number}")


@pytest.mark.parametrize("form", GOOD)
def test_every_form_logs_in(form: str, kit: Path, sandbox: Sandbox) -> None:
    """A server that demands this very certificate gets it, and no repr tells its secrets."""
    sandbox.upload_certificate((kit / "good.crt").read_text())
    certificate = make(*GOOD[form])
    with identity(sandbox, certificate=certificate) as client:
        assert client.certlogin(sandbox.username, sandbox.password)
    key = (kit / "good.key").read_text().splitlines()[3]
    assert not any(secret in repr([certificate, *certificate]) for secret in (PASS, key))


@pytest.mark.parametrize("reason", BAD)
def test_an_unfit_certificate_is_refused_with_its_reason(reason: str, kit: Path) -> None:
    """Neither the error nor its traceback holds a secret; no TLS context gets the certificate.

    What can be no certificate at all is refused when it is given, not at the first login.
    """
    for given in BAD[reason]:
        if reason == "argument":
            with refused(reason, kit):
                make(*given)
            continue
        certificate, context = make(*given), PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
        with refused(reason, kit):
            certificate.check()
        with refused(reason, kit):
            certificate.load_into(context)
        assert context.path == ""


@pytest.mark.parametrize("lacking", [None, "kernel", "python"])
def test_the_key_lies_in_no_file_that_can_be_read_later(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str | None
) -> None:
    """Where there are files in memory, one of them; elsewhere a private one, its key encrypted.

    Other certificates in it are sent, too: a server may trust only the authority. A certificate
    that a TLS policy refuses leaves nothing behind, either.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if lacking == "kernel":
        missing = OSError(errno.ENOSYS, "Function not implemented")
        monkeypatch.setattr(os, "memfd_create", Mock(side_effect=missing), raising=False)
    elif lacking == "python":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    in_memory = not lacking and hasattr(os, "memfd_create")
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    assert Certificate.from_pkcs12("chain.p12", PASS).load_into(context) == []
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in context.content
    assert b"BEGIN PRIVATE KEY" not in context.content
    assert context.content.count(b"BEGIN CERTIFICATE") == 2
    assert context.path.startswith("/proc/self/fd/" if in_memory else str(tmp_path))
    assert in_memory or context.mode == 0o600
    context.set_ciphers("DEFAULT@SECLEVEL=3")
    with refused("tls", kit):
        Certificate.of("good.pem").load_into(context)
    assert list(tmp_path.iterdir()) == []
    assert [name for name in open_files() if "memfd:" in name] == []
    with monkeypatch.context() as scanned:  # on Windows a scanner may have the file open
        scanned.setattr(os, "unlink", Mock(side_effect=PermissionError))
        assert Certificate.of("good.pem").load_into(ssl.create_default_context()) == []
    broken = Mock(side_effect=ssl.SSLError(1, "library has no ciphers"))  # by its configuration
    with monkeypatch.context() as odd, refused("tls", kit):
        odd.setattr(ssl, "SSLContext", broken)
        Certificate.of("good.pem").check()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with contextlib.nullcontext() if in_memory else pytest.raises(CertificateError):
        Certificate.of("good.pem").load_into(ssl.create_default_context())


def test_the_dates_are_judged_to_the_second(kit: Path) -> None:
    """The last 30 days bring a warning; any zone will do, but there must be one."""
    dates = load_pem_x509_certificate((kit / "good.crt").read_bytes())
    begin, end = dates.not_valid_before_utc, dates.not_valid_after_utc
    certificate, month = Certificate.of("good.pem"), 30 * 86_400
    for edge, seconds, warns in (
        (begin, 0, False),
        (end, -month - 1, False),
        (end, -month, True),
        (end, -1, True),
    ):
        now = (edge + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=2)))
        assert bool(certificate.check(now)) == warns
    with refused("not-yet-valid", kit):
        certificate.check(begin - timedelta(seconds=1))
    with refused("expired", kit):
        certificate.check(end)
    for naive in (end.replace(tzinfo=None), 0):
        with pytest.raises(ConfigurationError):
            certificate.check(naive)  # type: ignore[arg-type] # what is tested


def test_of_two_certificates_for_one_key_the_first_that_is_valid_counts(kit: Path) -> None:
    """The renewed one may not be uploaded yet."""
    key = (kit / "good.key").read_bytes()
    good, plain = ((kit / f"{name}.crt").read_bytes() for name in ("good", "plain"))
    for first, second in ((good, plain), (plain, good)):
        context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
        Certificate.of(key + first + second).load_into(context)
        assert load_pem_x509_certificate(context.content) == load_pem_x509_certificate(first)


def test_a_package_that_cannot_be_loaded_is_told(
    kit: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one for another platform, in a function's archive: by every command."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with refused("package", kit):
        Certificate.of("good.pem").check()
    told = command.json("certificate", "check", str(kit / "good.pem"))
    assert (told.code, len(told.document["files"][0]["problems"])) == (2, 1)
    error = command.json("certificate", "create", "--directory", "new").error
    assert (error["exit_code"], error["reason"]) == (2, "package")


def test_a_session_of_the_callers_own_gets_plain_pem_files(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As paths, the certificate first, ~ expanded; of no other form, which requests cannot load.

    An unfit one is not sent.
    """
    monkeypatch.setenv("HOME", str(kit))
    crt, key = str(kit / "good.crt"), str(kit / "good.key")
    for given in (("~/good.crt", Path("~/good.key")), (key, crt)):
        assert Certificate.of(given).requests_cert() == (crt, key)
    assert Certificate.of("good.pem").requests_cert() == str(kit / "good.pem")
    assert Certificate.from_pkcs12("~/good.p12", PASS).check() == []
    for form in ("encrypted key", "old encrypted key", "PKCS#12", "bytes of PEM", "two texts"):
        with refused("argument", kit):
            make(*GOOD[form]).requests_cert()
    weak = Certificate.of(("small.crt", "small.key"))
    nobody = "https://127.0.0.1:1/"
    client = IdentityClient("k", weak, session=requests.Session(), identity_cert_url=nobody)
    with refused("weak", kit):
        client.certlogin("u", "p")


# --- made and explained by the command line ------------------------------------------------------

ENDINGS = ("crt", "key", "pem", "p12")
PHRASE = {"BETFAIR_CERT_PASSPHRASE": PASS}


def made(command: CommandLine, *more: str) -> Done:
    return command.json("certificate", "create", "--p12", *more, **PHRASE)


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_new_certificate_is_what_betfair_asks_for(
    command: CommandLine, sandbox: Sandbox, mask: int
) -> None:
    """Openssl reads the extensions of its guide; each form logs in; only the .crt is public."""
    before = os.umask(mask)
    try:
        done = made(command, "it", "--directory=~/new/deep", "--days", "90")
    finally:
        os.umask(before)
    place = command.directory / "new" / "deep"
    files = {ending: place / f"it.{ending}" for ending in ENDINGS}
    assert {*done.document["files"]} == {*map(str, files.values())} == {*map(str, place.iterdir())}
    modes = {ending: stat.S_IMODE(path.stat().st_mode) for ending, path in files.items()}
    assert modes == {"crt": 0o644 & ~mask, "key": 0o600, "pem": 0o600, "p12": 0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (place, place.parent)} == {0o700}
    said = openssl(place, "x509 -noout -text -in it.crt")
    lines = [line.strip() for line in said.splitlines()]
    for heading, expected in {
        "X509v3 Basic Constraints:": "CA:FALSE",
        "X509v3 Key Usage:": "Digital Signature, Key Encipherment",
        "X509v3 Extended Key Usage:": "TLS Web Client Authentication",
        "Netscape Cert Type:": "SSL Client",
    }.items():
        assert lines[lines.index(heading) + 1] == expected
    assert {"Public-Key: (2048 bit)", "Version: 3 (0x2)"} <= {*lines}
    assert lines.count("Signature Algorithm: sha256WithRSAEncryption") == 2
    assert "OK" in openssl(place, "verify -x509_strict -CAfile it.crt -purpose sslclient it.crt")
    certificate = load_pem_x509_certificate(files["crt"].read_bytes())
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert length == timedelta(days=90, hours=1)  # an hour early, for clocks that are late
    command.variables |= {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": ""}
    openssl(place, f"rsa -in it.key -aes256 -passout pass:{PASS} -out locked.key")
    crt, pem = str(files["crt"]), files["pem"].read_text()
    forms: tuple[dict[str, str], ...] = (
        {"BETFAIR_CERT_FILE": crt, "BETFAIR_KEY_FILE": str(files["key"])},
        {"BETFAIR_CERT_FILE": crt, "BETFAIR_KEY_FILE": str(place / "locked.key"), **PHRASE},
        {"BETFAIR_CERT_FILE": str(files["pem"])},
        {"BETFAIR_CERT_PEM": files["crt"].read_text(), "BETFAIR_KEY_PEM": files["key"].read_text()},
        {"BETFAIR_CERT_PEM": pem.replace("\n", "\\n")},
        {"BETFAIR_PKCS12_FILE": str(files["p12"]), **PHRASE},
        {"BETFAIR_PKCS12_BASE64": base64.encodebytes(files["p12"].read_bytes()).decode(), **PHRASE},
    )
    assert command.json("token", **forms[0]).error["status"] == "CERT_AUTH_REQUIRED"
    sandbox.upload_certificate(files["crt"].read_text())
    for number, form in enumerate(forms):  # each at a place of its own, where it logs in
        assert command("token", str(command.store), f"form/{number}", **form).code == 0
    wrong = {**forms[-2], "BETFAIR_CERT_PASSPHRASE": PASS + "x"}
    assert [command("token", **wrong).code, command.doctor(**wrong).code] == [2, 2]


def test_a_certificate_that_ends_soon_is_one_warning(
    command: CommandLine, sandbox: Sandbox
) -> None:
    """By the file's name, of a login and of the doctor, however it is given."""
    made(command, "soon", "--days", "10")
    text = (command.directory / "soon.pem").read_text("utf-8")
    sandbox.upload_certificate(text)
    command.variables |= {"BETFAIR_CERT_FILE": "soon.pem", "BETFAIR_KEY_FILE": ""}
    done = command("token")
    assert (done.code, "soon.pem" in done.err, done.err.count("\n")) == (0, True, 1)
    for way in ({}, {"BETFAIR_CERT_FILE": "", "BETFAIR_CERT_PEM": text}):
        assert command.doctor(**way).states("warning") == ["certificate"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("link", [False, True])
def test_an_existing_file_is_never_overwritten(
    command: CommandLine, ending: str, *, link: bool
) -> None:
    """If one of the files exists, even as a link to nowhere, none that was written stays."""
    there = command.directory / f"it.{ending}"
    there.symlink_to("elsewhere") if link else there.write_text("precious")
    error = made(command, "it").error
    assert (error["exit_code"], error["reason"]) == (2, "exists")
    assert list(command.directory.iterdir()) == [there]
    assert there.is_symlink() or there.read_text() == "precious"


def test_files_that_are_written_by_half_are_removed(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by an interruption at the second file."""
    opening = os.open

    def strike(path: Any, *more: Any) -> int:  # noqa: ANN401 - passed on
        if str(path).endswith(".key"):
            raise KeyboardInterrupt
        return opening(path, *more)

    monkeypatch.setattr(os, "open", strike)
    assert made(command).error["exit_code"] == 130
    assert os.listdir(command.directory) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "c:d", "a\nb", "x" * 65, "\u00e9" * 33]
)
def test_a_name_that_is_none_makes_nothing(command: CommandLine, name: str) -> None:
    """Nor does a directory that is a file, or a .p12 without a passphrase."""
    assert made(command, name).code == 2
    assert command("certificate", "create", "--p12").code == 2
    assert os.listdir(command.directory) == []
    (command.directory / "file").write_text("not a directory")
    error = made(command, "--directory", "file/deep").error
    assert (error["exit_code"], error["reason"]) == (2, "unwritable")


EXPLAINED: dict[str, tuple[list[str], int]] = {  # what the first file holds, and the exit code
    "good.crt": (["certificate"], 0),
    "pss.crt pss.key": (["certificate"], 2),  # which TLS cannot use
    "good.pem": (["certificate", "private key"], 0),
    "good.p12": (["certificate", "private key"], 0),
    "plain.crt good.key": (["certificate"], 0),  # without extensions all is allowed
    "locked.key": (["private key"], 0),
    "renewed.pem": (["private key", "certificate"], 0),
    "good.csr": (["certificate request"], 0),  # of no use, but nothing is wrong with it
    "other.key good.crt": (["private key"], 2),
    "undated.crt": (["certificate"], 2),
    "der.crt": ([], 2),
    "none.crt": ([], 2),
}


def test_files_are_explained(kit: Path, command: CommandLine) -> None:
    """What each file holds, and whether they will do together; what is wrong is named by file."""
    for names, (holds, code) in EXPLAINED.items():
        paths = [str(kit / name) for name in names.split()]
        done = command.json("certificate", "check", *paths, **PHRASE)
        first = done.document["files"][0]
        assert (done.code, done.document["ok"]) == (code, not code)
        assert [each for each in holds if each not in first["kind"]] == []
        assert all(paths[0] in each for each in first["problems"])
        assert bool(first["problems"]) == bool(code)
        shown = command("certificate", "check", *paths, **PHRASE).out
        assert done.document["verdict"] in shown
    (told,) = command.json("certificate", "check", "nofile").document["files"]
    assert told["path"] in told["problems"][0]  # the report shows it, so it is no password


def test_an_explanation_gives_the_facts_and_no_secret(kit: Path, command: CommandLine) -> None:
    """An open key that others can read is warned of.

    No name in a foreign certificate, or of a file, can write to the terminal.
    """
    for name in ("good.pem", "good.p12", "open.p12"):
        shutil.copyfile(kit / name, command.directory / name)
        (command.directory / name).chmod(0o644)
    subject = ("/CN=\x1b[31mred", "-out", str(command.directory / "it.crt"))
    openssl(kit, "req -x509 -key good.key -subj", *subject)
    files = ("good.pem", "good.p12", "it.crt", "-----BEGIN X\x1b\n")
    shown = command("certificate", "check", "--", *files, **PHRASE).out
    certificate = load_pem_x509_certificate((kit / "good.crt").read_bytes())
    for fact in (
        "CN=good",
        f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M}",
        "2048",
        certificate.fingerprint(hashes.SHA256()).hex(":"),
        "?[31mred",
    ):
        assert fact in shown
    assert (kit / "good.key").read_text().splitlines()[3] not in shown
    assert "\x1b" not in shown
    told = command.json("certificate", "check", *files[:2], **PHRASE).document["files"]
    assert [bool(each["warnings"]) for each in told] == [True, False]
    (told,) = command.json("certificate", "check", "open.p12").document["files"]
    assert told["warnings"]
