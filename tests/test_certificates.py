"""Client certificates in every form: read, judged, and shown to a real TLS server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings, strategies as st

from betfair_session.certificates import Certificate
from betfair_session.certificates.report import explain
from betfair_session.exceptions import CertificateError, ConfigurationError
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASS = "open-sesame-47"  # a made-up passphrase, looked for in every error
CLIENT_EXTENSIONS = (
    "basicConstraints=CA:FALSE",
    "keyUsage=digitalSignature,keyEncipherment",
    "extendedKeyUsage=clientAuth",
)
CA_CONFIG = """
[ca]
default_ca = only
[only]
database = {0}/index.txt
new_certs_dir = {0}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = client
[any]
commonName = supplied
[client]
extendedKeyUsage = clientAuth
"""


def openssl(*args: str | Path) -> None:
    """Run the openssl program."""
    command = ["openssl", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def self_signed(directory: Path, name: str, *args: str, extensions: tuple[str, ...]) -> None:
    """Make NAME.crt and NAME.key with openssl."""
    crt, key = directory / f"{name}.crt", directory / f"{name}.key"
    added = [part for each in extensions for part in ("-addext", each)]
    names = ("-subj", f"/CN={name}", "-keyout", key, "-out", crt)
    openssl("req", "-x509", "-nodes", "-days", "400", *args, *names, *added)


def dated(directory: Path, name: str, start: str, end: str) -> None:
    """Make NAME.crt for good.key, valid between two moments written YYYYMMDD."""
    config = directory / f"{name}.cnf"
    config.write_text(CA_CONFIG.format(directory))
    (directory / "index.txt").write_text("")
    key, request = directory / "good.key", directory / "good.csr"
    moments = ("-startdate", f"{start}000000Z", "-enddate", f"{end}000000Z")
    signing = ("-selfsign", "-batch", "-notext", "-config", config, "-keyfile", key)
    openssl("ca", *signing, "-in", request, *moments, "-out", directory / f"{name}.crt")


def locked_as_of_old(directory: Path) -> None:
    """Encrypt good.key in the traditional form, by a newer and by an older cipher."""
    for name, cipher in (("old-locked.key", "-aes256"), ("older-locked.key", "-des3")):
        files = ("-in", directory / "good.key", "-out", directory / name)
        openssl("rsa", "-traditional", cipher, "-passout", f"pass:{PASS}", *files)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with certificates and keys, good and bad, all by openssl."""
    kit = tmp_path_factory.mktemp("kit")
    rsa = ("-newkey", "rsa:2048")
    self_signed(kit, "good", *rsa, extensions=CLIENT_EXTENSIONS)
    self_signed(kit, "other", *rsa, extensions=CLIENT_EXTENSIONS)
    self_signed(kit, "small", "-newkey", "rsa:1024", extensions=CLIENT_EXTENSIONS)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    self_signed(kit, "ec", *curve, extensions=CLIENT_EXTENSIONS)
    self_signed(kit, "server", *rsa, extensions=("extendedKeyUsage=serverAuth",))
    self_signed(kit, "plain", *rsa, extensions=())
    crt, key = kit / "good.crt", kit / "good.key"
    openssl("req", "-new", "-key", key, "-subj", "/CN=good", "-out", kit / "good.csr")
    dated(kit, "expired", "20200101", "20210101")
    dated(kit, "future", "20980101", "20990101")

    (kit / "good.pem").write_bytes(crt.read_bytes() + key.read_bytes())
    (kit / "key-first.pem").write_bytes(key.read_bytes() + crt.read_bytes())
    (kit / "mixed.pem").write_bytes(crt.read_bytes() + (kit / "other.key").read_bytes())
    chained = (kit / "other.crt").read_bytes() + crt.read_bytes()
    (kit / "chained.crt").write_bytes(chained)
    (kit / "windows.crt").write_bytes(b"\xef\xbb\xbf" + crt.read_bytes().replace(b"\n", b"\r\n"))
    (kit / "utf16.crt").write_text(crt.read_text(), encoding="utf-16")
    locked = ("-aes256", "-passout", f"pass:{PASS}")
    openssl("rsa", "-in", key, *locked, "-out", kit / "locked.key")
    locked_as_of_old(kit)
    openssl("rsa", "-traditional", "-in", key, "-out", kit / "pkcs1.key")
    (kit / "locked.pem").write_bytes((kit / "locked.key").read_bytes() + crt.read_bytes())

    bundle = ("pkcs12", "-export", "-in", crt)
    openssl(*bundle, "-inkey", key, "-passout", f"pass:{PASS}", "-out", kit / "good.p12")
    openssl(*bundle, "-inkey", key, "-passout", "pass:", "-out", kit / "open.p12")
    openssl(
        *bundle, "-inkey", key, "-legacy", "-passout", f"pass:{PASS}", "-out", kit / "legacy.p12"
    )
    openssl(*bundle, "-nokeys", "-passout", f"pass:{PASS}", "-out", kit / "keyless.p12")
    (kit / "good.b64").write_bytes(base64.encodebytes((kit / "good.p12").read_bytes()))

    openssl("x509", "-in", crt, "-outform", "DER", "-out", kit / "der.crt")
    openssl("rsa", "-in", key, "-outform", "DER", "-out", kit / "der.key")
    openssl("req", "-in", kit / "good.csr", "-outform", "DER", "-out", kit / "der.csr")
    (kit / "cut.crt").write_bytes(crt.read_bytes()[:-300])
    (kit / "cut.key").write_bytes(key.read_bytes()[:-300])
    (kit / "cut.p12").write_bytes((kit / "good.p12").read_bytes()[:-300])
    lines = crt.read_text().splitlines()
    (kit / "holed.crt").write_text("\n".join(lines[:5] + lines[6:]))
    lines = key.read_text().splitlines()
    (kit / "holed.key").write_text("\n".join(lines[:5] + lines[6:]))
    der = ssl.PEM_cert_to_DER_cert((kit / "expired.crt").read_text())
    undated = der.replace(b"200101000000Z", b"209901000000Z")
    (kit / "undated.crt").write_text(ssl.DER_cert_to_PEM_cert(undated))
    unnamed = der.replace(b"\x0c\x04good", b"\x0c\x04\xff\xff\xff\xff")
    (kit / "unnamed.crt").write_text(ssl.DER_cert_to_PEM_cert(unnamed))
    (kit / "empty.crt").write_bytes(b"\n")
    (kit / "junk.crt").write_bytes(b"not a certificate at all")
    (kit / "huge.crt").write_bytes(b"x" * 300_000)
    return kit


GOOD: dict[str, Callable[[Path], Certificate]] = {
    "pair": lambda kit: Certificate.of((str(kit / "good.crt"), kit / "good.key")),
    "pair the other way round": lambda kit: Certificate.of((kit / "good.key", kit / "good.crt")),
    "pair with a certificate that is not its": lambda kit: Certificate.from_files(
        kit / "chained.crt", kit / "good.key"
    ),
    "pair with Windows line ends": lambda kit: Certificate.of(
        (kit / "windows.crt", kit / "good.key")
    ),
    "PKCS#1 key": lambda kit: Certificate.from_files(kit / "good.crt", kit / "pkcs1.key"),
    "encrypted key": lambda kit: Certificate.from_files(kit / "good.crt", kit / "locked.key", PASS),
    "old encrypted key": lambda kit: Certificate.from_files(
        kit / "good.crt", kit / "old-locked.key", PASS
    ),
    "passphrase not needed": lambda kit: Certificate.from_files(
        kit / "good.crt", kit / "good.key", PASS
    ),
    "one file": lambda kit: Certificate.of(str(kit / "good.pem")),
    "one file, key first": lambda kit: Certificate.of(kit / "key-first.pem"),
    "one file, encrypted": lambda kit: Certificate.from_files(
        kit / "locked.pem", passphrase=Secret(PASS)
    ),
    "bytes of PEM": lambda kit: Certificate.of((kit / "good.pem").read_bytes()),
    "PEM text where a path is expected": lambda kit: Certificate.of((kit / "good.pem").read_text()),
    "two texts": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_text(), Secret((kit / "good.key").read_text())
    ),
    "escaped line ends": lambda kit: Certificate.from_pem(
        (kit / "good.pem").read_text().replace("\n", "\\n")
    ),
    "escaped Windows line ends": lambda kit: Certificate.from_pem(
        (kit / "good.pem").read_text().replace("\n", "\\r\\n")
    ),
    "line ends turned into spaces": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_bytes().replace(b"\n", b" "),
        (kit / "good.key").read_bytes().replace(b"\n", b" "),
    ),
    "line ends lost": lambda kit: Certificate.from_pem(
        (kit / "good.pem").read_text().replace("\n", "")
    ),
    "old encrypted key, line ends turned into spaces": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_text(),
        (kit / "old-locked.key").read_text().replace("\n", " "),
        PASS,
    ),
    "old encrypted key, line ends lost": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_text(),
        (kit / "older-locked.key").read_text().replace("\n", ""),
        PASS,
    ),
    "encrypted key, passphrase as bytes": lambda kit: Certificate.from_files(
        kit / "good.crt", kit / "locked.key", PASS.encode()
    ),
    "encrypted key as text": lambda kit: Certificate.from_pem(
        (kit / "good.crt").read_text(), (kit / "locked.key").read_text(), PASS
    ),
    "PKCS#12": lambda kit: Certificate.from_pkcs12(kit / "good.p12", PASS),
    "PKCS#12 of old programs": lambda kit: Certificate.from_pkcs12(kit / "legacy.p12", PASS),
    "PKCS#12 without a passphrase": lambda kit: Certificate.of(kit / "open.p12"),
    "bytes of PKCS#12": lambda kit: Certificate.of((kit / "open.p12").read_bytes()),
    "bytes of PKCS#12 with a passphrase": lambda kit: Certificate.from_pkcs12(
        (kit / "good.p12").read_bytes(), Secret(PASS)
    ),
    "base64 of PKCS#12": lambda kit: Certificate.from_pkcs12_base64(
        (kit / "good.b64").read_text(), PASS
    ),
    "base64 of PKCS#12 as bytes": lambda kit: Certificate.from_pkcs12_base64(
        (kit / "good.b64").read_bytes(), PASS.encode()
    ),
}


class Bad(NamedTuple):
    """A certificate that Betfair would not take, and what the error says about it."""

    make: Callable[[Path], Certificate]
    says: str


def pair(crt: str, key: str, passphrase: str | None = None) -> Callable[[Path], Certificate]:
    """Take two files of the kit."""
    return lambda kit: Certificate.from_files(kit / crt, kit / key, passphrase)


BAD: dict[str, Bad] = {
    "expired": Bad(pair("expired.crt", "good.key"), "expired on 2021-01-01 00:00 UTC; make a new"),
    "not yet valid": Bad(pair("future.crt", "good.key"), "not valid before 2098-01-01 00:00 UTC"),
    "1024 bits": Bad(pair("small.crt", "small.key"), "small.crt has an RSA key of only 1024 bits"),
    "EC": Bad(pair("ec.crt", "ec.key"), "ec.crt has a key of the kind EC; Betfair wants RSA"),
    "only for servers": Bad(pair("server.crt", "server.key"), "does not allow client authentic"),
    "wrong key": Bad(pair("good.crt", "other.key"), "do not belong together"),
    "wrong key in one file": Bad(pair("mixed.pem", "other.key"), "do not belong together"),
    "missing certificate": Bad(pair("none.crt", "good.key"), "no certificate file .*none.crt"),
    "missing key": Bad(pair("good.crt", "none.key"), "there is no certificate file .*none.key"),
    "two certificates": Bad(pair("good.crt", "good.crt"), "no private key in .*good.crt"),
    "two keys": Bad(pair("good.key", "good.key"), "no certificate in .*good.key"),
    "certificate alone": Bad(lambda kit: Certificate.of(kit / "good.crt"), "no private key in"),
    "key alone": Bad(lambda kit: Certificate.of(kit / "good.key"), "no certificate in"),
    "request": Bad(pair("good.csr", "good.key"), r"no certificate in .*certificate request"),
    "directory": Bad(pair(".", "good.key"), "is a directory"),
    "file as directory": Bad(pair("good.crt/x", "good.key"), "good.crt/x cannot be read: Not a"),
    "empty": Bad(pair("empty.crt", "good.key"), "empty.crt is empty"),
    "junk": Bad(pair("junk.crt", "good.key"), "junk.crt holds neither PEM text nor"),
    "huge": Bad(pair("huge.crt", "good.key"), "huge.crt is too large"),
    "UTF-16": Bad(pair("utf16.crt", "good.key"), "utf16.crt is text in UTF-16"),
    "DER certificate": Bad(pair("der.crt", "good.key"), "openssl x509 -inform DER -in .*der.crt"),
    "DER key": Bad(pair("good.crt", "der.key"), "openssl pkey -inform DER -in .*der.key"),
    "DER request": Bad(pair("der.csr", "good.key"), "is a request, not a certificate"),
    "certificate cut short": Bad(pair("cut.crt", "good.key"), "cut.crt is cut short"),
    "key cut short": Bad(pair("good.crt", "cut.key"), "cut.key is cut short"),
    "damaged certificate": Bad(pair("holed.crt", "good.key"), "holed.crt holds a damaged cert"),
    "impossible date": Bad(pair("undated.crt", "good.key"), "undated.crt holds a damaged cert"),
    "impossible name": Bad(pair("unnamed.crt", "good.key"), "unnamed.crt holds a damaged cert"),
    "damaged key": Bad(pair("good.crt", "holed.key"), "holed.key holds a damaged private key"),
    "PKCS#12 cut short": Bad(
        lambda kit: Certificate.from_pkcs12(kit / "cut.p12", PASS), "or it is damaged"
    ),
    "no passphrase": Bad(pair("good.crt", "locked.key"), "encrypted private key; give its passph"),
    "empty passphrase": Bad(pair("good.crt", "locked.key", ""), "key; give its passphrase"),
    "wrong passphrase": Bad(
        pair("good.crt", "locked.key", PASS + "!"), "that this passphrase does not open"
    ),
    "old key, no passphrase": Bad(pair("good.crt", "old-locked.key"), "give its passphrase"),
    "old key, wrong passphrase": Bad(
        pair("good.crt", "old-locked.key", PASS + "!"), "this passphrase does not open"
    ),
    "PKCS#12, no passphrase": Bad(
        lambda kit: Certificate.of(kit / "good.p12"), "is a PKCS#12 file; give its passphrase"
    ),
    "PKCS#12, wrong passphrase": Bad(
        lambda kit: Certificate.from_pkcs12(kit / "good.p12", PASS + "!"),
        "PKCS#12 file that this passphrase does not open",
    ),
    "PKCS#12 without a key": Bad(
        lambda kit: Certificate.from_pkcs12(kit / "keyless.p12", PASS), "no private key in"
    ),
    "junk bytes": Bad(lambda _kit: Certificate.of(b"\x00\xff"), "bytes holds neither PEM"),
    "junk text": Bad(lambda _kit: Certificate.from_pem("päss"), "text holds neither PEM"),
}


def frames_below(error: BaseException) -> Iterator[str]:
    """Yield the local variables of every frame of the library that the error came through."""
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename != __file__:
            yield repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


def assert_says_nothing_secret(error: CertificateError, kit: Path) -> None:
    """Check that an error carries neither a passphrase nor a part of a key, anywhere."""
    assert error.__cause__ is None
    assert error.__context__ is None
    keys = [(kit / f"{name}.key").read_text().splitlines()[3] for name in ("good", "locked")]
    for text in (str(error), repr(error.args), *frames_below(error)):
        assert not any(secret in text for secret in (PASS, *keys))


def shown_to_server(context: ssl.SSLContext, ca: trustme.CA, trusted: Path) -> bytes:
    """Connect to a TLS server that asks for a client certificate; return the one it got (DER).

    `context` is the client's; the server takes certificates that `trusted` vouches for.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(server)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(trusted)
    ca.configure_trust(context)

    def serve(listener: socket.socket) -> bytes:
        raw, _address = listener.accept()
        raw.settimeout(20)
        with raw, server.wrap_socket(raw, server_side=True) as connection:
            connection.sendall(b"welcome")
            return connection.getpeercert(binary_form=True) or b""

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20)
        served = pool.submit(serve, listener)
        with (
            socket.create_connection(listener.getsockname(), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.recv(16) == b"welcome"
        return served.result(timeout=20)


def fingerprint(crt: Path) -> str:
    """Return the SHA-256 of a PEM certificate's DER form."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(crt.read_text())).hexdigest()


@pytest.fixture(scope="session")
def server_ca() -> trustme.CA:
    """Make the authority that the test servers' certificates come from."""
    return trustme.CA()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send temporary files into a directory of this test's own."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def open_files() -> set[str]:
    """List this process's open files: number and what each is."""
    found = set()
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

    def load_cert_chain(
        self,
        certfile: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        *args: Any,  # noqa: ANN401 - passed on
        **kwargs: Any,  # noqa: ANN401 - passed on
    ) -> None:
        """Remember the file and pass it on."""
        path = Path(os.fsdecode(certfile))
        self.path = str(path)
        self.mode = stat.S_IMODE(path.stat().st_mode)
        self.content = path.read_bytes()
        super().load_cert_chain(certfile, *args, **kwargs)


def without_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this look like a system without anonymous files in memory."""

    def refuse(*_args: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refuse)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("form", GOOD)
def test_every_form_is_shown_to_a_server(
    form: str, kit: Path, server_ca: trustme.CA, temporary: Path
) -> None:
    """A server that demands the client certificate gets it, and nothing stays behind."""
    before = open_files()
    context = ssl.create_default_context()
    assert GOOD[form](kit).load_into(context) == []
    assert open_files() <= before
    assert list(temporary.iterdir()) == []
    shown = shown_to_server(context, server_ca, kit / "good.crt")
    assert hashlib.sha256(shown).hexdigest() == fingerprint(kit / "good.crt")


@pytest.mark.parametrize("form", ["pair", "encrypted key", "PKCS#12"])
def test_every_form_is_shown_without_memory_files_too(
    form: str, *, kit: Path, server_ca: trustme.CA, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no files in memory, a temporary one does the same and is gone at once."""
    without_memory_files(monkeypatch)
    context = ssl.create_default_context()
    GOOD[form](kit).load_into(context)
    assert list(temporary.iterdir()) == []
    shown = shown_to_server(context, server_ca, kit / "good.crt")
    assert hashlib.sha256(shown).hexdigest() == fingerprint(kit / "good.crt")


def test_the_temporary_file_is_private_and_its_key_encrypted(
    kit: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process might leave behind is mode 0600 and opens with nothing."""
    without_memory_files(monkeypatch)
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    Certificate.of(kit / "good.pem").load_into(context)
    assert Path(context.path).parent == temporary
    assert context.mode == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in context.content
    assert b"BEGIN PRIVATE KEY" not in context.content
    assert not Path(context.path).exists()


def test_on_linux_no_file_with_a_name_is_written(kit: Path, temporary: Path) -> None:
    """The key goes through an anonymous file in memory."""
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    Certificate.of(kit / "good.pem").load_into(context)
    assert context.path.startswith("/proc/self/fd/")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("memory", [True, False])
def test_nothing_stays_behind_when_the_tls_library_refuses(
    *,
    memory: bool,
    kit: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A TLS policy that wants larger keys is a clear error, and no file stays."""
    if not memory:
        without_memory_files(monkeypatch)
    context = ssl.create_default_context()
    context.set_ciphers("DEFAULT@SECLEVEL=3")
    before = open_files()
    with pytest.raises(CertificateError, match="EE_KEY_TOO_SMALL") as caught:
        Certificate.of(kit / "good.pem").load_into(context)
    assert open_files() <= before
    assert list(temporary.iterdir()) == []
    assert_says_nothing_secret(caught.value, kit)


def test_no_place_for_a_temporary_file_is_a_clear_error(
    kit: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without files in memory and without a place for temporary ones, the error says so."""
    without_memory_files(monkeypatch)
    temporary.rmdir()
    with pytest.raises(CertificateError, match="cannot be handed to the TLS library"):
        Certificate.of(kit / "good.pem").load_into(ssl.create_default_context())


def test_intermediate_certificates_are_shown_as_well(
    kit: Path, server_ca: trustme.CA, tmp_path: Path
) -> None:
    """A server that trusts only the root accepts a certificate whose chain came along."""
    root = trustme.CA(key_type=trustme.KeyType.RSA)
    middle = root.create_child_ca(key_type=trustme.KeyType.RSA)
    leaf = middle.issue_cert("client.example", key_type=trustme.KeyType.RSA)
    names = [tmp_path / name for name in ("leaf.crt", "leaf.key", "middle.crt", "root.crt")]
    leaf.cert_chain_pems[0].write_to_path(names[0])
    leaf.private_key_pem.write_to_path(names[1])
    middle.cert_pem.write_to_path(names[2])
    root.cert_pem.write_to_path(names[3])
    bundle = tmp_path / "chain.p12"
    openssl("pkcs12", "-export", "-in", names[0], "-inkey", names[1], "-certfile", names[2],
            "-passout", f"pass:{PASS}", "-out", bundle)  # fmt: skip
    context = ssl.create_default_context()
    Certificate.from_pkcs12(bundle, PASS).load_into(context)
    shown = shown_to_server(context, server_ca, names[3])
    assert hashlib.sha256(shown).hexdigest() == fingerprint(names[0])
    assert kit.is_dir()


@pytest.mark.parametrize("case", BAD)
def test_an_unfit_certificate_is_a_clear_error(case: str, kit: Path) -> None:
    """The error says what is wrong, and neither it nor its traceback holds a secret."""
    certificate = BAD[case].make(kit)
    with pytest.raises(CertificateError, match=BAD[case].says) as caught:
        certificate.check()
    assert_says_nothing_secret(caught.value, kit)


@pytest.mark.parametrize("case", ["expired", "wrong key", "EC", "wrong passphrase"])
def test_an_unfit_certificate_never_reaches_the_tls_context(case: str, kit: Path) -> None:
    """Loading checks first."""
    context = PeekingContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(CertificateError, match=BAD[case].says):
        BAD[case].make(kit).load_into(context)
    assert context.path == ""


def test_a_file_that_may_not_be_read_is_a_clear_error(kit: Path, tmp_path: Path) -> None:
    """The error names the file and speaks of permissions."""
    certificate = Certificate.of(tmp_path / "secret.pem")
    (tmp_path / "secret.pem").write_bytes((kit / "good.pem").read_bytes())
    certificate.check()
    (tmp_path / "secret.pem").chmod(0)
    with as_nobody(), pytest.raises(CertificateError, match=r"secret\.pem may not be read"):
        certificate.check()


def with_exponents(kit: Path, *damaged: str) -> bytes:
    """Return the good key as PEM, with some of its numbers not what they should be."""
    key = serialization.load_pem_private_key((kit / "good.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    right = key.private_numbers()
    names = ("p", "q", "d", "dmp1", "dmq1", "iqmp")
    numbers = {name: getattr(right, name) + 2 * (name in damaged) for name in names}
    wrong = rsa.RSAPrivateNumbers(**numbers, public_numbers=right.public_numbers)
    return wrong.private_key(unsafe_skip_rsa_key_validation=True).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_key_is_tried_out_and_not_its_numbers(kit: Path, server_ca: trustme.CA) -> None:
    """What signs well serves; testing the primes of each key would stop all threads for a while."""
    pem = with_exponents(kit, "dmp1")
    with pytest.raises(ValueError, match="private key"):
        serialization.load_pem_private_key(pem, None)
    context = ssl.create_default_context()
    Certificate.from_pem((kit / "good.crt").read_bytes(), pem).load_into(context)
    assert shown_to_server(context, server_ca, kit / "good.crt")


def test_a_key_that_signs_wrongly_is_damaged(kit: Path) -> None:
    """Its public half fits the certificate, but Betfair would not take what it signs."""
    pem = with_exponents(kit, "d", "dmp1")
    with pytest.raises(CertificateError, match="holds a damaged private key"):
        Certificate.from_pem((kit / "good.crt").read_bytes(), pem).check()


def test_several_faults_are_named_together(kit: Path) -> None:
    """A certificate that is expired when looked at and too small gets both said."""
    later = datetime.now(timezone.utc) + timedelta(days=500)
    with pytest.raises(CertificateError, match=r"only 1024 bits.*; .*expired on"):
        Certificate.from_files(kit / "small.crt", kit / "small.key").check(now=later)


def test_a_certificate_without_usage_extensions_is_fine(kit: Path) -> None:
    """A missing extendedKeyUsage allows everything."""
    assert Certificate.from_files(kit / "plain.crt", kit / "plain.key").check() == []


@pytest.mark.parametrize(
    ("left", "warns"),
    [
        (timedelta(days=31), False),
        (timedelta(days=30), True),
        (timedelta(days=3, hours=5), True),
        (timedelta(seconds=1), True),
    ],
)
def test_the_last_30_days_are_warned_about_with_the_date(
    left: timedelta,
    *,
    warns: bool,
    kit: Path,
) -> None:
    """Within 30 days of its end the certificate still works, with a warning that names the day."""
    text = (kit / "future.crt").read_text()
    end = datetime(2099, 1, 1, tzinfo=timezone.utc)
    warnings = Certificate.from_pem(text, (kit / "good.key").read_text()).check(now=end - left)
    assert bool(warnings) is warns
    for warning in warnings:
        assert "expires on 2099-01-01 00:00 UTC" in warning
        assert f"({left.days} days left)" in warning


@pytest.mark.parametrize(("second", "fit"), [(-1, True), (0, False)])
def test_a_certificate_ends_at_its_very_second(
    second: int,
    *,
    fit: bool,
    kit: Path,
) -> None:
    """One second before its end the certificate is fit, and at its end no more."""
    moment = datetime(2099, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=second)
    certificate = Certificate.from_files(kit / "future.crt", kit / "good.key")
    with contextlib.nullcontext() if fit else pytest.raises(CertificateError, match="expired"):
        certificate.check(now=moment)


def test_the_moment_to_judge_by_may_be_of_any_zone(kit: Path) -> None:
    """What is said of it is in UTC."""
    now = datetime(2097, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    certificate = Certificate.from_files(kit / "future.crt", kit / "good.key")
    with pytest.raises(CertificateError, match="the clock, now 2096-12-31 23:30 UTC, is right"):
        certificate.check(now=now)


@pytest.mark.parametrize("now", [datetime(2026, 1, 1), 0, "2026-01-01"])  # noqa: DTZ001 - what is tested
def test_a_moment_without_its_zone_is_refused(now: Any, kit: Path) -> None:  # noqa: ANN401 - whatever it is
    """It could be meant in any."""
    certificate = Certificate.of(kit / "good.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for judge in (certificate.check, lambda now: certificate.load_into(context, now)):
        with pytest.raises(ConfigurationError) as caught:
            judge(now)
        assert str(caught.value) == (
            "now must be a timezone-aware datetime, such as datetime.now(timezone.utc)"
        )


def test_a_file_that_is_replaced_is_read_anew(kit: Path, tmp_path: Path) -> None:
    """A renewed certificate is picked up by the next login of a running process."""
    path = tmp_path / "client.pem"
    certificate = Certificate.of(path)
    path.write_bytes((kit / "mixed.pem").read_bytes())
    with pytest.raises(CertificateError, match="belong together"):
        certificate.check()
    path.write_bytes((kit / "good.pem").read_bytes())
    assert certificate.check() == []


@pytest.mark.parametrize(
    "value",
    [None, 7, ("only-one.crt",), ("a", "b", "c"), {}, bytearray(b"x"), (b"a", b"b"), "", "a\nb"],
)
def test_what_is_no_certificate_at_all_is_refused_at_once(value: object) -> None:
    """An argument that cannot be a certificate fails when it is given, not at the first login."""
    with pytest.raises(CertificateError):
        Certificate.of(value)  # type: ignore[arg-type]


def test_a_key_pasted_where_a_path_belongs_is_not_repeated(kit: Path) -> None:
    """The error for content in place of a path tells its length and nothing of it."""
    key = (kit / "good.key").read_text()
    bundle = (kit / "good.b64").read_text().replace("\n", "")
    for pasted in (key, bundle):
        with pytest.raises(CertificateError, match=f"a text of {len(pasted)} characters") as caught:
            Certificate.from_files("good.crt", pasted)
        assert pasted[100:140] not in str(caught.value)


WRONG_TYPES: dict[str, tuple[Callable[[Any], Certificate], str]] = {
    "no certificate's text": (
        lambda key: Certificate.from_pem(None, key, PASS),  # type: ignore[arg-type] # what is tested
        "the certificate's text is given as a text or as bytes, not as NoneType",
    ),
    "a key that is no text": (
        lambda key: Certificate.from_pem(key, bytearray(key, "ascii"), PASS),  # type: ignore[arg-type]
        "the key's text is given as a text or as bytes, not as bytearray",
    ),
    "no base64": (
        lambda _key: Certificate.from_pkcs12_base64(None, PASS),  # type: ignore[arg-type]
        "the PKCS#12 text is given as a text or as bytes, not as NoneType",
    ),
    "a passphrase for files": (
        lambda _key: Certificate.from_files("a.crt", "a.key", bytearray(PASS, "ascii")),  # type: ignore[arg-type]
        "the passphrase is given as a text or as bytes, not as bytearray",
    ),
    "a passphrase for PKCS#12": (
        lambda key: Certificate.from_pkcs12(key.encode(), [PASS]),  # type: ignore[arg-type]
        "the passphrase is given as a text or as bytes, not as list",
    ),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_what_is_no_text_is_refused_at_once(case: str, kit: Path) -> None:
    """And what else was given with it shows in no traceback."""
    make, says = WRONG_TYPES[case]
    with pytest.raises(CertificateError) as caught:
        make((kit / "good.key").read_text())
    assert str(caught.value) == says
    assert_says_nothing_secret(caught.value, kit)


def test_a_key_in_place_of_a_pkcs12_file_shows_in_no_traceback(kit: Path) -> None:
    """As in place of any other path."""
    with pytest.raises(CertificateError, match=r"a text of \d+ characters") as caught:
        Certificate.from_pkcs12((kit / "good.key").read_text(), PASS)
    assert_says_nothing_secret(caught.value, kit)


def test_a_passphrase_need_not_be_text_in_utf_8(kit: Path) -> None:
    """The bytes that a secret manager holds are tried as they are."""
    key = serialization.load_pem_private_key((kit / "good.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"caf\xe9"),
    )
    assert Certificate.from_pem((kit / "good.crt").read_bytes(), locked, b"caf\xe9").check() == []


def test_the_home_directory_may_be_written_short(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a `.env` file, where no shell expands it."""
    monkeypatch.setenv("HOME", str(kit))
    paths = (str(kit / "good.crt"), str(kit / "good.key"))
    pair = Certificate.from_files("~/good.crt", Path("~/good.key"))
    assert pair.check() == []
    assert pair.requests_cert() == Certificate.of(("~/good.crt", "~/good.key")).requests_cert()
    assert pair.requests_cert() == paths
    assert Certificate.from_pkcs12("~/good.p12", PASS).check() == []
    assert explain("~/good.pem").files[0].path == str(kit / "good.pem")
    with pytest.raises(CertificateError, match=f"there is no certificate file {kit}/none.pem$"):
        Certificate.of("~/none.pem").check()


@pytest.mark.parametrize("text", ["%%%", "abc", "ünïcode"])
def test_text_that_is_not_base64_is_a_clear_error(text: str, kit: Path) -> None:
    """The error neither repeats the text nor chains the decoder's error, which holds it."""
    with pytest.raises(CertificateError, match="not base64"):
        Certificate.from_pkcs12_base64(text.encode("latin-1"), PASS)
    with pytest.raises(CertificateError, match="not base64") as caught:
        Certificate.from_pkcs12_base64(text, PASS)
    assert text not in str(caught.value)
    assert_says_nothing_secret(caught.value, kit)


@pytest.mark.parametrize("form", GOOD)
def test_a_certificate_shows_no_secret(form: str, kit: Path) -> None:
    """The repr tells files' names, never a passphrase or a key."""
    text = repr(GOOD[form](kit)) + repr(vars(GOOD[form](kit)))
    assert text.startswith("<Certificate from ")
    assert PASS not in text
    assert (kit / "good.key").read_text().splitlines()[3] not in text


def test_the_repr_names_the_files() -> None:
    """A log line tells which files were meant."""
    certificate = Certificate.of(("client.crt", "client.key"))
    assert repr(certificate) == "<Certificate from client.crt, client.key>"


def test_a_certificate_cannot_be_changed() -> None:
    """A certificate is frozen and taken as it is by `of`."""
    certificate = Certificate.of("client.pem")
    assert Certificate.of(certificate) is certificate
    with pytest.raises(AttributeError):
        certificate.passphrase = None  # type: ignore[misc]


def test_making_one_reads_nothing_and_loads_nothing_heavy() -> None:
    """To resume a session, neither the files nor the cryptography package are needed."""
    code = (
        "import sys\n"
        "from betfair_session.certificates import Certificate\n"
        "Certificate.of(('no/such.crt', 'no/such.key'))\n"
        "Certificate.from_pem('x', 'y', 'z'); Certificate.from_pkcs12_base64('MAA=', 'z')\n"
        "print({'requests', 'ssl', 'cryptography', 'fsspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_session_of_the_callers_own_gets_the_paths(kit: Path) -> None:
    """Plain PEM files are handed on as paths, the certificate first."""
    crt, key, pem = (str(kit / name) for name in ("good.crt", "good.key", "good.pem"))
    assert Certificate.of((crt, key)).requests_cert() == (crt, key)
    assert Certificate.of((key, crt)).requests_cert() == (crt, key)
    assert Certificate.of(pem).requests_cert() == pem


@pytest.mark.parametrize(
    "form", ["encrypted key", "old encrypted key", "PKCS#12", "bytes of PEM", "two texts"]
)
def test_a_session_of_the_callers_own_cannot_take_other_forms(form: str, kit: Path) -> None:
    """What requests could not load, or would ask for a passphrase on the terminal, is an error."""
    with pytest.raises(CertificateError, match="has to be in PEM files") as caught:
        GOOD[form](kit).requests_cert()
    assert_says_nothing_secret(caught.value, kit)


def survives(certificate: Certificate) -> None:
    """Check a certificate; every error but the library's own fails the test."""
    with contextlib.suppress(CertificateError):
        certificate.check()


@given(content=st.binary(max_size=300), passphrase=st.none() | st.text(max_size=8))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_raise_only_certificate_errors(
    content: bytes, passphrase: str | None
) -> None:
    """Whatever lies in a file or a variable, the error is the library's."""
    starts = (
        b"",
        b"\x30\x82\x01\x00\x02\x01\x03",
        b"\x30",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
    )
    for start in starts:
        end = start.replace(b"BEGIN", b"END").split(b"\n")[0]
        survives(Certificate.of(start + content))
        survives(Certificate.from_pem(start + content + b"\n" + end, content, passphrase))
        survives(Certificate.from_pkcs12(start + content, passphrase))
    with contextlib.suppress(CertificateError):
        survives(Certificate.from_pkcs12_base64(content.decode("latin-1"), passphrase))


@given(data=st.data(), name=st.sampled_from(["good.pem", "good.p12", "locked.pem", "legacy.p12"]))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_files_raise_only_certificate_errors(
    kit: Path, data: st.DataObject, name: str
) -> None:
    """A file with some bytes changed, cut out or doubled is read or refused, never a crash."""
    content = bytearray((kit / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 4))
        content[place : place + length] = data.draw(st.binary(max_size=4))
    survives(Certificate.from_pkcs12(bytes(content), PASS))
