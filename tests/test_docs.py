"""The code in README, docs and backends.md runs, and their lists are complete."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import secrets
import shlex
import ssl
from collections.abc import Callable
from importlib.metadata import metadata
from inspect import unwrap
from pathlib import Path
from typing import Any

import httpx
import pytest
from front import BET, PLACE, PLACE_BY_REST, READ, REST, RPC
from servers.azure import ACCOUNT, ACCOUNT_KEY
from servers.objects import ObjectServer

import betfair_session
from betfair_session import (
    IdentityClient,
    Session,
    cli,
    exceptions,
    sandbox as sandbox_package,
    session_is_invalid,
    storage,
)
from betfair_session.environment import NAMES
from betfair_session.sandbox import Sandbox

_ROOT = Path(__file__).parents[1]
_PAGES = {
    str(path.relative_to(_ROOT)): path.read_text(encoding="utf-8")
    for place in ("*.md", "docs/*.md", "examples/**/README.md")
    for path in sorted(_ROOT.glob(place))
}
_BACKENDS = _PAGES["backends.md"]
_EXTRAS = set(metadata("betfair-session").get_all("Provides-Extra") or ())
_ANYTHING_ELSE = ("install", "gcloud", "az", "npx", "moto_server", "fake-gcs-server", "curl")
_SERVERS = {"s3": "moto", "gs": "gcs", "abfs": "azure", "obstore+s3": "moto"}
_SERVERS |= {"obstore+gs": "cloud-gcs", "obstore+abfs": "azure"}


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def _commands(text: str) -> list[str]:
    blocks = _blocks(text, "console")
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def _first_cells(text: str, heading: str) -> set[str]:
    """Return the code in the first column of the table with a heading."""
    table = text[text.index(f"\n| {heading} |") :].strip().partition("\n\n")[0]
    return {
        code for line in table.splitlines() for code in re.findall("`([^`]+)`", line.split("|")[1])
    }


@pytest.fixture
def execute(
    sandbox: Sandbox,
    server_of: Callable[[str], ObjectServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], str]:
    """A function that runs a page's program on the sandbox, and returns its output."""
    monkeypatch.chdir(tmp_path)
    for part, name in zip(sandbox.certificate, ("client-2048.crt", "client-2048.key"), strict=True):
        Path(name).write_bytes(Path(part).read_bytes())
    aws = dict.fromkeys(
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"), "us-east-1"
    )
    place = {"BETFAIR_SESSION_STORE": "tokens", "BETFAIR_SESSION_KEY": "session.token"}
    place["SSL_CERT_FILE"] = sandbox.ca_bundle  # for httpx
    for name, value in {**sandbox.environment(), **place, **aws}.items():
        monkeypatch.setenv(name, value)
    # A page's default settings are the sandbox's here, too.
    defaults = unwrap(IdentityClient.__init__).__kwdefaults__
    assert defaults is not None
    for name in ("identity_url", "identity_cert_url", "api_url"):
        monkeypatch.setitem(defaults, name, getattr(sandbox, name))
    monkeypatch.setitem(defaults, "verify", sandbox.ca_bundle)

    buckets: dict[tuple[str, str], str] = {}  # by the server's kind and the name on the page

    def run(program: str) -> str:
        for scheme, bucket in set(re.findall(r'"([\w+]+)://(my-\w+)', program)):
            server = server_of(_SERVERS[scheme])
            named = (_SERVERS[scheme], bucket)
            if named not in buckets:
                buckets[named] = server.new_bucket().name
            program = _reaching(server, program).replace(bucket, buckets[named])
            options = server.options(server.endpoint)
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
            if "connection_string" in options:
                monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", options["connection_string"])
            if scheme in ("gs", "obstore+gs", "obstore+abfs"):  # no variables lead to a server
                given = f', "session.token", storage_options={options!r})'
                program = program.replace(', "session.token")', given)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(program, "page", "exec"), {"__name__": "__main__"})
        return printed.getvalue()

    return run


def _reaching(server: ObjectServer, program: str) -> str:
    """Put the address and the account of a test's server where an example names its own."""
    program = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.port}", program)
    return program.replace("devaccount", ACCOUNT).replace("ZGV2ZWxvcG1lbnQ=", ACCOUNT_KEY)


@pytest.mark.parametrize(
    "page",
    ["README.md", *(n for n in _PAGES if n.startswith("docs/") and _blocks(_PAGES[n], "python"))],
)
def test_the_programs_of_a_page_run(execute: Callable[[str], str], page: str) -> None:
    """All its Python, from top to bottom, as one program in a directory of its own."""
    execute("\n".join(_blocks(_PAGES[page], "python")))


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [(REST, {}, 2), (RPC, [READ], 2), (PLACE_BY_REST, BET, 1), (RPC, [READ, PLACE], 1)],
)
def test_the_class_for_httpx_replaces_a_rejected_token_once(
    sandbox: Sandbox, betting_session: Session, path: str, body: object, sent: int
) -> None:
    """What places no bet is sent again, once."""
    page: dict[str, Any] = {}
    exec(_blocks(_PAGES["docs/asyncio.md"], "python")[1], page)

    async def send() -> httpx.Response:
        trusted = ssl.create_default_context(cafile=sandbox.ca_bundle)
        auth = page["SharedSession"](betting_session)
        async with httpx.AsyncClient(auth=auth, verify=trusted) as client:
            return await client.post(f"{sandbox.api_url}{path}", json=body)

    dead = betting_session.token()
    sandbox.expire(dead)
    assert session_is_invalid(asyncio.run(send())) is (sent == 1)
    assert (sandbox.counts()["betting"], sandbox.orders()) == (sent, [])
    assert betting_session.token() != dead
    sandbox.configure(session_seconds=0)
    assert session_is_invalid(asyncio.run(send()))
    assert sandbox.counts()["betting"] == 2 * sent


@pytest.mark.parametrize(
    "example", [e for e in _blocks(_BACKENDS, "python")[1:] if "sftp" not in e]
)
def test_an_example_of_a_backend_runs(
    sandbox: Sandbox, execute: Callable[[str], str], example: str
) -> None:
    """Each gets a token that is alive, through a server of the kind that it names."""
    printed = execute(_blocks(_BACKENDS, "python")[0] + example + "print(token)\nmanager.close()\n")
    assert [printed.strip()] == [session.token for session in sandbox.sessions()]


def test_options_and_policies_can_be_pasted() -> None:
    """For S3, token and lock need the same three permissions, the bucket one more."""
    texts = [json.loads(block) for text in _PAGES.values() for block in _blocks(text, "json")]
    assert all(isinstance(each, dict) for each in texts)
    policy = next(json.loads(text) for text in _blocks(_BACKENDS, "json") if "Statement" in text)
    objects, bucket = policy["Statement"]
    assert sorted(objects["Action"]) == ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    token, lock = objects["Resource"]
    assert lock == token + storage.location.LOCK_SUFFIX
    assert (bucket["Action"], bucket["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::my-bucket")


def test_the_tables_of_errors_and_variables_are_complete() -> None:
    """Each error that can be raised and each variable that is read has a row, and nothing else."""
    above = {"BetfairSessionError", "IdentityError", "StoreError"}
    errors = _PAGES["docs/errors.md"]
    assert _first_cells(errors, "error") == set(exceptions.__all__) - above
    assert all(f"`{name}`" in errors for name in above)
    assert _first_cells(_PAGES["docs/configuration.md"], "variable") == set(NAMES)


def test_the_reference_names_everything_that_is_public() -> None:
    """It defines what is public; a name that it lacks could vanish unnoticed."""
    named = set(
        re.findall(
            r"^\.\. (?:auto\w+|py:data):: (?:\w+\.)*(\w+)$", _PAGES["docs/api.md"], re.MULTILINE
        )
    )
    assert "exceptions" in named  # whose members are shown
    public = {*vars(betfair_session)["__all__"], *vars(sandbox_package)["__all__"]}
    assert public - {*exceptions.__all__} <= named


def test_the_map_of_the_code_names_what_exists() -> None:
    """Each word in backticks stands in the code, or in a file's name."""
    files = [
        path
        for place in ("betfair_session", "tests", "long")
        for path in (_ROOT / place).rglob("*.py")
    ]
    texts = [f"{path} {path.read_text('utf-8')}" for path in [*files, _ROOT / "pyproject.toml"]]
    known = set(re.findall(r"\w+", "".join(texts)))
    section = _PAGES["CONTRIBUTING.md"].partition("## Where things are")[2].partition("\n## ")[0]
    for name in re.findall("`([^`]+)`", section):
        assert set(re.findall(r"\w+", name)) <= known, name


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files that are linked exist, and so do their headings."""
    for link in re.findall(r"\]\((?!https://)([^)]+)\)", _PAGES[page]):
        name, _, heading = link.partition("#")
        target = (_ROOT / page).parent / name if name else _ROOT / page
        assert target.is_file(), link
        titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        found = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
        assert not heading or heading in found, link


def test_git_ignores_what_the_pages_have_users_make() -> None:
    """Or it gets into the source archive, which fails for the links of an environment."""
    commands = [command for text in _PAGES.values() for command in _commands(text)]
    named = re.compile(r"(?:-m venv |--target |fileb?://|> |\bcat )([\w.-]+)")
    made = {name for command in commands for name in named.findall(command)}
    ignored = (_ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"trial", "answer.json"} <= made <= {line.rstrip("/") for line in ignored}


@pytest.mark.parametrize(
    "command",
    sorted({c for name in _PAGES if "examples" not in name for c in _commands(_PAGES[name])}),
)
def test_a_command_can_be_run(
    server_of: Callable[[str], ObjectServer],
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Our own commands parse; pip's extras and Python's files exist."""
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    match words[0].rpartition("/")[2], *words[1:]:  # it may be of an environment of its own
        case ["betfair-session", *arguments]:
            with contextlib.suppress(SystemExit):
                assert cli.main([*arguments, "--help"]) == 0
            assert "usage" in capsys.readouterr().out.lower()
        case ["python", "-c", program]:
            server, name = server_of("azure"), f"c{secrets.token_hex(8)}"
            exec(_reaching(server, program).replace("my-container", name))
            server.put(name, "key", b"there is one")
        case ["pip", "install", *_, what]:
            extras = re.search(r"\[([\w,]+)\]$", what)
            named = set(extras[1].split(",")) if extras else {what}
            assert named <= _EXTRAS | {"server"}
        case ["python3" | "python", *more]:
            files = [word for word in more if word.endswith(".py")]
            assert files or more[:1] == ["-m"]
            assert all((_ROOT / file).is_file() for file in files)
        case [program, *_]:
            assert program in _ANYTHING_ELSE
