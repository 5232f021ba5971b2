"""Checks of what callers give: each returns what is used, or raises ConfigurationError."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_LONGEST_BUNDLE = 10_000_000  # bytes; the bundle of all public authorities has under 300,000

_YEAR = 366 * 86_400.0
"""Seconds; Python's own waits overflow at some point beyond."""

# A host name or address, perhaps a port, perhaps a path; no credentials, query or fragment.
_BASE = re.compile(
    r"https://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:/[^\s?#]*)?",
    re.ASCII | re.IGNORECASE,
)


def checked_seconds(value: float, name: str = "timeout") -> float:
    """Check a time that a caller gave in seconds.

    Args:
        value: the time.
        name: the argument's name, for the error.

    Returns:
        The same; a year for anything longer.

    Raises:
        ConfigurationError: it is no number, not above 0, or has no end.
    """
    # Whatever is a number to somebody, such as a Decimal; no text and no timedelta.
    seconds = 0.0
    with contextlib.suppress(ArithmeticError, TypeError, ValueError):
        seconds = float(value) if hasattr(value, "__float__") else 0.0
    if not 0 < seconds < float("inf"):
        message = f"{name} must be a number of seconds above 0, such as 20"
        raise ConfigurationError(message, argument=name)
    return min(seconds, _YEAR)


def checked_interval(value: timedelta, name: str) -> timedelta:
    """Check a time that a caller gave as a timedelta.

    Args:
        value: the time.
        name: the argument's name, for the error.

    Returns:
        The same.

    Raises:
        ConfigurationError: it is anything else, or not above 0.
    """
    if not isinstance(value, timedelta) or value <= timedelta(0):
        message = f"{name} must be a timedelta above 0, such as timedelta(minutes=15)"
        raise ConfigurationError(message, argument=name)
    return value


def checked_hook(hook: object, name: str) -> None:
    """Check what a caller gave to be called.

    Args:
        hook: the function, or None.
        name: the argument's name, for the error.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if hook is not None and not callable(hook):
        message = f"{name} must be a function of one argument, not a {type(hook).__name__}"
        raise ConfigurationError(message, argument=name)


def checked_handle(session: T) -> T:
    """Check what a caller gave as a handle: a manager in its place is an easy mistake.

    Args:
        session: the handle.

    Returns:
        The same.

    Raises:
        ConfigurationError: it is something else.
    """
    if not hasattr(session, "renew"):  # not by its type: a stand-in in a test is fine
        message = f"give a handle, manager.session(store, key), not a {type(session).__name__}"
        raise ConfigurationError(message, argument="session")
    return session


def https_base(url: str, *, name: str) -> str:
    """Check a base URL and return it with one trailing slash.

    Args:
        url: such as "https://localhost:8443/api/".
        name: the argument's name, for the error.

    Returns:
        The base.

    Raises:
        ConfigurationError: it is not a plain https URL.
    """
    if not (isinstance(url, str) and _BASE.fullmatch(url)):
        message = f"{name} must be a plain https URL such as https://localhost:8443/api/"
        raise ConfigurationError(message, argument=name)
    return url.rstrip("/") + "/"


def checked_verify(verify: bool | str | os.PathLike[str]) -> bool | str:  # noqa: FBT001 - requests' own name and kind
    """Check what a caller gave to verify servers by.

    Args:
        verify: True, or the path of a CA bundle.

    Returns:
        The same, as requests takes it.

    Raises:
        ConfigurationError: it would switch the verification off, or it is no file that can be read.
    """
    if not verify or not isinstance(verify, bool | str | os.PathLike):
        message = "verify must be True or the path of a CA bundle: TLS is always verified"
        raise ConfigurationError(message, argument="verify")
    verify = verify if isinstance(verify, bool) else os.path.expanduser(os.fspath(verify))
    if isinstance(verify, str) and not os.path.exists(verify):
        message = f"the CA bundle {verify!r} does not exist"
        raise ConfigurationError(message, argument="verify")
    if isinstance(verify, str) and not os.path.isdir(verify):
        _check_bundle(verify)
    return verify


def _check_bundle(path: str) -> None:
    """See that a CA bundle can be read: later it would look as if Betfair had not answered."""
    try:
        with open(path, "rb") as file:
            content = file.read(_LONGEST_BUNDLE)
    except OSError as error:
        problem = f"the CA bundle {path!r} cannot be read: {error.strerror}"
    else:
        if b"CERTIFICATE-----" in content:
            return
        problem = f"the CA bundle {path!r} holds no certificate in PEM form"
    raise ConfigurationError(problem, argument="verify")


def checked_proxies(proxies: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Check proxies that a caller gave.

    Args:
        proxies: a mapping as in requests, or None.

    Returns:
        The same.

    Raises:
        ConfigurationError: it is no mapping of texts. It may hold a password, so it is not shown.
    """
    if proxies is None:
        return None
    with contextlib.suppress(TypeError, ValueError):
        # None means none for that scheme, to requests.
        if all(
            isinstance(scheme, str) and isinstance(url, str | None)
            for scheme, url in dict(proxies).items()
        ):
            return proxies
    message = 'proxies must be a mapping, such as {"https": "http://proxy:3128"}'
    raise ConfigurationError(message, argument="proxies")


def checked_client(client: T) -> T:
    """Check what a caller gave as a client: its arguments are easily swapped.

    Args:
        client: the client.

    Returns:
        The same.

    Raises:
        ConfigurationError: it is something else.
    """
    if not hasattr(client, "jurisdiction"):  # not by its type: a stand-in in a test is fine
        message = "give an IdentityClient first: SessionManager(client, username, password)"
        raise ConfigurationError(message, argument="client")
    return client


def checked_window(every: timedelta | None, length: timedelta | None, *, share: bool) -> float:
    """Check a trust window.

    Args:
        every: the window, or None for none.
        length: how long a session lives without a keepAlive; None where that is not known.
        share: whether verifications are shared, which needs a window.

    Returns:
        The window in seconds; 0 for none.

    Raises:
        ConfigurationError: it is no time above 0 and below `length`, or missing.
    """
    name = "verify_every"
    if every is None:
        if share:
            message = f"share_verification needs {name}, which says how long it counts"
            raise ConfigurationError(message, argument=name)
        return 0.0
    if length is not None and checked_interval(every, name) >= length:
        message = f"{name} must be shorter than a session of this jurisdiction, {length}"
        raise ConfigurationError(message, argument=name)
    return checked_interval(every, name).total_seconds()


def checked_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check storage options, and copy them with the mappings in them: a caller may change those.

    Args:
        given: the options, or None.

    Returns:
        The copy.

    Raises:
        ConfigurationError: they are no mapping. They may hold credentials, so they are not shown.
    """
    if not given:
        return {}
    if not hasattr(given, "keys"):
        message = 'storage_options must be a mapping, such as {"profile": "betting"}'
        raise ConfigurationError(message, argument="storage_options")
    return {
        name: checked_options(value) if isinstance(value, dict) else value
        for name, value in dict(given).items()
    }
