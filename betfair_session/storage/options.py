"""Storage options that a store does not know: the driver would drop most of them without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betfair_session.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# What every fsspec filesystem takes, whatever its constructor names.
_FSSPEC = frozenset(
    (
        *("asynchronous", "loop", "skip_instance_cache", "use_listings_cache"),
        *("listings_expiry_time", "max_paths"),
    )
)

# Packages whose filesystems drop an option that their constructor does not name, or pass it to
# something that takes these and no other (for s3fs that is botocore's Session).
_CLOSED = {
    "s3fs": frozenset(("profile", "session_vars", "event_hooks", "include_builtin_handlers")),
    "gcsfs": frozenset(),
    "fsspec.implementations.memory": frozenset(),
}


def check_options(label: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse storage options that nothing would read; the error says what was probably meant."""
    for name in options:
        if name not in known:
            raise _unknown(label, name, known)


def check_driver_options(label: str, options: Mapping[str, Any], kind: type[Any]) -> None:
    """Refuse storage options that an fsspec filesystem would drop, as far as its class shows.

    Many classes pass what they do not name to a driver of their own, such as sshfs's to asyncssh.
    There only a name that is almost one of theirs is refused.
    """
    if not options:
        return
    named, passes_on = _named_by(kind)
    known = named | _FSSPEC
    for place, more in _CLOSED.items():
        if f"{kind.__module__}.".startswith(f"{place}."):
            passes_on, known = False, known | more
    for name in options:
        if name not in known and (not passes_on or _near(name, known)):
            raise _unknown(label, name, known)


def _named_by(kind: type[Any]) -> tuple[set[str], bool]:
    """Return what a class's constructor names, with its bases', and whether it takes any other."""
    import inspect

    parameters = [
        parameter
        for base in kind.__mro__
        if "__init__" in vars(base) and base is not object
        for parameter in inspect.signature(vars(base)["__init__"]).parameters.values()
    ]
    own = inspect.signature(kind.__init__).parameters.values()
    named = {each.name for each in parameters if each.kind != each.VAR_KEYWORD}
    return named - {"self", "args"}, any(each.kind == each.VAR_KEYWORD for each in own)


def _unknown(label: str, name: object, known: Collection[str]) -> ConfigurationError:
    near = _near(name, known)
    hint = f"did you mean {near!r}?" if near else "correct it, or leave it out"
    return ConfigurationError(f"{label} takes no storage option {name!r}: {hint}")


def _near(name: object, known: Collection[str]) -> str | None:
    """Return the known name that was probably meant, if there is one."""
    from difflib import get_close_matches  # a cold start that succeeds does without

    return next(iter(get_close_matches(str(name), known, 1, 0.8)), None)
