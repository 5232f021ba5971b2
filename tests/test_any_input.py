"""What comes from outside ends in a value or in one of our errors; long/fuzz goes on for hours."""

from __future__ import annotations

import time

import pytest
from fuzz import network
from fuzz.seeds import seeds
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings, strategies as st

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"command_line", "errors"}))
def test_good_input_and_what_is_nearly_good(name: str) -> None:
    """Each of the fuzzer's targets takes it, in proportionate processor time."""
    target = TARGETS[name]

    @FEW
    @given(st.sampled_from(seeds(name)), st.integers(0, 4500), st.integers(0, 20), st.binary())
    def look(seed: bytes, cut: int, lost: int, more: bytes) -> None:
        target(seed[: cut % (len(seed) + 1)] + more + seed[cut % (len(seed) + 1) + lost :])

    began = time.thread_time()
    for seed in seeds(name):
        target(seed)
    look()
    assert time.thread_time() - began < 60


def test_any_error_of_a_driver_becomes_one_of_ours() -> None:
    """With anything in place of an HTTP status or a code; credentials are not repeated."""
    network.errors()
