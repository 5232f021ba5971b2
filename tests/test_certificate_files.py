"""Making certificates, writing their files, and explaining any file."""

from __future__ import annotations

import contextlib
import os
import resource
import ssl
import stat
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate
from secrets_shown import everything_in

from betfair_session.betfair.identity import IdentityClient
from betfair_session.certificates import Certificate
from betfair_session.certificates.files import _write_new, create, write_files
from betfair_session.certificates.report import explain
from betfair_session.certificates.source import MAX_FILE
from betfair_session.exceptions import CertificateError, ConfigurationError, LoginRefused
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from _collections_abc import dict_items
    from collections.abc import Iterator

    from betfair_session.sandbox import Sandbox

PASS = "open-sesame-47"


def openssl(*args: str | Path, stdin: str | None = None) -> str:
    """Run the openssl program and return what it printed."""
    command = ["openssl", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def made() -> tuple[str, Secret]:
    """Make one certificate and key for all tests."""
    return create("bot of O'Neil & Søn", days=90)


@pytest.fixture
def files(made: tuple[str, Secret], tmp_path: Path) -> Path:
    """Write the certificate's files, a .p12 too, named "client"."""
    write_files(tmp_path, "client", *made, p12_passphrase=PASS)
    return tmp_path


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Create files with another umask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write a file beyond `size` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_new_certificate_is_what_betfair_asks_for(made: tuple[str, Secret]) -> None:
    """Openssl reads the extensions, the key and the signature of Betfair's guide."""
    text = openssl("x509", "-noout", "-text", stdin=made[0])
    lines = [line.strip() for line in text.splitlines()]

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


def test_a_new_certificate_verifies_for_tls_clients(files: Path) -> None:
    """Openssl accepts the certificate for client authentication, strictly, and not for servers."""
    crt = files / "client.crt"
    verify = ("verify", "-x509_strict", "-CAfile", crt)
    assert "OK" in openssl(*verify, "-purpose", "sslclient", crt)
    with pytest.raises(AssertionError, match="unsuitable certificate purpose"):
        openssl(*verify, "-purpose", "sslserver", crt)


def test_a_new_certificate_lives_as_long_as_asked_for(made: tuple[str, Secret]) -> None:
    """It is valid already, also by a clock that is a little late, and for the days given."""
    certificate = load_pem_x509_certificate(made[0].encode())
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert length == timedelta(days=90, hours=1)
    assert Certificate.from_pem(*made).check() == []


def test_a_new_key_has_the_size_asked_for_and_never_shows_itself() -> None:
    """The key comes wrapped; its size can be larger."""
    crt, key = create("bot", bits=3072)
    assert "Public-Key: (3072 bit)" in openssl("x509", "-noout", "-text", stdin=crt)
    assert isinstance(key, Secret)
    assert "Key is valid" in openssl("pkey", "-check", "-noout", stdin=key.reveal())


@pytest.mark.parametrize(
    ("name", "days", "bits"),
    [
        ("", 365, 2048),
        ("x" * 65, 365, 2048),
        ("new\nline", 365, 2048),
        ("bot", 0, 2048),
        ("bot", 3651, 2048),
        ("bot", 365, 1024),
        ("bot", 365, 100_000),
    ],
)
def test_a_certificate_that_betfair_would_not_take_is_not_made(
    name: str, days: int, bits: int
) -> None:
    """Arguments out of range are refused before the slow making of a key."""
    with pytest.raises(ConfigurationError):
        create(name, days, bits)


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_only_the_certificate_can_be_read_by_others(
    mask: int, made: tuple[str, Secret], tmp_path: Path
) -> None:
    """All but the .crt are private to the user, whatever the umask."""
    with umask(mask):
        paths = write_files(tmp_path, "client", *made, p12_passphrase=PASS)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {
        "client.crt": 0o644 & ~mask,
        "client.key": 0o600,
        "client.pem": 0o600,
        "client.p12": 0o600,
    }
    assert sorted(paths) == sorted(tmp_path.iterdir())


def test_without_a_passphrase_there_is_no_p12(made: tuple[str, Secret], tmp_path: Path) -> None:
    """The PKCS#12 file comes on request only."""
    paths = write_files(tmp_path, "client-2048", *made)
    assert [path.name for path in paths] == [
        "client-2048.crt",
        "client-2048.key",
        "client-2048.pem",
    ]


def test_every_written_form_is_the_same_fit_certificate(files: Path) -> None:
    """The pair, the .pem and the .p12 all check; openssl opens them as well."""
    crt, key, pem, p12 = (files / f"client.{ending}" for ending in ("crt", "key", "pem", "p12"))
    for certificate in (
        Certificate.of((crt, key)),
        Certificate.of(pem),
        Certificate.from_pkcs12(p12, Secret(PASS)),
    ):
        assert certificate.check() == []
    out = openssl("pkcs12", "-in", p12, "-passin", f"pass:{PASS}", "-nodes")
    assert crt.read_text() in out
    assert openssl("pkey", "-in", key, "-pubout") == openssl(
        "x509", "-in", pem, "-pubkey", "-noout"
    )


def test_every_written_form_logs_in_once_it_is_uploaded(files: Path, sandbox: Sandbox) -> None:
    """The sandbox refuses the new certificate, takes the .crt, and then lets each form log in."""
    forms = (
        Certificate.of((files / "client.crt", files / "client.key")),
        Certificate.of(files / "client.pem"),
        Certificate.from_pkcs12(files / "client.p12", PASS),
    )
    clients = [
        IdentityClient(
            sandbox.app_key,
            certificate=form,
            identity_url=sandbox.identity_url,
            identity_cert_url=sandbox.identity_cert_url,
            verify=sandbox.ca_bundle,
        )
        for form in forms
    ]
    with pytest.raises(LoginRefused) as caught:
        clients[0].certlogin(sandbox.username, sandbox.password)
    assert caught.value.status == "CERT_AUTH_REQUIRED"
    sandbox.upload_certificate((files / "client.crt").read_text())
    tokens = {client.certlogin(sandbox.username, sandbox.password) for client in clients}
    assert len(tokens) == 3
    for client in clients:
        client.close()


@pytest.mark.parametrize("ending", ["crt", "key", "pem", "p12"])
def test_an_existing_file_is_never_overwritten(
    ending: str, made: tuple[str, Secret], tmp_path: Path
) -> None:
    """If one of the files exists, nothing at all is written and the error names it."""
    (tmp_path / f"client.{ending}").write_text("precious")
    with pytest.raises(CertificateError, match=rf"client\.{ending} exists already"):
        write_files(tmp_path, "client", *made, p12_passphrase=PASS)
    assert [path.name for path in tmp_path.iterdir()] == [f"client.{ending}"]
    assert (tmp_path / f"client.{ending}").read_text() == "precious"


def test_a_link_to_nowhere_is_not_written_through(made: tuple[str, Secret], tmp_path: Path) -> None:
    """A dangling symbolic link counts as an existing file."""
    (tmp_path / "client.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CertificateError, match=r"client\.key exists already"):
        write_files(tmp_path, "client", *made)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_appears_at_the_last_moment_is_not_overwritten(tmp_path: Path) -> None:
    """Another program's file, made after the check, stays, and our own are removed again."""

    class Racing(dict[Path, Secret]):
        def items(self) -> dict_items[Path, Secret]:
            (tmp_path / "client.key").write_text("precious")
            return super().items()

    names = ("client.crt", "client.key")
    problem = _write_new(Racing({tmp_path / name: Secret("ours") for name in names}))
    assert problem is not None
    assert "File exists" in problem
    assert [path.name for path in tmp_path.iterdir()] == ["client.key"]
    assert (tmp_path / "client.key").read_text() == "precious"


def test_a_full_disk_leaves_no_file(made: tuple[str, Secret], tmp_path: Path) -> None:
    """When a later file cannot be written, the earlier ones are removed again."""
    assert len(made[0]) < 1500 < len(made[1].reveal())
    with (
        files_at_most(1500),
        pytest.raises(CertificateError, match=r"client\.key cannot be written: File too large"),
    ):
        write_files(tmp_path, "client", *made)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_made_for_its_owner_only(
    made: tuple[str, Secret], tmp_path: Path
) -> None:
    """With its parents; those that are there stay as they are."""
    tmp_path.chmod(0o755)
    write_files(tmp_path / "new" / "deep", "client", *made)
    modes = [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("new", "new/deep", ".")]
    assert modes == ([0o700, 0o700, 0o755] if os.name == "posix" else modes)


def test_a_directory_that_cannot_be_made_is_a_clear_error(
    made: tuple[str, Secret], tmp_path: Path
) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(CertificateError, match="file cannot be made") as caught:
        write_files(tmp_path / "file" / "deep", "client", *made)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "c:d", "new\nline"])
def test_a_name_that_is_a_path_is_refused(
    name: str, made: tuple[str, Secret], tmp_path: Path
) -> None:
    """The name cannot lead out of the directory."""
    with pytest.raises(ConfigurationError, match="not a plain file name"):
        write_files(tmp_path, name, *made)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_passphrase_writes_nothing(made: tuple[str, Secret], tmp_path: Path) -> None:
    """A .p12 without protection is not what anybody wants."""
    with pytest.raises(ConfigurationError, match="passphrase"):
        write_files(tmp_path, "client", *made, p12_passphrase="")
    assert list(tmp_path.iterdir()) == []


def test_a_p12_needs_an_rsa_key(made: tuple[str, Secret], tmp_path: Path) -> None:
    """A key of another kind, which Betfair does not take, is a clear error."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ConfigurationError, match="RSA"):
        write_files(tmp_path, "client", made[0], pem, p12_passphrase=PASS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "kind", "verdict"),
    [
        ("crt", "PEM: certificate", "Fit to upload to Betfair; to log in, its private key is"),
        ("key", "PEM: private key", "A private key; to log in, its certificate is needed as well"),
        ("pem", "PEM: certificate, private key", "Fit for Betfair's certificate login, once the"),
        ("p12", "PKCS#12: certificate, private key", "Fit for Betfair's certificate login, once"),
        ("crt key", "PEM: certificate", "Fit for Betfair's certificate login, once the"),
        ("crt key pem p12", "PEM: certificate", "Fit for Betfair's certificate login, once"),
    ],
)
def test_good_files_are_explained(names: str, kind: str, verdict: str, files: Path) -> None:
    """Each file's kind, and what the files are good for together, is said."""
    report = explain(*(files / f"client.{name}" for name in names.split()), passphrase=PASS)
    assert report.ok
    assert report.problems == ()
    assert report.files[0].kind == kind
    assert report.verdict.startswith(verdict)


def test_an_explanation_gives_the_facts_and_no_secret(
    files: Path, made: tuple[str, Secret]
) -> None:
    """Subject, dates, key size and fingerprint are there; nothing of the key."""
    certificate = load_pem_x509_certificate(made[0].encode())
    text = str(explain(files / "client.pem"))
    assert "certificate for CN=bot of O'Neil & Søn" in text
    assert "issued by itself" in text
    assert f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC to" in text
    assert f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" in text
    assert text.count("RSA, 2048 bits") == 2
    assert certificate.fingerprint(hashes.SHA256()).hex(":") in text
    assert made[1].reveal().splitlines()[3] not in text


@pytest.mark.parametrize(
    ("command", "kind", "problem"),
    [
        ("x509 -in client.crt -outform DER -out it", "DER: certificate", "is in DER form"),
        ("pkey -in client.key -outform DER -out it", "DER: private key", "is in DER form"),
        (
            "req -new -key client.key -subj /CN=x -outform DER -out it",
            "DER: certificate request",
            "is a request, not a certificate",
        ),
        (
            "pkcs12 -in client.p12 -passin pass:open-sesame-47 -passout pass:else -nocerts -out it",
            "PEM: encrypted private key",
            "that this passphrase does not open",
        ),
        (
            "pkcs12 -export -in client.pem -passout pass:else -out it",
            "PKCS#12, not opened",
            "this passphrase does not open",
        ),
        ("rand -hex -out it 40", "unknown", "holds neither PEM text nor a PKCS#12 file"),
        (
            "req -x509 -newkey rsa:2048 -nodes -keyout it -subj /CN=x -out it.crt",
            "PEM: private key",
            "belongs to none of the certificates given",
        ),
    ],
)
def test_files_of_no_use_are_explained(
    command: str, kind: str, problem: str, *, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What openssl made in other forms is recognised, and the report says what is wrong."""
    monkeypatch.chdir(files)
    openssl(*command.split())
    report = explain("it", "client.crt", passphrase=PASS)
    assert not report.ok
    assert report.files[0].kind == kind
    assert problem in report.problems[0]
    assert report.problems[0].startswith("it ")
    assert report.verdict.startswith("Not fit")


def test_a_request_is_no_certificate(files: Path) -> None:
    """A certificate request in PEM is named, and good for nothing."""
    request = files / "client.csr"
    openssl("req", "-new", "-key", files / "client.key", "-subj", "/CN=x", "-out", request)
    report = explain(request)
    assert report.files[0].kind == "PEM: certificate request"
    assert report.verdict.startswith("Of no use")


def test_missing_files_and_directories_are_explained(tmp_path: Path) -> None:
    """A file that cannot be read is part of the report and does not end it."""
    report = explain(tmp_path / "none.crt", tmp_path, "-----BEGIN X\n")
    assert [file.kind for file in report.files] == ["not readable"] * 3
    assert "there is no certificate file" in report.problems[0]
    assert "is a directory" in report.problems[1]
    assert "a text of 13 characters" in report.problems[2]


def test_dates_are_judged_by_the_moment_given(files: Path) -> None:
    """An explanation warns in the last 30 days and refuses after the end."""
    later = datetime.now(timezone.utc) + timedelta(days=80)
    soon = explain(files / "client.crt", now=later)
    assert soon.ok
    assert "days left" in soon.files[0].warnings[0]
    assert "warning: " in str(soon)
    over = explain(files / "client.crt", now=later + timedelta(days=20))
    assert "expired on" in over.problems[0]
    assert "problem: " in str(over)


def test_arguments_that_cannot_work_are_errors_and_no_report(files: Path) -> None:
    """They are no file's fault; bytes are a passphrase, as secret managers hold it."""
    assert explain(files / "client.p12", passphrase=PASS.encode()).ok
    with pytest.raises(CertificateError, match="the passphrase is given as a text") as caught:
        explain(files / "client.p12", passphrase=bytearray(PASS, "ascii"))  # type: ignore[arg-type] # what is tested
    assert PASS not in everything_in(caught.value)
    with pytest.raises(ConfigurationError, match="now must be a timezone-aware datetime"):
        explain(files / "client.crt", now=datetime(2026, 1, 1))  # noqa: DTZ001 - what is tested


def test_a_key_that_others_can_read_is_warned_about(files: Path) -> None:
    """A key file open to other users gets a warning; an encrypted one does not."""
    (files / "client.key").chmod(0o644)
    (files / "client.p12").chmod(0o644)
    report = explain(files / "client.key", files / "client.p12", passphrase=PASS)
    assert "chmod 600" in report.files[0].warnings[0]
    assert report.files[1].warnings == ()
    assert report.ok


def test_names_in_a_certificate_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Control characters in a foreign certificate's subject are not printed."""
    crt, key = tmp_path / "it.crt", tmp_path / "it.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\x1b[31mred",
            "-keyout", key, "-out", crt)  # fmt: skip
    text = str(explain(crt))
    assert "?[31mred" in text
    assert "\x1b" not in text


def test_a_file_that_is_too_large_is_no_certificate(tmp_path: Path) -> None:
    """Such as a disk's, or a device that never ends."""
    file = tmp_path / "huge.pem"
    file.write_bytes(b"-" * (MAX_FILE + 1))
    with pytest.raises(CertificateError, match="too large for a certificate file"):
        Certificate.of(file).load_into(ssl.create_default_context())
