"""What README, docs and backends.md show runs, and what they list is what there is."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from programs import cli, run
from servers.azure import ACCOUNT, ACCOUNT_KEY, AzureServer

from betfair_session import exceptions, storage
from betfair_session.cli.parser import parse
from betfair_session.environment import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.objects import ObjectServer

    from betfair_session.sandbox import Sandbox

_ROOT = Path(__file__).parents[1]
_PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (_ROOT / "README.md", _ROOT / "backends.md", *sorted(_ROOT.glob("docs/*.md")))
}
_BACKENDS = _PAGES["backends.md"]
_EXTRAS = set(metadata("betfair-session").get_all("Provides-Extra") or ())

# A client that is made by hand talks to Betfair; here it talks to the sandbox.
_TO_SANDBOX = """
import os

import betfair_session


class _Client(betfair_session.IdentityClient):
    def __init__(self, *arguments, **settings):
        hosts = {
            "identity_url": os.environ["BETFAIR_IDENTITY_URL"],
            "identity_cert_url": os.environ["BETFAIR_IDENTITY_CERT_URL"],
            "verify": os.environ["BETFAIR_CA_BUNDLE"],
        }
        super().__init__(*arguments, **{**hosts, **settings})


betfair_session.IdentityClient = _Client
"""

_ANYTHING_ELSE = ("install", "gcloud", "az", "npx", "moto_server", "fake-gcs-server", "curl")


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def _rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins with `heading`."""
    lines = text[text.index(f"\n| {heading} |") :].strip().splitlines()
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _commands(text: str) -> list[str]:
    blocks = _blocks(text, "console")
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize(
    "page", [name for name, text in _PAGES.items() if name != "backends.md" and "```python" in text]
)
def test_the_programs_of_a_page_run(
    sandbox: Sandbox, clouds: Callable[[str], ObjectServer], tmp_path: Path, page: str
) -> None:
    """All its Python, from top to bottom, as one program in a directory of its own."""
    for part, name in zip(sandbox.certificate, ("client-2048.crt", "client-2048.key"), strict=True):
        (tmp_path / name).write_bytes(Path(part).read_bytes())
    program = "\n".join([_TO_SANDBOX, *_blocks(_PAGES[page], "python")])
    place = {"BETFAIR_SESSION_STORE": "tokens", "BETFAIR_SESSION_KEY": "session.token"}
    variables = {**sandbox.environment(), **place}
    if "s3://" in program:
        variables |= _reaching(clouds("s3"), "")[1]
    done = run(sys.executable, "-c", program, variables=variables, directory=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.fixture
def clouds(server_of: Callable[[str], ObjectServer]) -> Iterator[Callable[[str], ObjectServer]]:
    """Return the server that a scheme leads to, with the bucket of the examples on it."""
    kinds = {"s3": "moto", "gs": "gcs", "abfs": "azure", "sftp": "sftp"}
    kinds |= {"obstore+s3": "moto", "obstore+gs": "gcs-xml", "obstore+abfs": "azure"}
    made: list[tuple[ObjectServer, str]] = []

    def find(scheme: str) -> ObjectServer:
        server = server_of(kinds[scheme])
        bucket = "my-container" if "abfs" in scheme else "my-bucket"
        bucket = "betfair" if scheme == "sftp" else bucket
        server.make_bucket(bucket)
        made.append((server, bucket))
        return server

    yield find
    for server, bucket in made:
        server.drop_bucket(bucket)


def _reaching(server: ObjectServer, program: str) -> tuple[str, dict[str, str]]:
    """Lead an example to a test's server: by variables, and by its address where it names one."""
    program = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.port}", program)
    program = program.replace("devaccount", ACCOUNT).replace("ZGV2ZWxvcG1lbnQ=", ACCOUNT_KEY)
    program = program.replace('"secret"}', f'"{getattr(server, "password", "")}"}}')
    options = server.options(server.endpoint)
    if "obstore+" in program:  # it has no variables for this
        program = program.replace('token")', f'token", storage_options={options!r})')
    return program, {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.endpoint,
        "AZURE_STORAGE_CONNECTION_STRING": options.get("connection_string", ""),
        "FSSPEC_GS": json.dumps({"token": "anon", "endpoint_url": server.endpoint}),
        "PYTHONWARNINGS": "default",  # the drivers' own affair
    }


@pytest.mark.parametrize("example", _blocks(_BACKENDS, "python")[1:])
def test_an_example_of_a_backend_runs(
    sandbox: Sandbox,
    clouds: Callable[[str], ObjectServer],
    tmp_path: Path,
    example: str,
) -> None:
    """Each gets a token that is alive, through a server of the kind that it names."""
    found = re.search(r'"([\w+]+)://', example)
    scheme = found.group(1) if found else ""
    program = _blocks(_BACKENDS, "python")[0] + example + "print(token)\n"
    variables = sandbox.environment()
    if scheme not in ("", "memory"):
        program, more = _reaching(clouds(scheme), program)
        variables |= more
    done = run(sys.executable, "-c", program, variables=variables, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    (session,) = sandbox.sessions()
    assert done.stdout == f"{session.token}\n"


@pytest.mark.parametrize(("kind", "port"), [("moto", 5000), ("gcs", 4443)])
def test_a_bucket_to_try_is_made(
    server_of: Callable[[str], ObjectServer], kind: str, port: int
) -> None:
    """By the very request that curl sends."""
    (command,) = (
        command
        for command in _commands(_BACKENDS)
        if command.startswith("curl ") and f":{port}/" in command
    )
    parser = argparse.ArgumentParser()
    parser.add_argument("-X", required=True)
    parser.add_argument("-H", default="Accept: */*")
    parser.add_argument("-d")
    parser.add_argument("url")
    asked = parser.parse_args(shlex.split(command)[1:])
    server = server_of(kind)
    address = asked.url.replace(f"http://127.0.0.1:{port}", server.endpoint)
    headers = dict([asked.H.split(": ")])
    try:
        requests.request(
            asked.X, address, data=asked.d, headers=headers, timeout=60
        ).raise_for_status()
        server.put("my-bucket", "key", b"content")
        assert server.get("my-bucket", "key") == b"content"
    finally:
        server.drop_bucket("my-bucket")


@pytest.mark.parametrize("text", _blocks(_BACKENDS, "json"))
def test_json_is_json(text: str) -> None:
    """Options and policies can be pasted."""
    assert isinstance(json.loads(text), dict)


def test_the_policy_for_s3_is_for_both_objects() -> None:
    """Token and lock need the same three permissions, the bucket one more."""
    policy = next(json.loads(text) for text in _blocks(_BACKENDS, "json") if "Statement" in text)
    objects, bucket = policy["Statement"]
    assert sorted(objects["Action"]) == ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    token, lock = objects["Resource"]
    assert lock == token + storage.location.LOCK_SUFFIX
    assert (bucket["Action"], bucket["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::my-bucket")


def test_the_table_of_backends_is_what_the_code_supports() -> None:
    """Each row's schemes are those that its module takes, and its extra exists."""
    rows = {row[0].strip("[]").split("]")[0]: row for row in _rows(_BACKENDS, "store")[:5]}
    schemes = {name: set(_code(row[1])) for name, row in rows.items()}
    assert schemes == {
        "Local files": set(storage.location.LOCAL),
        "Memory": {"memory"},
        "Amazon S3": set(storage.location.S3),
        "Google Cloud Storage": set(storage.location.GCS),
        "Azure Blob Storage": set(storage.location.AZURE),
    }
    extras = {extra for row in _rows(_BACKENDS, "store") for extra in _code(row[2])}
    assert extras == {"s3", "gcs", "azure", "obstore"}
    assert extras < _EXTRAS


def test_the_table_of_errors_is_complete() -> None:
    """Every error that can be raised has its row; those above them are named below the table."""
    above = {"BetfairSessionError", "IdentityError", "StoreError"}
    page = _PAGES["errors.md"]
    rows = {name for row in _rows(page, "error") for name in _code(row[0])}
    assert rows == set(exceptions.__all__) - above
    for name in above:
        assert f"`{name}`" in page


def test_the_table_of_variables_is_complete() -> None:
    """Every variable that is read is explained, and no other."""
    rows = _rows(_PAGES["configuration.md"], "variable")
    assert {name for row in rows for name in _code(row[0])} == set(NAMES)


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files that are linked exist, and so do their headings."""
    folder = _ROOT / "docs" if (_ROOT / "docs" / page).is_file() else _ROOT
    for link in re.findall(r"\]\(([^)]+)\)", _PAGES[page]):
        if link.startswith("https://"):
            continue
        file, _, heading = link.partition("#")
        target = folder / (file or page)
        assert target.is_file(), link
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in target.read_text(encoding="utf-8").splitlines()
            if line.startswith("#")
        }
        assert not heading or heading in headings, link


@pytest.mark.parametrize(
    "command", sorted({command for text in _PAGES.values() for command in _commands(text)})
)
def test_a_command_can_be_run(sandbox: Sandbox, tmp_path: Path, command: str) -> None:
    """Our own commands run, or at least parse; pip's extras exist."""
    words = shlex.split(command)
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    words[0] = words[0].rpartition("/")[2]  # of an environment of its own
    if words[0] == "betfair-session" and words[1] in ("token", "logout", "unlock"):
        place = {"BETFAIR_SESSION_STORE": "tokens", "BETFAIR_SESSION_KEY": "session.token"}
        variables = {**sandbox.environment(), **place}
        done = cli(*words[1:], variables=variables, directory=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    elif words[0] == "betfair-session":
        with pytest.raises(SystemExit) as ended:
            parse([*words[1:], "--help"])
        assert ended.value.code == 0
    elif words[:3] == ["python3", "-m", "venv"]:
        assert len(words) == 4
    elif words[:2] == ["python", "-c"]:
        with AzureServer() as server:
            program, variables = _reaching(server, words[2])
            done = run(sys.executable, "-c", program, variables=variables, directory=tmp_path)
            assert (done.returncode, done.stdout) == (0, "")
            server.put("my-container", "key", b"there is one")
    elif words[0] == "python3":
        assert (_ROOT / words[1]).is_file()
        assert command in (_ROOT / words[1]).read_text(encoding="utf-8")
    elif words[0] == "pip":
        extras = re.fullmatch(r"\.\[([\w,]+)\]", words[2])
        assert words[1] == "install"
        named = set(extras[1].split(",")) if extras else {words[2]}
        assert named <= _EXTRAS | {"moto[server]"}
    else:
        assert words[0] in _ANYTHING_ELSE
