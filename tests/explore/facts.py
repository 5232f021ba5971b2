"""What the world needs to know of a process, summed up once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from login.messages import Failed

from betfair_session.login import effects as do

from .local import LOOKING

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock

    from .local import Local


@dataclass(frozen=True)
class Facts:
    """What the world needs to know of a process at hand: names as bits, and where it is."""

    kind: type
    phase: str
    over: bool
    looking: bool
    tokens: int
    versions: int
    lock_versions: int
    nonces: int


def bit(name: str | None) -> int:
    """Return the bit of a name such as "t3"; 0 for none."""
    return 1 << int(name[1:]) if name else 0


def lock_tokens(lock: Lock | None) -> int:
    """Return the tokens that a lock names."""
    return bit(lock.published) if lock else 0


def facts(local: Local) -> Facts:
    """Sum up a process for the world."""
    state, effect = local, local.effect
    written = effect.lock if isinstance(effect, do.WriteLock) else None
    shown = (state.lock, state.mine, state.owed, written)
    names = [state.token, state.dead, state.new, state.fingerprint, state.new_fingerprint]
    names.append(getattr(effect, "token", None))
    tokens = versions = nonces = 0
    for name in names:
        tokens |= bit(name)
    for lock in shown:
        tokens |= lock_tokens(lock)
        nonces |= bit(lock.nonce) if lock else 0
    versions = bit(state.version) | bit(state.base)
    lock_versions = bit(state.lock_version)
    if isinstance(effect, do.WriteToken):
        versions |= bit(effect.version)
    elif isinstance(effect, do.WriteLock):
        lock_versions |= bit(effect.version)
    over = isinstance(effect, do.Done | Failed)
    return Facts(
        type(effect),
        state.phase,
        over,
        not over and state.phase in LOOKING and state.phase != "take",
        tokens,
        versions,
        lock_versions,
        nonces | bit(state.nonce),
    )
