"""Every target by its name: a function of the fuzzer's bytes that returns, or has found a bug."""

from __future__ import annotations

from collections.abc import Callable

from . import given, network, stored

_PLAIN: tuple[Callable[[bytes], None], ...] = (
    *(stored.token, stored.lock, stored.certificate, network.answers, network.betting),
    *(given.key, given.address, given.store, given.dotenv, given.variables),
    *(given.command_line, given.stretched),
)
TARGETS: dict[str, Callable[[bytes], object]] = {
    **{target.__name__: target for target in _PLAIN},
    "errors": network.errors.hypothesis.fuzz_one_input,  # type: ignore[attr-defined] # its own
}
