"""The store: can it be read, written and cleared, and does it keep the conditions of writes?"""

from __future__ import annotations

import logging
import os
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from betfair_session.exceptions import BetfairSessionError, StoreError
from betfair_session.login import lock as locks
from betfair_session.login.by_hand import inspect
from betfair_session.process import clocks
from betfair_session.secret import ODD_WORDS, Secret, odd
from betfair_session.storage.contract import ABSENT, VersionConflict
from betfair_session.storage.local import LocalStore
from betfair_session.storage.location import LOCK_SUFFIX

from .findings import Finding, fine, problem, warning
from .hosts import Clock
from .output import ERROR, REFUSED, STORE
from .session import see_directory
from .status import refusal_hint, token_words
from .words import login_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.login.by_hand import Inspection
    from betfair_session.storage.contract import Expect, StoredObject, TokenStore

T = TypeVar("T")

_WRITING, _SHARED, _NEXT = "writing", "shared login", "next login"
_STORES = "backends.md lists the stores that share one login"
_CLOUDS = {
    **dict.fromkeys(("s3", "s3a"), "AWS_"),
    **dict.fromkeys(("gs", "gcs"), "GOOGLE_"),
    **dict.fromkeys(("abfs", "abfss", "az"), "AZURE_"),
}
# The variables by which each cloud's drivers find files: keys, tokens, authorities.
_KEY_FILES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_CA_BUNDLE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
)
_LONG_CHARACTERS = 200  # a path is shorter, a key that was put in its place is longer
_THROTTLED_SECONDS = 1.1  # Google takes one write of an object a second
_CONTENTS = (b"doctor, first", b"doctor, second", b"doctor, third", b"doctor, fourth")


def examine_store(store: TokenStore, key: str, seconds: float) -> tuple[list[Finding], list[Clock]]:
    """Read what is there, and try out writing; each call of the store may take that many seconds.

    Returns:
        The findings, of which the first tells whether it can be read; and the store's clock, if
        it tells the time.
    """
    try:
        see_directory(store)
        with _heard() as said:
            found = inspect(store, key, timeout=seconds)
    except BetfairSessionError as error:
        return [problem("store", error), *_surroundings(store)], []
    clocks = [Clock("the store", found.now - time.time())] if found.clock else []
    described = _described(store, key, found)  # before a directory is made
    described += [*(warning("store", text) for text in said), *_surroundings(store)]
    with _heard():  # what it says there is among the findings
        probe = Probe(store, key, seconds).run(locked=found.login.lock is not None)
    return [*described, *probe, _next_login(found)], clocks


def _surroundings(store: TokenStore) -> list[Finding]:
    """Find variables of the store's cloud that are spoilt, or name a file that cannot be read.

    Its driver may take that for missing credentials, or ask another service instead.
    """
    scheme = store.label.removeprefix("obstore+").partition("://")[0]
    if scheme not in _CLOUDS:
        return []
    found = []
    for name in sorted(name for name in os.environ if name.startswith(_CLOUDS[scheme])):
        if kind := odd(Secret(os.environ[name])):
            found.append(warning("store", f"{name} {ODD_WORDS[kind]}", "take it out"))
        if name not in _KEY_FILES:
            continue
        path = os.environ[name]
        try:
            with open(os.path.expanduser(path or os.devnull), "rb"):
                continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no path"
        # The key itself may stand where its path belongs.
        shown = f" {path}" if path and os.path.isabs(path) and len(path) < _LONG_CHARACTERS else ""
        text = f"the file{shown} that {name} names cannot be read: {reason}"
        found.append(warning("store", text, "put the file there, or correct the variable"))
    return found


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what the library warns of, such as files that others can read, instead of showing."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("betfair_session")
    logger.handlers, shown = [handler], logger.handlers
    try:
        yield said
    finally:
        logger.handlers = shown


def _described(store: TokenStore, key: str, found: Inspection) -> list[Finding]:
    new = isinstance(store, LocalStore) and not os.path.isdir(store.label)
    label = f"{store.label}, a directory that does not exist yet" if new else store.label
    where = f"{key!r} in {label}: {token_words(found)}"
    findings = [fine("store", where)]
    if store.label.startswith("memory:"):
        text = f"{store.label} is gone when this process ends, so every command logs in anew"
        findings.append(warning("store", text, "name a directory or a bucket instead"))
    return findings


def _next_login(found: Inspection) -> Finding:
    login = found.login
    words = login_words(login)
    if login.state == "free":
        return fine(_NEXT, words)
    if login.state == "refused":
        return Finding(_NEXT, "problem", words, refusal_hint(found), REFUSED)
    if login.state == "braked":
        advice = (
            "find what ends each new session: an egress address that changes between calls, a "
            "wrong jurisdiction, or another program that logs out"
        )
        return Finding(_NEXT, "problem", words, advice, ERROR)
    return warning(_NEXT, words, "wait, and look again with `betfair-session status`")


class Probe:
    """Writes an object of its own beside the token, and removes it again however this ends."""

    def __init__(self, store: TokenStore, key: str, seconds: float) -> None:
        """Prepare; each call of the store may take that many seconds."""
        self._store = store
        self._key = key
        # By a lock's name, a store that may not keep conditions tries them out itself.
        self._name = f"{key}.doctor-{secrets.token_hex(4)}{LOCK_SUFFIX}"
        self._doubtful = store.probe
        self._seconds = seconds

    def run(self, *, locked: bool) -> list[Finding]:
        """Write, compare and remove; `locked` says whether there is a lock object."""
        began = time.monotonic()
        try:
            try:
                kept, version = self._write()
            finally:
                left = self._remove()
        except VersionConflict:
            text = f"{self._store.label} refuses conditional writes whose condition holds"
            return [Finding(_WRITING, "problem", text, _STORES, STORE)]
        except StoreError as error:
            return [self._refused(error, locked=locked)]
        took = f"{time.monotonic() - began:.2f} s"
        if kept is None:
            text = f"{self._store.label} shows old contents after a write"
            return [Finding(_WRITING, "problem", text, f"is a cache in between? {_STORES}", STORE)]
        text = f"{self._name!r} was written, read, replaced and removed in {took}"
        advice = "remove it yourself; `logout` could not remove the token either"
        writing = warning(_WRITING, str(left), advice) if left else fine(_WRITING, text)
        if kept and self._store.atomic:
            writing = self._unwritable(version, self._key, self._key + LOCK_SUFFIX) or writing
        return [writing, self._shared(kept=kept)]

    def _write(self) -> tuple[bool | None, str]:
        """Return whether conditions are kept, and a version that no other object ever had.

        None instead, when reads do not show what was written.
        """
        first, second, third, fourth = _CONTENTS
        version = self._put(self._name, first, ABSENT)
        shown = self._content() == first
        kept = self._conflicts(second, ABSENT)
        if kept:
            self._put(self._name, third, version)
            shown = shown and self._content() == third
            kept = self._conflicts(fourth, version)
        return kept if shown else None, version

    def _unwritable(self, version: str, *names: str) -> Finding | None:
        """Find out whether the token or its lock cannot be written, although another object can.

        Each is sent what it holds, on a version that it never had. A store that would write says so
        by a conflict; nothing changes, not even the time, which may stand for a verification.
        """
        for name in names:
            try:
                stored = self._get(name)
                if stored is None and self._doubtful:
                    continue  # it may take any condition on an object that is not there
                content = stored.content if stored else b""
                self._put(name, content, version)
            except VersionConflict:
                continue
            except StoreError as error:
                alone = error.reason == "forbidden" and not isinstance(self._store, LocalStore)
                advice = f"no login could be stored: let {name!r} be written" if alone else ""
                return problem(_WRITING, error, advice)
        return None

    def _remove(self) -> StoreError | None:
        try:
            _changed(lambda: self._store.delete(self._name, deadline=self._soon()))
        except StoreError as error:
            return error
        return None

    def _content(self) -> bytes | None:
        stored = self._get(self._name)
        return stored.content if stored else None

    def _get(self, name: str) -> StoredObject | None:
        return self._store.get(name, deadline=self._soon())

    def _put(self, name: str, content: bytes, expect: Expect) -> str:
        return _changed(lambda: self._store.put(name, content, expect, deadline=self._soon()))

    def _soon(self) -> float:
        return time.monotonic() + self._seconds

    def _conflicts(self, content: bytes, expect: Expect) -> bool:
        try:
            self._put(self._name, content, expect)
        except VersionConflict:
            return True
        return False

    def _shared(self, *, kept: bool) -> Finding:
        label = self._store.label
        if not kept or (self._doubtful and not self._store.atomic):
            text = f"{label} does not keep the conditions of writes, so each process logs in alone"
            return warning(_SHARED, text, _STORES)
        if not self._store.atomic:
            text = f"this library does not vouch for {label}, so each process logs in by itself"
            return warning(_SHARED, text, _STORES)
        return fine(_SHARED, "the store keeps conditions, so one login serves all who share it")

    def _refused(self, error: StoreError, *, locked: bool) -> Finding:
        """Tell of a failed write: the permissions may name the two objects and no other."""
        if error.reason != "forbidden" or isinstance(self._store, LocalStore):
            return problem(_WRITING, error)
        if locked and self._may_write_lock():
            text = (
                f"the token and its lock may be written, {self._name!r} may not, so whether the "
                "store keeps conditions was not tried"
            )
            advice = f"to try it, allow {self._key}.doctor-* as well"
            return self._unwritable_beside_lock() or warning(_WRITING, text, advice)
        advice = (
            f"or, if the permissions name single objects, allow {self._key}.doctor-* for this check"
        )
        return problem(_WRITING, error, advice)

    def _unwritable_beside_lock(self) -> Finding | None:
        """Try the token with the version of the lock, which it never had."""
        with suppress(StoreError):
            lock = self._get(self._key + LOCK_SUFFIX)
            return self._unwritable(lock.version, self._key) if lock else None
        return None

    def _may_write_lock(self) -> bool:
        """Try to create the lock, which exists: a conflict tells that only that was wrong."""
        if not self._store.atomic or self._store.probe:
            return False  # it might overwrite it
        # If the lock is gone by now, this one says that a login has finished.
        content = locks.encode(locks.Lock(locks.DONE))
        try:
            self._put(self._key + LOCK_SUFFIX, content, ABSENT)
        except BetfairSessionError as error:
            return isinstance(error, VersionConflict)
        return True


def _changed(change: Callable[[], T]) -> T:
    """Change an object, again after a pause where the store takes no two changes in a row."""
    try:
        return change()
    except StoreError as error:
        if error.reason != "throttled":
            raise
    clocks.pause(_THROTTLED_SECONDS)
    return change()
