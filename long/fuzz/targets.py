"""Every target by its name: a function of the fuzzer's bytes that returns, or has found a bug."""

from __future__ import annotations

from collections.abc import Callable

from . import certificate, given, network, stored

TARGETS: dict[str, Callable[[bytes], None]] = {
    "token": stored.token,
    "lock": stored.lock,
    "answers": network.answers,
    "betting": network.betting,
    "errors": network.errors.hypothesis.fuzz_one_input,  # type: ignore[attr-defined] # its own
    "key": given.key,
    "address": given.address,
    "store": given.store,
    "dotenv": given.dotenv,
    "variables": given.variables,
    "command_line": given.command_line,
    "certificate": certificate.certificate,
    "stretched": given.stretched,
}
