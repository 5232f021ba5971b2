"""`betfair-session certificate`, as a person runs it."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from programs import cli

if TYPE_CHECKING:
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what `certificate create` wrote, a .p12 among it."""
    directory = tmp_path_factory.mktemp("made")
    done = cli(
        "certificate",
        "create",
        "--p12",
        directory=directory,
        variables={"BETFAIR_CERT_PASSPHRASE": PASSPHRASE},
    )
    assert done.returncode == 0, done.stderr
    assert "Automated Betting Program Access" in done.stdout
    assert PASSPHRASE not in done.stdout + done.stderr
    return directory


def test_create_writes_private_files_for_their_owner_only(made: Path) -> None:
    """The .crt may be read by all: it is uploaded."""
    modes = {name: stat.S_IMODE((made / name).stat().st_mode) for name in os.listdir(made)}
    assert sorted(modes) == [f"client-2048.{end}" for end in ("crt", "key", "p12", "pem")]
    assert {modes[f"client-2048.{end}"] for end in ("key", "p12", "pem")} == {0o600}


def test_create_says_what_to_do_with_what_it_made(tmp_path: Path) -> None:
    """The .crt alone is to be uploaded; a .p12 is spoken of where there is one."""
    variables = {"BETFAIR_CERT_PASSPHRASE": PASSPHRASE}
    for more, names in (((), ".key and the .pem"), (("--p12",), ".key, the .pem and the .p12")):
        arguments = ("certificate", "create", "other", f"--directory=d{len(more)}", *more)
        done = cli(*arguments, variables=variables, directory=tmp_path)
        upload, keep = done.stdout.splitlines()[-2:]
        assert upload.startswith("Upload the .crt at Betfair under ")
        assert keep.startswith(f"Keep the {names} to yourself: ")


def test_create_makes_the_directory(tmp_path: Path) -> None:
    """As in the example of its help, ~ included, and for its owner only."""
    variables = {"HOME": str(tmp_path)}
    done = cli(
        "certificate", "create", "--directory=~/.b/c", variables=variables, directory=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".b" / "c" / "client-2048.key").exists()
    modes = {stat.S_IMODE((tmp_path / path).stat().st_mode) for path in (".b", ".b/c")}
    assert modes == {0o700}


def test_create_never_overwrites(made: Path) -> None:
    """Not even one of several."""
    before = (made / "client-2048.key").read_bytes()
    done = cli("certificate", "create", directory=made)
    assert done.returncode == 2
    assert done.stderr.startswith("betfair-session: ")
    assert len(done.stderr.splitlines()) == 1
    assert (made / "client-2048.key").read_bytes() == before


def test_a_passphrase_comes_from_the_environment_only(tmp_path: Path) -> None:
    """A .p12 without one is refused before anything is written."""
    done = cli("certificate", "create", "--p12", directory=tmp_path)
    assert done.returncode == 2
    assert "BETFAIR_CERT_PASSPHRASE" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"BETFAIR_CERT_FILE": "client-2048.crt", "BETFAIR_KEY_FILE": "client-2048.key"},
        {"BETFAIR_CERT_FILE": "client-2048.pem"},
        {"BETFAIR_PKCS12_FILE": "client-2048.p12", "BETFAIR_CERT_PASSPHRASE": PASSPHRASE},
    ],
    ids=["pair", "pem", "p12"],
)
def test_the_sandbox_takes_the_result_once_it_is_uploaded(
    made: Path, sandbox: Sandbox, tmp_path: Path, variables: dict[str, str]
) -> None:
    """Before that it answers CERT_AUTH_REQUIRED."""
    environment = {
        name: value
        for name, value in sandbox.environment().items()
        if not name.startswith(("BETFAIR_CERT", "BETFAIR_KEY"))
    }
    environment.update(variables)
    store = str(tmp_path / "store")
    done = cli("token", store, "k", directory=made, variables=environment)
    assert done.returncode == 3
    assert "CERT_AUTH_REQUIRED" in done.stderr
    sandbox.upload_certificate((made / "client-2048.crt").read_text())
    assert cli("unlock", store, "k", directory=made, variables=environment).returncode == 0
    done = cli("token", store, "k", directory=made, variables=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in [session.token for session in sandbox.sessions()]


def test_check_explains_what_a_file_is(made: Path) -> None:
    """A pair that fits is exit code 0; encrypted files open by the environment's passphrase."""
    done = cli("certificate", "check", "client-2048.crt", "client-2048.key", directory=made)
    assert done.returncode == 0
    assert "RSA, 2048 bits" in done.stdout
    variables = {"BETFAIR_CERT_PASSPHRASE": PASSPHRASE}
    done = cli(
        "certificate", "check", "--json", "client-2048.p12", directory=made, variables=variables
    )
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["files"][0]["path"] == "client-2048.p12"


def test_check_says_what_is_wrong_by_its_exit_code_too(tmp_path: Path) -> None:
    """A file that is no certificate, and one that is not there."""
    (tmp_path / "note.txt").write_text("hello")
    for name in ("note.txt", "nowhere"):
        done = cli("certificate", "check", name, directory=tmp_path)
        assert done.returncode == 2
        assert "problem: " in done.stdout
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("days", ["0", "x", "99999", "-1"])
def test_a_lifetime_that_cannot_be_is_wrong_usage(tmp_path: Path, days: str) -> None:
    """One line and exit code 2."""
    done = cli("certificate", "create", f"--days={days}", directory=tmp_path)
    assert done.returncode == 2
    assert "number of days" in done.stderr
    assert os.listdir(tmp_path) == []
