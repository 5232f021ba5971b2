"""What the caller gives: places, addresses, variables and command lines."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
from typing import Any
from urllib.parse import urlsplit

from betfair_session.arguments import https_base
from betfair_session.betfair.answers import Endpoint
from betfair_session.cli import certificate, commands, doctor, local, session, status
from betfair_session.cli.output import Output
from betfair_session.environment import Environment, read_dotenv
from betfair_session.exceptions import ConfigurationError
from betfair_session.storage import open_store
from betfair_session.storage.contract import TokenStore
from betfair_session.storage.location import check_key, redact, scheme_of
from betfair_session.storage.meanings import clean

PLANTED = "PLANTED9"
UTF_8 = ("utf-8", "surrogateescape")  # as a variable or argument in another encoding comes

# Opening any other may connect to a server.
_LOCAL = frozenset(
    ("file", "local", "memory", "data", "dir", "simplecache", "filecache", "blockcache", "unknown")
)
_CLOUDS = frozenset(
    (
        "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "obstore+s3", "obstore+gs", "obstore+az",
        "obstore+abfs", "obstore+file",
    )
)  # fmt: skip


def key(data: bytes) -> None:
    """A key is refused, or it names one object below the store."""
    text = data.decode(*UTF_8)
    try:
        checked = check_key(text)
    except ConfigurationError as error:
        assert str(error).isprintable()
        return
    parts = re.split(r"[/\\]", checked)
    assert checked == text
    assert not {"", ".", ".."} & set(parts)
    assert not checked.endswith(".login")


def address(data: bytes) -> None:
    """A store's URL is shown without the password that every parser sees in it."""
    shape, cut = (data + b"\0\0")[:2]
    text = data[2:].decode(*UTF_8)
    cut %= len(text) + 1
    password = text[:cut] + PLANTED + text[cut:]
    url = (
        f"sftp://user:{password}@host/path",
        f"simplecache::sftp://user:{password}@host/path",
        f"ftp://host/path?{password}",
        f"smb://domain;user:{password}@host:445/share",
    )[shape % 4]
    _ = scheme_of(text), redact(text)
    assert PLANTED not in redact(url) or not _is_secret_in(url)
    base = _base(text)
    if base is not None:
        assert urlsplit(base).scheme == "https"
        assert Endpoint("login", base).host == urlsplit(base).netloc
        assert base.endswith("/")
        assert not base[:-1].endswith("/")


def _is_secret_in(url: str) -> bool:
    """Return whether the standard parser sees the planted text in a password or query."""
    try:
        parts = urlsplit(url.rsplit("::", maxsplit=1)[-1])
    except ValueError:
        return True  # it cannot be told apart
    return PLANTED in f"{parts.password}{parts.query}"


def _base(text: str) -> str | None:
    for url in (text, f"https://{text}"):
        try:
            return https_base(url, None, name="identity_url")
        except ConfigurationError as error:
            assert str(error).isprintable()
    return None


def store(data: bytes) -> None:
    """A store with any URL and options is opened, without a server, or refused."""
    first, _, rest = data.partition(b"\n")
    url = first.decode(*UTF_8)
    chain = url.lower().split("::")
    schemes = {part.partition("://")[0] for part in chain if "://" in part} | {*chain[:-1]}
    # fsspec opens a chain at once, and a cloud's driver looks for credentials then.
    if not schemes <= (_LOCAL if len(chain) > 1 else _LOCAL | _CLOUDS):
        return
    options = _options(rest)
    try:
        opened = open_store(url, options)
    except ConfigurationError as error:
        # After a colon that no port follows, up to the last @: what no other text gives away.
        password = re.search(rf"(?s)://[^/@]*:(?!\d{{1,5}}(/|$)).*{PLANTED}.*@", url)
        assert PLANTED not in str(error) or not (password or _is_secret_in(url))
        return
    assert isinstance(opened, TokenStore)
    opened.close()


def _options(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def dotenv(data: bytes) -> None:
    """A .env file is read or refused by the line, and its variables work or are refused."""
    with tempfile.NamedTemporaryFile(suffix=".env") as file:
        file.write(data)
        file.flush()
        try:
            found = read_dotenv(file.name)
        except ConfigurationError as error:
            assert PLANTED not in str(error)
            return
    environment(found or {})


def variables(data: bytes) -> None:
    r"""Variables of any content work or are refused: one a line, a value may hold `\\n`."""
    lines = data.decode(*UTF_8).split("\n")
    pairs = (line.partition("=")[::2] for line in lines)
    environment({name: value.replace("\\n", "\n") for name, value in pairs if name})


def environment(values: dict[str, str]) -> None:
    """See what the library makes of them."""
    planted = not any(PLANTED in text for item in values.items() for text in item)
    if planted:
        values = {**values, "BETFAIR_PASSWORD": PLANTED + values.get("BETFAIR_PASSWORD", "")}
    try:
        found = Environment(values, dotenv=None)
        found.manager(found.client()).close()
        found.place()
    except ConfigurationError as error:
        assert not (planted and PLANTED in str(error))


def command_line(data: bytes) -> None:
    """A command line is understood or refused; no command is carried out."""
    arguments = data.replace(b"\0", b"").decode(*UTF_8).split("\n")  # no system passes that byte
    assert all((certificate, doctor, local, session, status))  # each has added its commands
    for each in (commands.MAIN, commands.MAIN.commands["certificate"]):
        for command in getattr(each, "commands", {}).values():
            command.callback = lambda **_: 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            assert commands.run(arguments, Output()) == 0
        except ConfigurationError as error:
            assert str(error)


def stretched(data: bytes) -> None:
    """Long input takes no longer than in proportion: a start, and one part many times over."""
    kind, times = (data + b"\0\0")[:2]
    start, _, part = data[2:66].partition(b"\xff")
    content = (start + part * (1, 200, 2000)[times % 3])[:20_000]
    _STRETCHED[kind % len(_STRETCHED)](content)


def _shown(content: bytes) -> None:
    clean(content.decode("utf-8", "replace"))


def _location(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    redact(text)
    _base(text)


_STRETCHED = (_shown, dotenv, _location)
