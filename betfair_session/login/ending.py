"""What people ask for by hand: ending the stored session, and clearing the lock beside it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from betfair_session.exceptions import NotATokenError, StoreUnavailable
from betfair_session.process.trust import NOTHING
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank, parse_token

from .lock import cleared, withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.events import Reporter
    from betfair_session.process.trust import Trust
    from betfair_session.storage.contract import TokenStore

    from .account import Account

_UNLOCKS = 5  # tries to change a lock that others change meanwhile


def log_out(
    account: Account, store: TokenStore, key: str, *, trust: Trust, reporter: Reporter
) -> None:
    """End the stored session and remove the object; see `Session.logout`."""
    seconds = account.lease.store_deadline
    trust.held = NOTHING  # another process may have replaced or removed the token that it held
    stored = store.get(key, deadline=time.monotonic() + seconds)
    if stored is None:
        return
    where = f"{key!r} in {store.label}"
    token = parse_token(stored.content, where=where)
    if token is None and not is_blank(stored.content):
        message = (
            f"{where} holds something that is no session token, so there is nothing to log out "
            "and it is left untouched. Is the key mistyped?"
        )
        raise NotATokenError(message)
    if token is not None:
        trust.forget(token)
        began = time.monotonic()
        account.client.logout(token)
        trust.forget(token)  # another thread may have verified it meanwhile
        reporter.tell("logged out", time.monotonic() - began, "the stored session")
        reporter.hand_over()
    # Another process may have noticed at once and logged in: its token is not ours to remove.
    with contextlib.suppress(VersionConflict):
        store.delete(key, stored.version, deadline=time.monotonic() + seconds)
        # The lock must not vouch for the token that was published there.
        _change_lock(store, key, withdrawn, seconds)


def unlock(store: TokenStore, key: str, seconds: float) -> None:
    """Clear the lock beside a token; each call of the store may take so many seconds."""
    for _ in range(_UNLOCKS):
        with contextlib.suppress(VersionConflict):
            _change_lock(store, key, cleared, seconds)
            return
    message = f"the lock beside {key!r} in {store.label} changes all the time"
    raise StoreUnavailable(message, store=store.label, key=key, reason="busy")


def _change_lock(
    store: TokenStore, key: str, change: Callable[[bytes], bytes | None], seconds: float
) -> None:
    """Rewrite the lock object, if there is one and it has to change."""
    lock = key + LOCK_SUFFIX
    stored = store.get(lock, deadline=time.monotonic() + seconds)
    content = None if stored is None else change(stored.content)
    if stored is not None and content is not None:
        store.put(lock, content, stored.version, deadline=time.monotonic() + seconds)
