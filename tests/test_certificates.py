"""Client certificates: made, read in every form, judged, explained, and shown to Betfair."""

from __future__ import annotations

import base64
import contextlib
import errno
import logging
import os
import re
import ssl
import stat
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import load_pem_x509_certificate
from secrets_shown import everything_in

from betfair_session import (
    Certificate,
    CertificateError,
    ConfigurationError,
    IdentityClient,
    LoginRefused,
    Secret,
)
from betfair_session.certificates.making import create, write_files
from betfair_session.certificates.report import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

    Make = Callable[[Path], Certificate]

PASS = "open-sesame-47"  # a made-up passphrase, looked for in every error
CLIENT = ("keyUsage=digitalSignature,keyEncipherment", "extendedKeyUsage=clientAuth")


def openssl(*args: str | Path) -> str:
    """Run the openssl program and return what it printed."""
    command = ["openssl", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def self_signed(kit: Path, name: str, kind: str, *extensions: str) -> None:
    """Make NAME.crt and NAME.key with openssl."""
    files = ("-keyout", kit / f"{name}.key", "-out", kit / f"{name}.crt")
    added = [part for each in extensions for part in ("-addext", each)]
    names = ("-subj", f"/CN={name}", "-days", "400", "-newkey", *kind.split())
    openssl("req", "-x509", "-nodes", *names, *files, *added)


def private_key(kit: Path) -> rsa.RSAPrivateKey:
    """Return the good key."""
    key = serialization.load_pem_private_key((kit / "good.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def as_pem(key: rsa.RSAPrivateKey, passphrase: bytes = b"") -> bytes:
    """Return a key as PEM."""
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else None
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        locked or serialization.NoEncryption(),
    )


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with certificates and keys, good and bad, all by openssl."""
    kit = tmp_path_factory.mktemp("kit")
    for name in ("good", "other"):
        self_signed(kit, name, "rsa:2048", *CLIENT)
    self_signed(kit, "small", "rsa:1024", *CLIENT)
    self_signed(kit, "ec", "ec -pkeyopt ec_paramgen_curve:P-256", *CLIENT)
    self_signed(kit, "server", "rsa:2048", "extendedKeyUsage=serverAuth")
    self_signed(kit, "plain", "rsa:2048")
    crt, key, phrase = kit / "good.crt", kit / "good.key", f"pass:{PASS}"
    openssl("req", "-new", "-key", key, "-subj", "/CN=good", "-out", kit / "good.csr")
    openssl("x509", "-in", crt, "-outform", "DER", "-out", kit / "der.crt")
    for name, how in {
        "locked.key": ("-aes256", "-passout", phrase),
        "old-locked.key": ("-traditional", "-aes256", "-passout", phrase),
        "pkcs1.key": ("-traditional",),
    }.items():
        openssl("rsa", "-in", key, *how, "-out", kit / name)
    bundles: dict[str, tuple[str | Path, ...]] = {
        "good.p12": ("-inkey", key, "-passout", phrase),
        "open.p12": ("-inkey", key, "-passout", "pass:"),
        "legacy.p12": ("-inkey", key, "-legacy", "-passout", phrase),
        "chain.p12": ("-inkey", key, "-certfile", kit / "other.crt", "-passout", phrase),
        "keyless.p12": ("-nokeys", "-passout", phrase),
    }
    for name, files in bundles.items():
        openssl("pkcs12", "-export", "-in", crt, *files, "-out", kit / name)

    def holed(text: str) -> bytes:
        lines = text.splitlines()
        return "\n".join(lines[:5] + lines[6:]).encode()

    def redone(old: bytes, new: bytes) -> bytes:
        der = re.sub(old, new, ssl.PEM_cert_to_DER_cert(crt.read_text()), count=1)
        return ssl.DER_cert_to_PEM_cert(der).encode()

    right = private_key(kit).private_numbers()
    numbers = {name: getattr(right, name) for name in ("p", "q", "dmp1", "dmq1", "iqmp")}
    wrong = rsa.RSAPrivateNumbers(d=right.d + 2, public_numbers=right.public_numbers, **numbers)
    first, second = crt.read_bytes(), key.read_bytes()
    for name, content in {
        "good.pem": first + second,
        "key-first.pem": second + first,
        "mixed.pem": first + (kit / "other.key").read_bytes(),
        "chained.crt": (kit / "other.crt").read_bytes() + first,
        "locked.pem": (kit / "locked.key").read_bytes() + first,
        "windows.crt": b"\xef\xbb\xbf" + first.replace(b"\n", b"\r\n"),
        "good.b64": base64.encodebytes((kit / "good.p12").read_bytes()),
        "cut.crt": first[:-300],
        "cut.p12": (kit / "good.p12").read_bytes()[:-300],
        "holed.crt": holed(crt.read_text()),
        "holed.key": holed(key.read_text()),
        "odd.key": as_pem(wrong.private_key(unsafe_skip_rsa_key_validation=True)),
        "undated.crt": redone(rb"\d{12}Z", b"209901000000Z"),
        "unnamed.crt": redone(b"\x0c\x04good", b"\x0c\x04\xff\xff\xff\xff"),
        "empty.crt": b"\n",
        "junk.crt": b"not a certificate at all",
        "huge.crt": b"x" * 300_000,
    }.items():
        (kit / name).write_bytes(content)
    return kit


def pair(crt: str, key: str, passphrase: str | bytes | None = None) -> Make:
    """Take two files of the kit."""
    return lambda kit: Certificate.from_files(kit / crt, kit / key, passphrase)


def one(name: str) -> Make:
    """Take one file of the kit."""
    return lambda kit: Certificate.of(kit / name)


def pem(*names: str, ends: str = "\n", opens: str | None = None) -> Make:
    """Take the text of files of the kit, its line ends written otherwise."""

    def make(kit: Path) -> Certificate:
        texts = [Secret((kit / name).read_text().replace("\n", ends)) for name in names]
        return Certificate.from_pem(texts[0], texts[1] if texts[1:] else None, opens)

    return make


def p12(name: str, passphrase: str = PASS) -> Make:
    """Take a PKCS#12 file of the kit."""
    return lambda kit: Certificate.from_pkcs12(kit / name, Secret(passphrase))


GOOD: dict[str, Make] = {
    "pair": lambda kit: Certificate.of((str(kit / "good.crt"), kit / "good.key")),
    "pair the other way round": pair("good.key", "good.crt"),
    "pair with a certificate that is not its": pair("chained.crt", "good.key"),
    "pair with Windows line ends": pair("windows.crt", "good.key"),
    "PKCS#1 key": pair("good.crt", "pkcs1.key"),
    "encrypted key": pair("good.crt", "locked.key", PASS),
    "old encrypted key": pair("good.crt", "old-locked.key", PASS.encode()),
    "passphrase not needed": pair("good.crt", "good.key", PASS),
    "one file": one("good.pem"),
    "one file, key first": one("key-first.pem"),
    "one file, encrypted": lambda kit: Certificate.from_files(kit / "locked.pem", None, PASS),
    "bytes of PEM": lambda kit: Certificate.of((kit / "good.pem").read_bytes()),
    "PEM text where a path is expected": lambda kit: Certificate.of((kit / "good.pem").read_text()),
    "two texts": pem("good.crt", "good.key"),
    "escaped line ends": pem("good.pem", ends="\\n"),
    "escaped Windows line ends": pem("good.pem", ends="\\r\\n"),
    "line ends turned into spaces": pem("good.crt", "good.key", ends=" "),
    "line ends lost": pem("good.pem", ends=""),
    "encrypted key as text": pem("good.crt", "locked.key", opens=PASS),
    "PKCS#12": p12("good.p12"),
    "PKCS#12 with another certificate": p12("chain.p12"),
    "PKCS#12 of old programs": p12("legacy.p12"),
    "PKCS#12 without a passphrase": one("open.p12"),
    "bytes of PKCS#12": lambda kit: Certificate.from_pkcs12((kit / "good.p12").read_bytes(), PASS),
    "base64 of PKCS#12": lambda kit: Certificate.from_pkcs12_base64(
        (kit / "good.b64").read_bytes(), PASS.encode()
    ),
    "a passphrase not in UTF-8": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_bytes(), as_pem(private_key(kit), b"caf\xe9"), b"caf\xe9"
    ),
}

BAD: dict[str, list[Make]] = {
    "weak": [pair("small.crt", "small.key"), pair("ec.crt", "ec.key")],
    "usage": [pair("server.crt", "server.key")],
    "mismatch": [pair("good.crt", "other.key"), pair("mixed.pem", "other.key")],
    "missing": [pair("none.crt", "good.key"), pair("good.crt", "none.key")],
    "no-key": [pair("good.crt", "good.crt"), one("good.crt"), p12("keyless.p12")],
    "no-certificate": [pair("good.key", "good.key"), one("good.key"), pair("good.csr", "good.key")],
    "unreadable": [pair(".", "good.key"), pair("good.crt/x", "good.key")],
    "format": [
        *(one(f"{name}.crt") for name in ("empty", "junk", "huge", "der")),
        lambda _kit: Certificate.of(b"\x00\xff"),
        lambda _kit: Certificate.from_pem("päss"),
    ],
    "damaged": [
        *(pair(f"{name}.crt", "good.key") for name in ("cut", "holed", "undated", "unnamed")),
        *(pair("good.crt", f"{name}.key") for name in ("holed", "odd")),
        lambda _kit: Certificate.from_pem("-----BEGIN X-----" * 15_000),  # at once
    ],
    "passphrase": [
        pair("good.crt", "locked.key"),
        pair("good.crt", "locked.key", ""),
        pair("good.crt", "locked.key", PASS + "!"),
        pair("good.crt", "old-locked.key"),
        pair("good.crt", "old-locked.key", PASS + "!"),
        one("good.p12"),
        p12("good.p12", PASS + "!"),
        p12("cut.p12"),
    ],
}


def assert_says_nothing_secret(error: CertificateError, kit: Path) -> None:
    """Check that an error carries neither a passphrase nor a part of a key, anywhere."""
    assert (error.__cause__, error.__context__) == (None, None)
    keys = [(kit / f"{name}.key").read_text().splitlines()[3] for name in ("good", "locked")]
    shown = everything_in(error)
    assert [secret for secret in (PASS, *keys) if secret in shown] == []


def said_of(certificate: Make, kit: Path, **options: Any) -> str:  # noqa: ANN401 - passed on
    """Return the reason for which a certificate is refused; "" if it is taken."""
    try:
        certificate(kit).check(**options)
    except CertificateError as error:
        assert_says_nothing_secret(error, kit)
        return error.reason
    return ""


def log_in(certificate: Any, sandbox: Sandbox) -> Secret:  # noqa: ANN401 - in any form
    """Log in with it."""
    with IdentityClient(
        sandbox.app_key,
        certificate=certificate,
        identity_cert_url=sandbox.identity_cert_url,
        verify=sandbox.ca_bundle,
    ) as client:
        return client.certlogin(sandbox.username, sandbox.password)


def left_behind(temporary: Path) -> set[str]:
    """List the files in a directory, and what this process has open: number and what each is."""
    found = {path.name for path in temporary.iterdir()}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    # Other tests' drivers may open and close connections meanwhile, in threads of theirs.
    return {each for each in found if " socket:" not in each}


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


@pytest.fixture(params=["memory", "file"])
def temporary(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the directory for temporary files, on a system with and without files in memory."""
    directory: Path = tmp_path / request.param
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))

    def refuse(*_args: object) -> int:
        raise OSError(38, "Function not implemented")

    if request.param == "file":
        monkeypatch.setattr(os, "memfd_create", refuse)
    return directory


@pytest.mark.parametrize("form", GOOD)
def test_every_form_logs_in(form: str, kit: Path, sandbox: Sandbox) -> None:
    """A server that demands this very certificate gets it, and no repr tells its secrets."""
    sandbox.upload_certificate((kit / "good.crt").read_text())
    certificate = GOOD[form](kit)
    assert log_in(certificate, sandbox)
    text = repr(certificate) + repr(tuple(certificate))
    assert PASS not in text
    assert (kit / "good.key").read_text().splitlines()[3] not in text


def test_the_key_lies_in_no_file_that_can_be_read_later(kit: Path, temporary: Path) -> None:
    """Where there are files in memory, one of them; elsewhere a private one, its key encrypted.

    What else came along goes with it: a server may trust only the certificate's authority.
    """
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    before = left_behind(temporary)
    assert Certificate.from_pkcs12(kit / "chain.p12", PASS).load_into(context) == []
    assert left_behind(temporary) <= before
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in context.content
    assert b"BEGIN PRIVATE KEY" not in context.content
    assert context.content.count(b"BEGIN CERTIFICATE") == 2
    assert context.path.startswith(("/proc/self/fd/", str(temporary)))
    assert context.path.startswith("/proc/") or context.mode == 0o600


def test_nothing_stays_behind_when_the_tls_library_refuses(kit: Path, temporary: Path) -> None:
    """A TLS policy that wants larger keys is an error of ours; so is no place for a file."""
    certificate, context = Certificate.of(kit / "good.pem"), ssl.create_default_context()
    before = left_behind(temporary)
    context.set_ciphers("DEFAULT@SECLEVEL=3")
    with pytest.raises(CertificateError) as caught:
        certificate.load_into(context)
    assert caught.value.reason == "tls"
    assert left_behind(temporary) <= before
    assert_says_nothing_secret(caught.value, kit)
    temporary.rmdir()
    in_memory = temporary.name == "memory"
    with contextlib.nullcontext() if in_memory else pytest.raises(CertificateError):
        certificate.load_into(ssl.create_default_context())


@pytest.mark.parametrize("reason", BAD)
def test_an_unfit_certificate_is_refused_with_its_reason(reason: str, kit: Path) -> None:
    """Neither the error nor its traceback holds a secret; no TLS context gets the certificate."""
    for make in BAD[reason]:
        assert said_of(make, kit) == reason
        context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(CertificateError):
            make(kit).load_into(context)
        assert context.path == ""


def test_a_certificate_without_usage_extensions_is_fine(kit: Path) -> None:
    """A missing extendedKeyUsage allows everything."""
    assert Certificate.from_files(kit / "plain.crt", kit / "plain.key").check() == []


@pytest.mark.parametrize(
    ("since", "until", "outcome"),
    [
        (timedelta(seconds=-1), None, "not-yet-valid"),
        (timedelta(0), None, ""),
        (None, timedelta(days=30, seconds=1), ""),
        (None, timedelta(days=30), "warned"),
        (None, timedelta(seconds=1), "warned"),
        (None, timedelta(0), "expired"),
    ],
)
def test_the_dates_are_judged_to_the_second(
    kit: Path, since: timedelta | None, until: timedelta | None, outcome: str
) -> None:
    """The last 30 days are warned about; any zone will do."""
    dates = load_pem_x509_certificate((kit / "good.crt").read_bytes())
    begin, end = dates.not_valid_before_utc, dates.not_valid_after_utc
    now = begin + since if since is not None else end - (until or timedelta(0))
    now = now.astimezone(timezone(timedelta(hours=2)))
    fit, warned = outcome in {"", "warned"}, outcome == "warned"
    certificate = Certificate.of(kit / "good.pem")
    assert said_of(lambda _kit: certificate, kit, now=now) == ("" if fit else outcome)
    report = explain(kit / "good.crt", now=now)
    assert (report.ok, bool(report.files[0].warnings)) == (fit, warned)
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    with contextlib.nullcontext() if fit else pytest.raises(CertificateError):
        assert bool(certificate.load_into(context, now)) == warned
    assert bool(context.path) == fit


@pytest.mark.parametrize("now", [datetime(2026, 1, 1), 0, "2026-01-01"])  # noqa: DTZ001 - what is tested
def test_a_moment_without_its_zone_is_refused(now: Any, kit: Path) -> None:  # noqa: ANN401 - whatever it is
    """It could be meant in any."""
    certificate = Certificate.of(kit / "good.pem")
    for judge in (lambda: certificate.check(now), lambda: explain(kit / "good.crt", now=now)):
        with pytest.raises(ConfigurationError) as caught:
            judge()
        assert not isinstance(caught.value, CertificateError)


def test_a_file_that_is_replaced_is_read_anew(kit: Path, tmp_path: Path) -> None:
    """A renewed certificate is picked up by the next login of a running process."""
    path = tmp_path / "client.pem"
    certificate = Certificate.of(path)
    path.write_bytes((kit / "mixed.pem").read_bytes())
    assert said_of(lambda _kit: certificate, kit) == "mismatch"
    path.write_bytes((kit / "good.pem").read_bytes())
    assert certificate.check() == []


NOTHING: list[Any] = [
    *(None, 7, ("one.crt",), ("a", "b", "c"), {}, bytearray(b"x"), (b"a", b"b"), "", "a\nb"),
    "x" * 1025,
]
WRONG: list[Callable[[Any], object]] = [
    *(lambda _key, value=value: Certificate.of(value) for value in NOTHING),
    lambda _key: Certificate.from_pem(5),  # type: ignore[arg-type] # what is tested
    lambda key: Certificate.from_pem(None, key, PASS),  # type: ignore[arg-type]
    lambda key: Certificate.from_pem(key, bytearray(key, "ascii"), PASS),  # type: ignore[arg-type]
    lambda _key: Certificate.from_pkcs12_base64(None, PASS),  # type: ignore[arg-type]
    lambda _key: Certificate.from_files("a.crt", "a.key", bytearray(PASS, "ascii")),  # type: ignore[arg-type]
    lambda key: Certificate.from_pkcs12(key.encode(), [PASS]),  # type: ignore[arg-type]
    lambda key: Certificate.from_files("good.crt", key),  # a key where its path belongs
    lambda key: Certificate.from_pkcs12(key, PASS),
    lambda key: Certificate.from_pkcs12_base64("%%%" + key, PASS),
    lambda _key: Certificate.from_pkcs12_base64(b"\xfc", PASS),
    lambda _key: explain("x", passphrase=bytearray(PASS, "ascii")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", WRONG)
def test_what_can_be_no_certificate_is_refused_when_it_is_given(
    make: Callable[[str], object], kit: Path
) -> None:
    """Not at the first login; and no part of what was given shows in the error."""
    with pytest.raises(CertificateError) as caught:
        make((kit / "good.key").read_text())
    assert caught.value.reason == "argument"
    assert_says_nothing_secret(caught.value, kit)


def test_the_home_directory_may_be_written_short(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a `.env` file, where no shell expands it."""
    monkeypatch.setenv("HOME", str(kit))
    pair = Certificate.from_files("~/good.crt", Path("~/good.key"))
    assert pair.check() == []
    assert pair.requests_cert() == (str(kit / "good.crt"), str(kit / "good.key"))
    assert Certificate.from_pkcs12("~/good.p12", PASS).check() == []
    assert explain("~/good.pem").files[0].path == str(kit / "good.pem")


def test_a_certificate_is_a_value() -> None:
    """It names its files, cannot be changed, equals its like, and is taken as it is by `of`."""
    certificate = Certificate.of(("client.crt", "client.key"))
    assert repr(certificate) == "<Certificate from client.crt, client.key>"
    assert Certificate.of(certificate) is certificate
    assert certificate == Certificate.from_files("client.crt", "client.key")
    assert certificate != Certificate.from_files("client.crt", "client.key", "x")
    with pytest.raises(AttributeError):
        certificate.passphrase = None  # type: ignore[misc]


def test_making_one_reads_nothing_and_loads_nothing_heavy() -> None:
    """To resume a session, neither the files nor the cryptography package are needed."""
    code = (
        "import logging, sys\n"
        "before = set(sys.modules)\n"  # Python 3.14 loads dataclasses itself
        "from betfair_session.certificates import Certificate\n"
        "Certificate.of(('no/such.crt', 'no/such.key'))\n"
        "Certificate.from_pem('x', 'y', 'z'); Certificate.from_pkcs12_base64('MAA=', 'z')\n"
        "heavy = {'requests', 'ssl', 'cryptography', 'fsspec', 'dataclasses'}\n"
        "print(heavy & set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_session_of_the_callers_own_gets_plain_pem_files(kit: Path) -> None:
    """As paths, the certificate first; of no other form, which requests could not load."""
    crt, key, pem = (str(kit / name) for name in ("good.crt", "good.key", "good.pem"))
    assert Certificate.of((crt, key)).requests_cert() == (crt, key)
    assert Certificate.of((key, crt)).requests_cert() == (crt, key)
    assert Certificate.of(pem).requests_cert() == pem
    for form in ("encrypted key", "old encrypted key", "PKCS#12", "bytes of PEM", "two texts"):
        with pytest.raises(CertificateError) as caught:
            GOOD[form](kit).requests_cert()
        assert_says_nothing_secret(caught.value, kit)


# --- making certificates --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def made() -> dict[str, Secret]:
    """Make one certificate and key for all tests."""
    return create("bot of O'Neil & Søn", 90, Secret(PASS))


@pytest.fixture
def files(made: dict[str, Secret], tmp_path: Path) -> Path:
    """Write the certificate's files, a .p12 too, named "client"."""
    write_files(tmp_path, "client", made)
    return tmp_path


def test_a_new_certificate_is_what_betfair_asks_for(files: Path) -> None:
    """Openssl reads the extensions, the key and the signature of Betfair's guide."""
    crt = files / "client.crt"
    lines = [line.strip() for line in openssl("x509", "-noout", "-text", "-in", crt).splitlines()]

    def after(heading: str) -> str:
        return lines[lines.index(heading) + 1]

    assert after("X509v3 Basic Constraints:") == "CA:FALSE"
    assert after("X509v3 Key Usage:") == "Digital Signature, Key Encipherment"
    assert after("X509v3 Extended Key Usage:") == "TLS Web Client Authentication"
    assert after("Netscape Cert Type:") == "SSL Client"
    assert "Public-Key: (2048 bit)" in lines
    assert "Version: 3 (0x2)" in lines
    assert lines.count("Signature Algorithm: sha256WithRSAEncryption") == 2
    assert sum(line.startswith("X509v3 ") for line in lines) == 4  # with the heading
    strict = ("verify", "-x509_strict", "-CAfile", crt, "-purpose", "sslclient", crt)
    assert "OK" in openssl(*strict)
    certificate = load_pem_x509_certificate(crt.read_bytes())
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert length == timedelta(days=90, hours=1)  # an hour early, for clocks that are late


def test_a_certificate_that_betfair_would_not_take_is_not_made() -> None:
    """A name that no file can have is refused before the slow making of a key."""
    for name in ("", "x" * 65, "new\nline", ".", "..", ".hidden", "a/b", "a\\b", "c:d"):
        with pytest.raises(ConfigurationError):
            create(name)


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_only_the_certificate_can_be_read_by_others(
    mask: int, made: dict[str, Secret], tmp_path: Path
) -> None:
    """All but the .crt are private to the user, also the directories that had to be made."""
    tmp_path.chmod(0o755)
    before = os.umask(mask)
    try:
        paths = write_files(tmp_path / "new" / "deep", "client", made)
    finally:
        os.umask(before)
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {".crt": 0o644 & ~mask, ".key": 0o600, ".pem": 0o600, ".p12": 0o600}
    assert sorted(paths) == sorted((tmp_path / "new" / "deep").iterdir())
    directories = [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("new", "new/deep")]
    assert directories == [0o700, 0o700]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    plain = write_files(tmp_path, "plain", create("plain"))
    assert [path.suffix for path in plain] == [".crt", ".key", ".pem"]


def test_every_written_form_logs_in_once_it_is_uploaded(files: Path, sandbox: Sandbox) -> None:
    """The sandbox refuses the new certificate, takes the .crt, and then lets each form log in."""
    pair = (files / "client.crt", files / "client.key")
    with pytest.raises(LoginRefused) as caught:
        log_in(pair, sandbox)
    assert caught.value.status == "CERT_AUTH_REQUIRED"
    sandbox.upload_certificate(pair[0].read_text())
    forms = (pair, files / "client.pem", Certificate.from_pkcs12(files / "client.p12", PASS))
    assert len({log_in(form, sandbox) for form in forms}) == 3


def test_a_login_with_a_certificate_that_ends_soon_warns(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, by the file's name."""
    crt, key_file, *_ = write_files(tmp_path, "soon", create("soon", days=10))
    sandbox.upload_certificate(crt.read_text())
    log_in((crt, key_file), sandbox)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(crt) in record.getMessage()


@pytest.mark.parametrize("ending", ["crt", "key", "pem", "p12"])
def test_an_existing_file_is_never_overwritten(
    ending: str, made: dict[str, Secret], tmp_path: Path
) -> None:
    """If one of the files exists, if only as a link to nowhere, none stays that was written."""
    there = tmp_path / f"client.{ending}"
    for make in (lambda: there.write_text("precious"), lambda: there.symlink_to("elsewhere")):
        make()
        with pytest.raises(CertificateError) as caught:
            write_files(tmp_path, "client", made)
        assert caught.value.reason == "exists"
        assert list(tmp_path.iterdir()) == [there]
        assert there.is_symlink() or there.read_text() == "precious"
        there.unlink()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_files_that_are_written_by_half_are_removed(
    made: dict[str, Secret],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    """Whatever ends it at the second file."""
    opening = os.open

    def strike(path: Path, flags: int, mode: int) -> int:
        if path.suffix == ".key":
            raise error
        return opening(path, flags, mode)

    monkeypatch.setattr(os, "open", strike)
    with pytest.raises((KeyboardInterrupt, CertificateError)) as caught:
        write_files(tmp_path, "client", made)
    full = isinstance(error, OSError)
    assert getattr(caught.value, "reason", None) == ("unwritable" if full else None)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_written_as_it_should_is_not_written(
    made: dict[str, Secret], tmp_path: Path
) -> None:
    """A directory may be a file."""
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(CertificateError) as caught:
        write_files(tmp_path / "file" / "deep", "client", made)
    assert caught.value.reason == "unwritable"
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert os.listdir(tmp_path) == ["file"]


# --- explaining files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "holds", "ok"),
    [
        ("good.crt", ["certificate"], True),
        ("good.key", ["private key"], True),
        ("good.pem", ["certificate", "private key"], True),
        ("good.p12", ["certificate", "private key"], True),
        ("good.crt good.key", ["certificate"], True),
        ("locked.key", ["private key"], True),
        ("good.csr", ["certificate request"], True),  # of no use, but nothing is wrong with it
        ("other.key good.crt", ["private key"], False),
        ("undated.crt", ["certificate"], False),
        ("der.crt", [], False),
        ("none.crt", [], False),
        (".", [], False),
    ],
)
def test_files_are_explained(kit: Path, names: str, holds: list[str], *, ok: bool) -> None:
    """What each file holds, and whether they will do together; what is wrong is named by file."""
    report = explain(*(kit / name for name in names.split()), passphrase=PASS.encode())
    first = report.files[0]
    assert [each for each in holds if each not in first.kind] == []
    assert (report.ok, report.problems) == (ok, first.problems)
    assert all(str(kit) in each for each in first.problems)
    assert report.verdict in str(report)


def test_an_explanation_gives_the_facts_and_no_secret(files: Path, made: dict[str, Secret]) -> None:
    """Subject, dates, key size and fingerprint are there; nothing of the key."""
    (files / "client.pem").chmod(0o644)
    (files / "client.p12").chmod(0o644)
    certificate = load_pem_x509_certificate(made[".crt"].reveal().encode())
    report = explain(files / "client.pem", files / "client.p12", passphrase=PASS)
    text = str(report)
    for fact in (
        "CN=bot of O'Neil & Søn",
        f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}",
        f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M}",
        "RSA, 2048 bits",
        certificate.fingerprint(hashes.SHA256()).hex(":"),
    ):
        assert fact in text
    assert made[".key"].reveal().splitlines()[3] not in text
    # An unencrypted key that others can read is warned about.
    assert [bool(file.warnings) for file in report.files] == [True, False]


def test_names_in_a_certificate_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Control characters in a foreign certificate's subject, or a file's name, are not printed."""
    crt, key = tmp_path / "it.crt", tmp_path / "it.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\x1b[31mred",
            "-keyout", key, "-out", crt)  # fmt: skip
    text = str(explain(crt, "-----BEGIN X\x1b\n"))
    assert "?[31mred" in text
    assert "\x1b" not in text
