"""Checks of callers' arguments: each returns the value to use, or raises ConfigurationError."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from functools import partial, wraps
from threading import TIMEOUT_MAX

from .exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any, NoReturn, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

_LONGEST_PATH = 1024  # characters
_LONGEST_BUNDLE = 10_000_000  # bytes; the bundle of all public authorities has under 300,000
_LONGEST_SECONDS = min(366 * 86_400.0, TIMEOUT_MAX)  # Python's own waits overflow beyond

# inspect.CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR; that module takes long to import.
_SUSPENDED = 0x20 | 0x80 | 0x200
_MOST_ERRORS = 32  # in a chain, which may be a circle

# A host name or address, perhaps a port, perhaps a path; no credentials, query or fragment.
_BASE = r"(?ai)https://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:/[^\s?#]*)?"


def discreet(method: Callable[P, T]) -> Callable[P, T]:
    """Raise a ConfigurationError without the frames and causes behind it, which hold secrets.

    After any other error, such as Ctrl-C, the frames stay, but without their local variables.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except ConfigurationError as error:
            caught = [error.with_traceback(None)]
        except BaseException as error:
            _clear_frames(error)
            del args, kwargs  # which a traceback would show
            raise
        del args, kwargs
        caught[0].__context__ = None
        raise caught.pop()

    return call


def _clear_frames(error: BaseException | None) -> None:
    """Empty our frames, and those of cryptography; not those of the program's signal handlers."""
    for _ in range(_MOST_ERRORS):
        if error is None:
            break
        trace = error.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if frame.f_globals.get("__name__", "").startswith(("betfair_session.", "cryptography")):
                with contextlib.suppress(RuntimeError):  # it is still at work
                    frame.clear()
        error = error.__context__


def refuse(argument: str, message: str) -> NoReturn:
    """Raise the error for an argument that cannot work."""
    raise ConfigurationError(message, argument=argument)


def checked_seconds(value: float | None, name: str = "timeout", *, usual: float = 0.0) -> float:
    """Return a time in seconds, a year (on Windows 50 days) for anything longer.

    For None it is the `usual` one, if there is one.
    """
    if value is None and usual:
        return usual
    # Any kind of number, such as a Decimal, but no text and no timedelta.
    seconds = 0.0
    with contextlib.suppress(ArithmeticError, TypeError, ValueError):
        seconds = float(value) if value and hasattr(value, "__float__") else 0.0
    if not 0 < seconds < float("inf"):
        refuse(name, f"{name} must be a number of seconds above 0, such as 20")
    return min(seconds, _LONGEST_SECONDS)


def checked_flag(value: bool, name: str) -> bool:  # noqa: FBT001 - any argument
    """Return True or False; a variable's text, such as "0", would count as True."""
    if not isinstance(value, bool):
        refuse(name, f"{name} must be True or False, not a {type(value).__name__}")
    return value


def checked_interval(value: timedelta, name: str, length: timedelta | None = None) -> timedelta:
    """Return a timedelta above 0, and below a session's length if that is known."""
    if not isinstance(value, timedelta) or value <= timedelta(0):
        refuse(name, f"{name} must be a timedelta above 0, such as timedelta(minutes=15)")
    if length is not None and value >= length:
        refuse(name, f"{name} must be shorter than {length} in this jurisdiction")
    return value


def checked_window(every: timedelta | None, length: timedelta | None, *, share: bool) -> float:
    """Return a trust window's seconds, 0 for none; it must be shorter than a session lives."""
    name = "verify_every"
    if every is None:
        if share:
            refuse(name, f"share_verification needs {name}: how long a verification counts")
        return 0.0
    return checked_interval(every, name, length).total_seconds()


def checked_hook(hook: object, name: str) -> None:
    """Check that a hook, if there is one, can be called."""
    if hook is not None and not callable(hook):
        refuse(name, f"{name} must be a function of one argument, not a {type(hook).__name__}")
    check_runs(hook, name)


def check_runs(function: object, name: str) -> None:
    """Refuse a function whose call runs nothing of it: an `async def`, or a generator."""
    while isinstance(function, partial):
        function = function.func
    for each in (function, getattr(type(function), "__call__", None)):  # noqa: B004 - its code
        flags = getattr(getattr(each, "__code__", None), "co_flags", 0)
        if isinstance(flags, int) and flags & _SUSPENDED:  # a remote object has any attribute
            message = (
                f"{name} must be a plain function, since nothing awaits an async one; a plain one "
                "can use your loop's call_soon_threadsafe, or asyncio.run_coroutine_threadsafe"
            )
            refuse(name, message)


# The next two look for an attribute, not for a type, so that tests can use stand-ins.


def checked_client(client: T) -> T:
    """Return a client; a manager's arguments are easily swapped."""
    if not hasattr(client, "jurisdiction"):
        refuse("client", "client must be an IdentityClient: SessionManager(client, username, …)")
    return client


def checked_handle(session: T) -> T:
    """Return a handle; a manager in its place is an easy mistake."""
    if not hasattr(session, "renew"):
        kind = type(session).__name__
        refuse("session", f"give a handle, manager.session(store, key), not a {kind}")
    return session


def https_base(url: str | None, usual: T, *, name: str) -> str | T:
    """Return a plain https URL with one slash at its end; `usual` if none is given."""
    if not url:
        return usual
    import re

    if not (isinstance(url, str) and re.fullmatch(_BASE, url)):
        refuse(name, f"{name} must be a plain https URL such as https://localhost:8443/api/")
    return url.rstrip("/") + "/"


def is_path(value: object) -> bool:
    """Return whether a value can be a file's path, and is not a key that was pasted there."""
    path = os.fsdecode(value) if isinstance(value, str | os.PathLike) else ""
    fits = 0 < len(path) <= _LONGEST_PATH and path.isprintable()
    return fits and "-----BEGIN" not in path


def pinned(path: str | os.PathLike[str]) -> str:
    """Return a path, `~` expanded, that stays the same when the program changes its directory."""
    expanded = os.path.expanduser(os.fsdecode(path))  # no shell expands a `.env` file
    if not os.path.isabs(expanded):
        with contextlib.suppress(FileNotFoundError):  # the directory is gone
            whole = os.path.join(os.getcwd(), expanded)
            # abspath takes a link's name away together with the ".." behind it.
            return whole if os.pardir in whole else os.path.abspath(whole)
    return expanded


def pinned_pair(value: object) -> tuple[str, str] | None:
    """Return a pair of paths so; None for anything else."""
    if isinstance(value, tuple) and [*map(is_path, value)] == [True, True]:
        return pinned(value[0]), pinned(value[1])
    return None


def checked_verify(verify: bool | str | os.PathLike[str]) -> bool | str:  # noqa: FBT001 - requests' own name and kind
    """Return True or the path of a CA bundle, as requests takes them, if it can be read.

    An unreadable bundle would later look as if Betfair had not answered.
    """
    if not verify or not isinstance(verify, bool | str | os.PathLike):
        refuse("verify", "verify must be True or the path of a CA bundle: TLS is always verified")
    if isinstance(verify, bool):
        return verify
    path = pinned(verify)
    try:
        if os.path.isdir(path):
            good = any(each[8:9] == "." for each in os.listdir(path))  # such as 5ed36f99.0
            problem = "holds no file named by hash; give one file, or run `openssl rehash` on it"
        else:
            with open(path, "rb") as file:
                good = b"CERTIFICATE-----" in file.read(_LONGEST_BUNDLE)
            problem = "holds no certificate in PEM form"
        if good:
            return path
    except FileNotFoundError:
        problem = "does not exist"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "is not a valid path"
    refuse("verify", f"the CA bundle {path!r} {problem}")


def checked_proxies(proxies: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return proxies as requests takes them; they may hold a password, so they are not shown."""
    if proxies is None:
        return None
    with contextlib.suppress(TypeError, ValueError):
        # To requests, None means no proxy for that scheme.
        if all(
            isinstance(scheme, str) and isinstance(url, str | None)
            for scheme, url in dict(proxies).items()
        ):
            return proxies
    refuse("proxies", 'proxies must be a mapping, such as {"https": "http://proxy:3128"}')


def checked_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of storage options and of the mappings in them, which a caller may change.

    They may hold credentials, so they are not shown.
    """
    if not given:
        return {}
    if not hasattr(given, "keys"):
        name = "storage_options"
        refuse(name, f'{name} must be a mapping, such as {{"profile": "betting"}}')
    return {
        name: checked_options(value) if isinstance(value, dict) else value
        for name, value in dict(given).items()
    }


# Packages whose filesystems drop an option that their constructor does not name, and the options
# that they do pass on (s3fs: to botocore's Session).
_CLOSED = {
    "s3fs": ("profile", "session_vars", "event_hooks", "include_builtin_handlers"),
    "gcsfs": (),
    "fsspec.implementations.memory": (),
}

# What people know from boto3, and s3fs's option for it.
_FROM_BOTO3 = {
    **dict.fromkeys(("region", "region_name"), "client_kwargs={'region_name': …}"),
    "verify": "client_kwargs={'verify': …}",
    **dict.fromkeys(("aws_access_key_id", "access_key"), "key"),
    **dict.fromkeys(("aws_secret_access_key", "secret_key"), "secret"),
    "aws_session_token": "token",
}


def check_driver_options(label: str, options: Mapping[str, Any], kind: type[Any]) -> None:
    """Refuse storage options that an fsspec filesystem would drop, as far as its class shows.

    Many classes pass unknown options on to their driver, such as sshfs to asyncssh. With those,
    refuse only a name that is almost one of the class's own.
    """
    if not options:
        return
    import inspect

    inits = [vars(base)["__init__"] for base in kind.__mro__[:-1] if "__init__" in vars(base)]
    taken = [inspect.signature(init).parameters.values() for init in inits]
    known = {each.name for init in taken for each in init if each.kind != each.VAR_KEYWORD}
    known -= {"self", "args"}
    known.update(("skip_instance_cache", "use_listings_cache", "listings_expiry_time", "max_paths"))
    passes_on = any(each.kind == each.VAR_KEYWORD for each in taken[0])
    for place, more in _CLOSED.items():
        if f"{kind.__module__}.".startswith(f"{place}."):
            passes_on = False
            known.update(more)
    check_options(label, options, known, passes_on=passes_on)


def check_options(
    label: str, options: Iterable[str], known: Collection[str], *, passes_on: bool = False
) -> None:
    """Refuse unknown storage options; the message says what was probably meant."""
    for name in options:
        if name in known:
            continue
        from difflib import get_close_matches  # imported only for an unknown option

        near = next(iter(get_close_matches(str(name), known, 1, 0.8)), "")
        meant = "" if passes_on else _FROM_BOTO3.get(name, "")
        if meant.partition("=")[0] in known:
            near = meant
        if near or not passes_on:
            hint = f"did you mean `{near}`?" if near else "correct or remove it"
            refuse("storage_options", f"{label} takes no storage option {name!r}: {hint}")
