"""Checks of the store, its options and the key as the caller wrote them, and what they mean."""

from __future__ import annotations

import os

from betfair_session.arguments import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

LOCK_SUFFIX = ".login"
"""The lock's key is the token's key with this suffix."""

LOCAL = frozenset({"file", "local"})
S3 = frozenset({"s3", "s3a"})
GCS = frozenset({"gs", "gcs"})
AZURE = frozenset({"abfs", "abfss", "az"})
"""The schemes of the stores that have a class of their own."""

_OWN = LOCAL | S3 | GCS | AZURE

# Schemes of other programs, and ours for them.
_OTHER_NAMES = {"azblob": "abfs", "wasb": "abfs", "wasbs": "abfs", "mem": "memory", "s3n": "s3"}
_OURS = (*sorted(_OWN), "memory", "sftp", *_OTHER_NAMES)
_BARE = frozenset(_OURS) - {"local"}  # "local//x" is a directory

# S3's own hosts. Other servers there, such as a MinIO on EC2, have names below "compute" or "elb".
_AMAZON_S3 = (
    r"(.+\.)?s3[a-z0-9-]*(\.dualstack)?(\.[a-z]+(-[a-z]+)+-\d+)?(\.vpce)?"
    r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws)"
)
# The clouds' hosts in the URLs that their consoles show.
_WEB = {
    _AMAZON_S3: "s3",
    r"(.+\.)?storage\.(googleapis|cloud\.google)\.com": "gs",
    r".+\.(blob|dfs)\.core\.windows\.net": "abfs",
}

# Quotes of shells and word processors, and characters without width.
_ODD = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"

# Patterns, compiled only when needed: a plain path needs none.
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_URL = r"(?s)([A-Za-z][A-Za-z0-9+.-]*)://.*"
# The beginning of a mistyped URL: "s3:bucket", "s3:/bucket", "s3:\\bucket", "s3//bucket". A
# single letter is a Windows drive.
_MISTYPED = r"([A-Za-z][A-Za-z0-9+.-]+)(:[/\\]*|//+)"
_ARN = r"(?i)((?:obstore\+)?s3a?://)?arn:aws[\w-]*:s3:(:(:)?)?(.*)"
_DRIVE = r"[A-Za-z]:[/\\]|\\\\"
_VARIABLE = r"\$[{(A-Za-z_]|%\w+%"
# A user and password: from a colon before the first slash, unless a port follows, to the last @.
_USERINFO = r"(?s)(?<=://)[^/]*?:(?!\d{1,5}(?:/|$)).*@"


def scheme_of(url: str) -> str | None:
    """Return a URL's scheme in lower case, or None for a local path."""
    if "://" not in url:
        return None
    import re  # a local path does not need it

    found = re.match(_SCHEME, url)
    return found[1].lower() if found else None


def is_chained(url: str) -> bool:
    """Return whether a URL chains filesystems, as fsspec does; a plain path may hold `::`, too."""
    first, chained, _ = url.partition("::")
    return bool(chained) and ("://" in first or first in known_schemes())


def known_schemes() -> list[str]:
    """Return every scheme that fsspec can open, including those that a program has registered."""
    from fsspec.registry import available_protocols, registry

    return [*available_protocols(), *registry]


def redact(url: str) -> str:
    """Return `url` without `user:password@` and without the query, for messages."""
    if "@" in url:
        import re

        url = re.sub(_USERINFO, "", url)
    return url.split("?", 1)[0]


def check_store(text: str) -> None:
    """Refuse a mistyped store, which would become a local directory or another place.

    Such texts come from a shell, a file of variables or another program's configuration. Taken as a
    directory, the store would drop the storage options, and each machine would log in by itself.

    Raises:
        ConfigurationError: the text is mistyped; the message says what was probably meant.
    """
    check_ends(text)
    _check_arn(text)
    scheme = scheme_of(text)
    if is_chained(text):
        return
    if scheme is None:
        _check_path(text)
    elif scheme in LOCAL:
        _check_no_url(text.partition("://")[2])
    elif scheme in {"http", "https"}:
        _check_host(text)
    if scheme and scheme.removeprefix("obstore+") in _OWN and redact(text) != text:
        # The Go library and signed URLs put their settings into a query.
        more = (
            "query (?…): remove it, or give its settings as storage options and a prefix as part "
            "of the path; docs/go.md has the names"
            if "?" in text
            else "user and password (user:password@) in its URL: give them as storage options"
        )
        refuse("store", f"the store {redact(text)!r} takes no {more}")


def _check_arn(text: str) -> None:
    """Refuse a bucket's name in the form in which Amazon's console copies it.

    That of an access point for several regions, too: a write there goes to the nearest bucket.
    """
    if ":aws" in text:
        import re

        found = re.fullmatch(_ARN, text)
        if found and found[3]:
            _refuse_url(f"{found[1] or 's3://'}{found[4]}")
        if found and found[2]:
            message = (
                "the store is an access point for several regions, which do not share one login; "
                "name one of its buckets as s3://…"
            )
            refuse("store", message)
        if found and not found[1]:
            _refuse_url(f"s3://{text}")


def _check_host(url: str) -> None:
    """Refuse a bucket's address in the web."""
    import re

    host = re.sub("^.*@|:.*", "", url.partition("://")[2].partition("/")[0]).lower()
    for pattern, own in _WEB.items():
        if re.fullmatch(pattern, host):
            refuse("store", f"the store is a bucket's address in the web; name it as {own}://…")


def check_ends(text: str) -> None:
    """Refuse a store, or a root, with blanks or quotes around it, or a control character."""
    inner = _without_odd_ends(text)
    problem = ""
    if inner != text:
        meant = repr(redact(inner))
        problem = f"has blanks, quotes or control characters around it: did you mean {meant}?"
    elif any(map(_is_control, text)):
        problem = "holds a control character, such as a line end"
    if problem:
        refuse("store", f"the store {problem}")


def _check_path(path: str) -> None:
    """Refuse a text that reads as a local path but was probably meant as something else."""
    _check_no_url(path)
    if path.startswith(("/", ".")):
        return
    _check_host(f"://{path}")
    import re

    problem = ""
    if re.match(_VARIABLE, path):
        problem = "begins with a variable that was not filled in"
    elif os.name == "posix" and re.match(_DRIVE, path):
        problem = "is a Windows path, which this system does not have"
    if problem:
        name = redact(path)
        meant = f"for a directory of that name write {'./' + name!r}"
        refuse("store", f"the store {name!r} {problem}; {meant}")
    found = re.match(_MISTYPED, path)
    scheme = found[1].lower() if found else ""
    bare = scheme.removeprefix("obstore+") in _BARE
    if found and (bare if found[2].startswith("//") else _is_known(scheme)):
        root, rest = "/" if scheme in LOCAL else "", path[found.end() :]
        relative = root and found[2] == ":"
        _refuse_url(
            f"./{rest}" if relative else f"{_OTHER_NAMES.get(scheme, scheme)}://{root}{rest}"
        )


def _check_no_url(path: str) -> None:
    """Refuse a path that contains a URL, such as "STORE=s3://bucket" or "./s3://bucket"."""
    if "://" in path:
        import re

        found = re.search(_URL, path)
        _refuse_url(found[0] if found and _is_known(found[1].lower()) else "")


def _refuse_url(meant: str) -> NoReturn:
    hint = f": did you mean {redact(meant)!r}?" if meant else "."
    message = (
        f"the store looks like a mistyped URL{hint} If it is a directory's name, begin it "
        "with ./ or /, and write one slash after a colon"
    )
    refuse("store", message)


def _is_known(scheme: str) -> bool:
    return scheme in _OURS or scheme.startswith("obstore+") or scheme in known_schemes()


def meant_by(scheme: str) -> str | None:
    """Return the scheme that was probably meant by an unknown one, or None."""
    from difflib import get_close_matches

    near = get_close_matches(scheme, _OURS, 1, 0.5) or get_close_matches(scheme, known_schemes(), 1)
    return _OTHER_NAMES.get(scheme) or next(iter(near), None)


def _without_odd_ends(text: str) -> str:
    """Return a text without the blanks, quotes and control characters around it."""
    odd = {each for each in text if each in _ODD or each.isspace() or _is_control(each)}
    return text.strip("".join(odd))


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0  # noqa: PLR2004 - ASCII's, Latin-1's


def local_path(url: str) -> str:
    """Return the path in a local path or a file: or local: URL; refuse one that lacks a slash."""
    scheme = scheme_of(url)
    path = url if scheme is None else url.split("://", 1)[1]
    if scheme == "file" and path.partition("/")[0].lower() == "localhost":
        path = path[len("localhost") :]  # fsspec takes any other host for a part of the path
    if not path:
        refuse("store", f"the store {path!r} names no directory")
    if scheme and not path.startswith(("/", "~", ".", os.sep)) and not _has_drive(path):
        name = redact(url).partition("://")[2]
        message = (
            f"the store {redact(url)!r} lacks a slash: did you mean {f'{scheme}:///{name}'!r}? For "
            f"a directory below the working directory write {f'./{name}'!r}"
        )
        refuse("store", message)
    # file:///C:/tokens names C:/tokens.
    return path[1:] if path[:1] == "/" and _has_drive(path[1:]) else path


def _has_drive(path: str) -> bool:
    return os.name == "nt" and path[1:2] == ":"


def check_key(key: object) -> str:
    """Check an object's name below a store, and return it.

    Raises:
        ConfigurationError: it is empty or absolute, leaves the store by "..", holds a control
            character, has blanks or quotes around it, names a folder or a lock, or is too long.
    """
    if not isinstance(key, str):
        refuse("key", f"the key must be a text, not {type(key).__name__}")
    parts = key.replace("\\", "/").split("/")
    problems = (
        (
            _without_odd_ends(key) != key or any(map(_is_control, key)),
            "holds a control character, or has blanks, quotes or invisible characters around it",
        ),
        (
            {"", ".", ".."} & {*parts}
            or (parts[1:] and parts[0][1:] == ":")
            or os.path.splitdrive(key)[0],
            "must be a name such as 'session.token': no '/' at an end, no empty, '.' or '..' part",
        ),
        ("../" in key, "holds '../', which the Go library writes differently; choose another"),
        # In any case and as a folder, too: on files it would stand where a lock belongs.
        (
            any(part.lower().endswith(LOCK_SUFFIX) for part in parts),
            f"has a part that ends with {LOCK_SUFFIX!r}, which is reserved for locks",
        ),
        (
            len(key.encode(errors="surrogatepass")) > 1024 - len(LOCK_SUFFIX),
            "is too long: the clouds take 1,024 bytes, and its lock's has 6 more",
        ),
    )
    for wrong, words in problems:
        if wrong:
            refuse("key", f"the key {key[:100]!r} {words}")
    return str.__str__(key)  # an enum of texts formats as its name


def is_amazon(endpoint: str | None) -> bool:
    """Return whether an endpoint is Amazon S3; None is the driver's default, which is."""
    import re
    from urllib.parse import urlsplit

    return not endpoint or bool(re.fullmatch(_AMAZON_S3, urlsplit(endpoint).hostname or ""))


def proxy_for(url: str) -> str | None:
    """Return the environment's proxy for a URL; aiohttp's own look-up would use .netrc, too."""
    from betfair_session.betfair.http import proxy_in_environment

    scheme = url.partition("://")[0]
    if not proxy_in_environment(scheme):
        return None
    from requests.utils import get_environ_proxies

    proxies: dict[str, str] = get_environ_proxies(url)
    return proxies.get(scheme) or proxies.get("all")
