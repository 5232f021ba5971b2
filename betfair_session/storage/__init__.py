"""The stores for a token: `open_store` finds the class for a URL, a path or a filesystem."""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import contextmanager
from functools import partial

from betfair_session.arguments import check_driver_options, checked_flag, refuse
from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process import Protocol
from betfair_session.process.threads import run_until

from .errors import Operation, attempt, contained, explain
from .location import (
    AZURE,
    GCS,
    LOCAL,
    S3,
    check_ends,
    check_store,
    is_chained,
    known_schemes,
    local_path,
    meant_by,
    redact,
    scheme_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, TypeAlias

    from .cloud import CloudStore
    from .contract import TokenStore


class FileSystem(Protocol):
    """An fsspec filesystem, for type checkers: fsspec has no types."""

    def cat_file(self, path: Any, /) -> Any:  # noqa: ANN401 - as there
        """Read a file."""


Store: TypeAlias = str | os.PathLike[str] | FileSystem | tuple[FileSystem, str | os.PathLike[str]]
"""A URL, a local path, an fsspec filesystem, or a pair of a filesystem and a root on it."""

_FROZEN_AT_START = 1000  # Python 3.12 begins with some hundred frozen objects
_CACHES = frozenset({"simplecache", "filecache", "blockcache", "cached"})


def open_store(
    store: Store,
    storage_options: Mapping[str, Any] | None = None,
    *,
    timeout: float = 5.0,
) -> TokenStore:
    """Return the store for a URL, a path or a filesystem, without reading or writing it.

    Args:
        store: an fsspec URL, a local path, an fsspec filesystem, or a pair of a filesystem and
            the root on it, as `fsspec.core.url_to_fs` returns it.
        storage_options: what fsspec takes for that URL; not allowed with a filesystem.
            `{"obstore": True}` opens an s3, gs or abfs URL with obstore, like the prefix
            "obstore+".
        timeout: seconds for a driver that connects when it is made, as sshfs's does.

    Returns:
        The store.

    Raises:
        ConfigurationError: the scheme is unknown, its driver is missing or cannot keep a token, or
            the URL is mistyped.
        StoreUnavailable: a driver that connects when it is made could not, or not in time; or
            Python is shutting down.
    """
    is_open = isinstance(store, tuple) or hasattr(store, "cat_file")
    # A UPath has options of its own; only some releases of it are os.PathLike.
    own = None if is_open else getattr(store, "storage_options", None)
    options = {**(own or {}), **(storage_options or {})}
    if isinstance(store, (str, os.PathLike)) or own is not None:
        url = _text(store)
        check_store(url)
        opening = Operation("open", redact(url), cloud=True)
        return attempt(opening, _from_url, url, options, timeout, explain=_unopened)
    root: Any
    filesystem, root = store if isinstance(store, tuple) and len(store) == 2 else (store, "")  # noqa: PLR2004 - a pair
    root = _text(root) if isinstance(root, os.PathLike) else root
    if not hasattr(filesystem, "cat_file"):
        message = (
            "the store must be a URL, a path, an fsspec filesystem, or a pair of such a filesystem "
            f"and its root, not {type(store).__name__}"
        )
        refuse("store", message)
    if options:
        message = "storage_options cannot be given for a filesystem that is open already"
        refuse("storage_options", message)
    if not isinstance(root, str):
        refuse("store", f"the root on a filesystem must be a path, not {type(root).__name__}")
    check_ends(root)
    return _from_filesystem(filesystem, root)


def _text(path: Any) -> str:  # noqa: ANN401 - a text, or any kind of path
    """Return a path's text: a URL if it shows one, as cloudpathlib's do, whose file is a copy."""
    shown = path if isinstance(path, str) else str(path)
    return shown if "://" in shown or not isinstance(path, os.PathLike) else os.fsdecode(path)


def _from_url(url: str, options: dict[str, Any], timeout: float) -> TokenStore:
    scheme = scheme_of(url)
    if is_chained(url):
        return _generic(url, options, timeout)
    if scheme is None or scheme in LOCAL:
        return _local(url, options)
    url = scheme + url[len(scheme) :]  # the drivers know only lower-case schemes
    with _no_collections():
        obstore = checked_flag(options.pop("obstore", False), "obstore")
        backend = _object_store(redact(url), {scheme}, obstore=obstore)
        opened = backend(url, options) if backend else None
    return opened or _generic(url, options, timeout)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Import large packages without garbage collections, which take a tenth of that time.

    What is made meanwhile becomes old at once, so the next collections do not look at it either.
    Where the program has turned the collector off, or has frozen objects, nothing is changed.
    """
    if not (hasattr(gc, "freeze") and gc.isenabled()) or gc.get_freeze_count() > _FROZEN_AT_START:
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()
        if gc.get_freeze_count() <= _FROZEN_AT_START:  # another thread may have frozen them
            gc.freeze()
            gc.unfreeze()  # which moves all objects to the oldest generation


def _local(path: str, options: dict[str, Any]) -> TokenStore:
    from .local import LocalStore

    if not options.get("obstore", True):
        del options["obstore"]  # obstore=False asks for nothing
    return LocalStore(local_path(path), options)


def _object_store(
    label: str, schemes: set[str], *, obstore: bool = False
) -> type[CloudStore] | None:
    """Return the class for a cloud's object store; import only that one, with its driver."""
    extra = ""
    try:  # with import statements, since packers look for those
        if obstore or any(each.startswith("obstore+") for each in schemes):
            extra = "obstore"
            from .obstore import ObstoreStore

            return ObstoreStore
        if schemes & S3:
            extra = "s3"
            from .s3 import S3Store

            return S3Store
        if schemes & GCS:
            extra = "gcs"
            from .gcs import GCSStore

            return GCSStore
        if schemes & AZURE:
            extra = "azure"
            from .azure import AzureStore

            return AzureStore
    except ImportError as error:
        raise ConfigurationError(
            f'{label} needs {error.name}: pip install "betfair-session[{extra}]"'
        ) from error
    return None


def _generic(url: str, options: dict[str, Any], timeout: float) -> TokenStore:
    label = redact(url)
    if _CACHES & {part.split("://")[0] for part in url.split("::")}:
        raise _cached(label)
    _check_schemes(url)
    import fsspec

    # A new instance: fsspec would cache it for as long as the process lives.
    connect = partial(fsspec.core.url_to_fs, url, **options | {"skip_instance_cache": True})
    if "::" not in url:  # in a chain each filesystem has its own options
        check_driver_options(label, options, fsspec.get_filesystem_class(scheme_of(url)))
    # Some connect here, as sshfs's does; to import a driver may take seconds, and is no wait.
    deadline = time.monotonic() + timeout
    filesystem, root = run_until(deadline, partial(contained, connect))
    return _from_filesystem(filesystem, root, label, lambda: connect()[0])


def _unopened(error: BaseException, opening: Operation) -> BetfairSessionError:
    """Return our error for a driver that could not be opened; its own text may show the options."""
    ours, label = explain(error, opening), opening.store
    # The text of an AttributeError only names a driver and what it lacks.
    if isinstance(error, AttributeError) or not isinstance(ours, ConfigurationError):
        return ours
    if isinstance(error, ImportError):
        module = getattr(error.__cause__, "name", None) or error.name
        message = (
            f"the driver for {label!r} is not installed: install the package for module {module!r}"
        )
    else:
        kind = type(error).__name__
        message = f"{label!r} cannot be opened: {kind}; is an option or a part of the URL mistyped?"
    return ConfigurationError(message)


def _check_schemes(url: str) -> None:
    """Refuse an unknown scheme, also in a chain, where fsspec would take it for a path."""
    known = known_schemes()
    for part in url.split("::"):
        scheme = scheme_of(part)
        if scheme and scheme not in known:
            meant = meant_by(scheme)
            hint = f"did you mean {meant}://?" if meant else "backends.md lists those that work"
            message = f"{redact(url)!r} cannot be opened: unknown scheme {scheme!r}; {hint}"
            refuse("store", message)


def _from_filesystem(
    filesystem: Any,  # noqa: ANN401 - fsspec is untyped
    root: str,
    label: str = "",
    reopen: Callable[[], Any] | None = None,
) -> TokenStore:
    """Return the store for a filesystem by its protocol; unwrap a DirFileSystem first."""
    protocol = filesystem.protocol
    names = {protocol} if isinstance(protocol, str) else set(protocol)
    label = label or redact(f"{min(names)}://{root.lstrip('/')}")
    if "dir" in names:
        return _from_filesystem(filesystem.fs, filesystem._join(root))  # noqa: SLF001 - it has no public name
    caching = sys.modules.get("fsspec.implementations.cached")  # not imported: it is none of these
    if caching and isinstance(filesystem, caching.CachingFileSystem):
        raise _cached(label)
    if names & LOCAL:
        return _local(root or ".", {})
    backend = _object_store(label, names)
    if backend:
        return backend(label, filesystem=filesystem, root=root)
    from .generic import GenericStore, MemoryStore

    if "memory" in names:  # of which a forked child has its own copy
        return MemoryStore(filesystem, root, label=label, reopen=lambda: filesystem)
    return GenericStore(filesystem, root, label=label, reopen=reopen)


def _cached(label: str) -> ConfigurationError:
    return ConfigurationError(
        f"{label!r} reads through a cache, which would go on returning a dead token; "
        "name the store itself"
    )
