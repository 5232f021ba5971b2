"""The store: can it be read, written and cleared, and does it keep the conditions of writes?"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from betfair_session.betfair.identity import IdentityClient
from betfair_session.environment import PLACE, Environment
from betfair_session.exceptions import (
    BetfairSessionError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.login.by_hand import inspect, patiently
from betfair_session.secret import ODD_WORDS, Secret, odd
from betfair_session.storage.contract import ABSENT, Expect, TokenStore, VersionConflict
from betfair_session.storage.local import LocalStore
from betfair_session.storage.location import AZURE, GCS, LOCK_SUFFIX, S3

from .output import Finding, Output, problem
from .status import next_login, open_place, what_is_stored

_WRITING, _SHARED = "writing", "shared login"
_STORES = "backends.md lists the stores that share one login"
# By URL scheme: the prefix of the variables that the cloud's drivers read.
_CLOUDS = {
    **dict.fromkeys(S3, "AWS_"),
    **dict.fromkeys(GCS, "GOOGLE_"),
    **dict.fromkeys(AZURE, "AZURE_"),
}
# Endings of variables that name a driver's files: keys, tokens, authorities.
_FILE_ENDINGS = ("_FILE", "_CA_BUNDLE", "_APPLICATION_CREDENTIALS", "_CERTIFICATE_PATH")
_LONG_CHARACTERS = 200  # a path is shorter, a key that was put in its place is longer


@dataclass
class Case:
    """What the doctor checks, and what one check leaves for the next."""

    out: Output
    given: Environment
    seconds: float  # for each answer of the store or of a host
    client: IdentityClient | None = None
    store: TokenStore | None = None
    key: str = ""
    readable: bool = False  # the store
    clocks: dict[str, float] = field(default_factory=dict)  # seconds that each is ahead of ours


def examine_store(case: Case) -> Iterator[Finding]:
    """Read what is stored, and try writing.

    Warnings of the library meanwhile, such as of files that others can read, become findings.
    """
    if not all(map(case.given.get, PLACE)):
        yield Finding("store", "not checked", "STORE or KEY is not given")
        return
    said: list[str] = []
    case.out.warn = said.append
    try:
        case.store, case.key = store, key = open_place(case.out)
        found = inspect(store, key, timeout=case.seconds)
    except BetfairSessionError as error:
        yield problem("store", error)
        yield from _surroundings(case.store)
        return
    case.readable = True
    if found.clock:
        case.clocks["the store"] = found.now - time.time()
    yield what_is_stored(store, key, found)
    if store.label.startswith("memory:"):
        text = f"{store.label} is gone when this process ends, so every command logs in anew"
        yield Finding("store", "warning", text, "use a directory or a bucket instead")
    yield from (Finding("store", "warning", text) for text in said)
    yield from _surroundings(store)
    yield from Probe(store, key, case.seconds).run()
    yield next_login(found, case.out)


def cloud_of(store: TokenStore | None) -> str:
    """Return the prefix of the variables of a store's cloud, or ""."""
    label = store.label if store else ""
    return _CLOUDS.get(label.removeprefix("obstore+").partition("://")[0], "")


def _surroundings(store: TokenStore | None) -> Iterator[Finding]:
    """Find variables of the store's cloud that hold odd characters or name an unreadable file.

    The driver may take that for missing credentials, or ask another service instead.
    """
    cloud = cloud_of(store)
    for name in sorted(name for name in os.environ if cloud and name.startswith(cloud)):
        value = os.environ[name]
        if kind := odd(Secret(value)):
            yield Finding("store", "warning", f"{name} {ODD_WORDS[kind]}", "remove it")
        path = os.path.expanduser(value)
        readable = os.path.isfile(path) and os.access(path, os.R_OK)
        if value and name.endswith(_FILE_ENDINGS) and not readable:
            # Show only a path: the value may be the key itself.
            shown = f" {value}" if os.path.isabs(value) and len(value) < _LONG_CHARACTERS else ""
            text = f"{name} names a file{shown} that is missing or cannot be read"
            yield Finding("store", "warning", text, "create the file, or correct the variable")


class Probe:
    """Writes an object of its own beside the token, and removes it even if a check fails."""

    def __init__(self, store: TokenStore, key: str, seconds: float) -> None:
        self._store = store
        self._key = key
        self._lock = key + LOCK_SUFFIX
        # Named like a lock, since a store whose server may not keep conditions tests it on locks.
        self._name = f"{key}.doctor-{secrets.token_hex(4)}{LOCK_SUFFIX}"
        self._doubtful = store.probe
        self._seconds = seconds

    def run(self) -> Iterator[Finding]:
        label, began = self._store.label, time.monotonic()
        try:
            try:
                kept, version = self._write()
            finally:
                left = self._remove()
        except StoreError as error:
            yield self._refused(error)
            yield from self._leftover(left)
            return
        took = f"{time.monotonic() - began:.2f} s"
        done = f"{self._name!r} was written, read, replaced and removed in {took}"
        writing = None if left else Finding(_WRITING, "ok", done)
        yield from self._leftover(left)
        text = "the store honours conditional writes, so one login serves all who share it"
        shared = Finding(_SHARED, "ok", text)
        if kept and self._store.atomic:
            # Only the doctor's object ever had this version, so that no condition can hold.
            writing = self._unwritable({self._key: version, self._lock: version}) or writing
        else:
            alone = f"{label} is not known to honour conditional writes"
            text = f"{alone}, so each process logs in alone"
            shared = Finding(_SHARED, "warning", text, _STORES)
        yield from (each for each in (writing, shared) if each)

    def _leftover(self, error: StoreError | None) -> Iterator[Finding]:
        """Name the doctor's object, unless it is certainly gone, after a failure to remove it."""
        with suppress(StoreError):
            if error is None or self._content(self._name) is None:
                return
        advice = f"remove {self._name!r} yourself"
        if getattr(self._store, "deletes_versions", True):
            advice += "; `logout` could not remove the token either"
        yield Finding(_WRITING, "warning", str(error), advice)

    def _write(self) -> tuple[bool, str]:
        """Return whether conditions are kept, and a version that no other object ever had."""
        expect: Expect = ABSENT
        version = ""
        for right, wrong in ((b"doctor, 1", b"doctor, 2"), (b"doctor, 3", b"doctor, 4")):
            try:
                written = self._put(self._name, right, expect)
            except VersionConflict:
                text = f"{self._store.label} refuses conditional writes whose condition holds"
                raise StoreWriteError(f"{text}; {_STORES}") from None
            version = version or written
            if self._content(self._name) != right:
                text = f"{self._store.label} shows old content after a write"
                raise StoreUnavailable(f"{text}; is a cache in between? {_STORES}")
            try:
                self._put(self._name, wrong, expect)
            except VersionConflict:
                expect = version
            else:
                return False, version
        return True, version

    def _unwritable(self, expected: dict[str, Expect]) -> Finding | None:
        """Return a problem if the token or its lock cannot be written, although another object can.

        Each is written with its own content, on a condition that does not hold. A conflict shows
        that it can be; nothing changes, not even its time, which may be that of a verification.
        """
        for name, expect in expected.items():
            try:
                content = self._content(name)
                if content is None and (self._doubtful or expect is ABSENT):
                    continue  # this would create it, or the store may ignore the condition
                self._put(name, content or b"", expect)
            except VersionConflict:
                continue
            except StoreError as error:
                alone = error.reason == "forbidden" and not isinstance(self._store, LocalStore)
                advice = f"no login could be stored: allow {name!r} to be written" if alone else ""
                return problem(_WRITING, error, advice)
        return None

    def _refused(self, error: StoreError) -> Finding:
        """Explain a failed write: the permissions may name the two objects and no other.

        If a lock exists, creating it, or writing the token on the lock's version, changes neither.
        """
        if error.reason != "forbidden" or isinstance(self._store, LocalStore):
            return problem(_WRITING, error)
        allow = f"allow {self._key}.doctor-* as well"
        lock = None
        with suppress(StoreError):
            lock = self._store.get(self._lock, deadline=self._soon())
        if lock is None or self._doubtful or not self._store.atomic:
            advice = f"or, if the permissions name single objects, {allow}, for this check"
            return problem(_WRITING, error, advice)
        text = (
            f"the token and its lock can be written, but {self._name!r} cannot, so conditional "
            "writes were not tested"
        )
        untried = Finding(_WRITING, "warning", text, f"to test them, {allow}")
        return self._unwritable({self._lock: ABSENT, self._key: lock.version}) or untried

    def _remove(self) -> StoreError | None:
        try:
            patiently(self._store.delete, self._name, seconds=self._seconds)
        except StoreError as error:
            return error
        return None

    def _content(self, name: str) -> bytes | None:
        stored = self._store.get(name, deadline=self._soon())
        return stored.content if stored else None

    def _put(self, name: str, content: bytes, expect: Expect) -> str:
        return patiently(self._store.put, name, content, expect, seconds=self._seconds)

    def _soon(self) -> float:
        return time.monotonic() + self._seconds
