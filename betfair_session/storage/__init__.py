"""The places a token may be kept in, behind one contract."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from betfair_session.deadline import run_within
from betfair_session.exceptions import ConfigurationError

from .location import local_path, mistyped, redact, scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fsspec import AbstractFileSystem

    from betfair_session.exceptions import BetfairSessionError

    from .contract import TokenStore

    Store: TypeAlias = (
        "str | os.PathLike[str] | AbstractFileSystem | tuple[AbstractFileSystem, str]"
    )

_LOCAL = frozenset({"file", "local"})
_S3 = frozenset({"s3", "s3a"})
_GCS = frozenset({"gs", "gcs"})
_AZURE = frozenset({"abfs", "abfss", "az"})
_CACHES = frozenset({"simplecache", "filecache", "blockcache", "cached"})


def open_store(
    store: Store,
    storage_options: Mapping[str, Any] | None = None,
    *,
    timeout: float = 5.0,
) -> TokenStore:
    """Open the place that a caller named, without touching it.

    Args:
        store: an fsspec URL, a local path, an fsspec filesystem, or a pair of a filesystem and
            the root on it, as `fsspec.core.url_to_fs` returns it.
        storage_options: what fsspec takes for that URL; not with a filesystem of the caller's.
            `{"obstore": True}` opens an s3, gs or abfs URL with obstore, like the prefix
            "obstore+".
        timeout: seconds for a driver that connects when it is made.

    Returns:
        The store.

    Raises:
        ConfigurationError: no such scheme, no driver for it, one that cannot keep a token, or a
            URL that lacks a slash.
        StoreUnavailable: a driver that connects when it is made, as sshfs's does, cannot, or not
            in time.
    """
    options = dict(storage_options or {})
    if isinstance(store, os.PathLike):
        return _local(os.fsdecode(store), options)
    if isinstance(store, str):
        return _from_url(store, options, timeout)
    filesystem, root = store if isinstance(store, tuple) and len(store) == 2 else (store, "")  # noqa: PLR2004 - a pair
    if not hasattr(filesystem, "cat_file"):
        message = (
            "the store must be a URL, a path, an fsspec filesystem, or a pair of such a filesystem "
            f"and its root, not {type(store).__name__}"
        )
        raise ConfigurationError(message)
    if options:
        message = "storage_options cannot be given for a filesystem that is open already"
        raise ConfigurationError(message)
    if isinstance(root, os.PathLike):
        root = os.fsdecode(root)
    if not isinstance(root, str):
        message = f"the root on a filesystem must be a path, not {type(root).__name__}"
        raise ConfigurationError(message)
    return _from_filesystem(filesystem, root)


def _from_url(url: str, options: dict[str, Any], timeout: float) -> TokenStore:
    if _is_chained(url):
        return _generic(url, options, timeout)
    scheme = scheme_of(url)
    if scheme is None or scheme in _LOCAL:
        return _local(url, options)
    url = scheme + url[len(scheme) :]  # the drivers know small letters only
    asked = options.pop("obstore", False)
    if asked or scheme.startswith("obstore+"):
        from .obstore import ObstoreStore

        return _make(ObstoreStore, url, options)
    backend = _object_store({scheme})
    return _make(backend, url, options) if backend else _generic(url, options, timeout)


def _is_chained(url: str) -> bool:
    """Tell whether fsspec would open one filesystem through another; a path may hold `::`, too."""
    first, chained, _ = url.partition("::")
    if not chained or "://" in first:
        return bool(chained)
    import fsspec

    return first in fsspec.available_protocols()


def _local(path: str, options: dict[str, Any]) -> TokenStore:
    from .local import LocalStore

    if scheme_of(path) is None:
        _check_slashes(path)
    return LocalStore(local_path(path), options)


def _check_slashes(path: str) -> None:
    """Refuse "s3:/bucket": as a directory's name it would give each machine a login of its own."""
    found = mistyped(path)
    if found is None:
        return
    scheme, rest = found
    if not (scheme.startswith("obstore+") or scheme in _LOCAL | _S3 | _GCS | _AZURE):
        import fsspec

        if scheme not in fsspec.available_protocols():
            return
    meant = redact(f"{scheme}://{'/' if scheme in _LOCAL else ''}{rest}")
    message = f"a store's URL has two slashes after its scheme: did you mean {meant}?"
    raise ConfigurationError(message)


def _make(backend: type[Any], url: str, options: dict[str, Any]) -> TokenStore:
    """Make a cloud's store; options of a wrong type are the caller's mistake, not a defect."""
    try:
        store: TokenStore = backend(url, options)
    except ConfigurationError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"the storage options for {redact(url)} do not fit: {type(error).__name__}"
    else:
        return store
    raise ConfigurationError(problem)


def _object_store(schemes: set[str]) -> type[Any] | None:
    """Return the class that speaks to a cloud's object store, importing only that one."""
    if schemes & _S3:
        from .s3 import S3Store

        return S3Store
    if schemes & _GCS:
        from .gcs import GCSStore

        return GCSStore
    if schemes & _AZURE:
        from .azure import AzureStore

        return AzureStore
    return None


def _generic(url: str, options: dict[str, Any], timeout: float) -> TokenStore:
    label = redact(url)
    ours: BetfairSessionError
    if _CACHES & {part.split("://")[0] for part in url.split("::")}:
        raise _cached(label)
    import fsspec

    # One of our own: fsspec would keep it for as long as the process lives.
    connect = partial(fsspec.core.url_to_fs, url, **options | {"skip_instance_cache": True})
    try:
        filesystem, root = run_within(timeout, connect)  # some connect at once, as sshfs's does
    except ImportError as error:
        missing = _what_is_missing(error)
        ours = ConfigurationError(f"the driver for {label!r} is not installed{missing}")
    except ValueError:
        known = ", ".join(sorted(fsspec.available_protocols()))
        ours = ConfigurationError(
            f"fsspec cannot open {label!r}; the schemes that it knows are {known}"
        )
    except Exception as error:  # noqa: BLE001 - a driver may raise anything, secrets in it
        from .errors import Operation, explain

        ours = explain(error, Operation("open", label, cloud=True))
        if isinstance(ours, ConfigurationError):  # whatever it says may hold the options
            ours = ConfigurationError(f"{label!r} cannot be opened: {type(error).__name__}")
    else:
        return _from_filesystem(filesystem, root, label, lambda: connect()[0])
    raise ours


def _what_is_missing(error: ImportError) -> str:
    """Return what there is to install, or the module that is missing, as the end of a sentence.

    fsspec's own error has no module's name, but says what its registry does. Only that is
    repeated: a driver's own text may hold the URL.
    """
    from fsspec.registry import known_implementations

    said = str(error)
    if any(said == entry.get("err") for entry in known_implementations.values()):
        return f": {said}"
    return f" (no module {error.name!r})" if error.name else ""


def _from_filesystem(
    filesystem: Any,  # noqa: ANN401 - fsspec is untyped
    root: str,
    label: str = "",
    reopen: Callable[[], Any] | None = None,
) -> TokenStore:
    """Find the store for a filesystem by its protocol, looking through a DirFileSystem."""
    protocol = filesystem.protocol
    names = {protocol} if isinstance(protocol, str) else set(protocol)
    label = label or redact(f"{min(names)}://{root.lstrip('/')}")
    if "dir" in names:
        return _from_filesystem(filesystem.fs, filesystem._join(root))  # noqa: SLF001 - it has no public name
    caching = sys.modules.get("fsspec.implementations.cached")  # without it nothing is of its kind
    if names & _CACHES or (caching and isinstance(filesystem, caching.CachingFileSystem)):
        raise _cached(label)
    if names & _LOCAL:
        return _local(root or ".", {})
    backend = _object_store(names)
    if backend:
        store: TokenStore = backend(label, filesystem=filesystem, root=root)
        return store
    from .generic import GenericStore, MemoryStore

    kind = MemoryStore if "memory" in names else GenericStore
    return kind(filesystem, root, label=label, reopen=reopen)


def _cached(label: str) -> ConfigurationError:
    return ConfigurationError(
        f"{label!r} reads through a cache, which would go on serving a dead token; "
        "name the store itself"
    )
