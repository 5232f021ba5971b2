"""Every input that the fuzzer kept, or that once found a bug, is taken as it should be."""

from __future__ import annotations

import pytest

from fuzz.bugs import BUGS
from fuzz.corpus import load
from fuzz.seeds import seeds
from fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_fuzzer_kept_does_no_harm(target: str) -> None:
    """Each input ends in a value or in one of our errors; the targets say more."""
    inputs = [*seeds(target), *load(target)]
    assert len(inputs) > 2
    for each in inputs:
        TARGETS[target](each)


@pytest.mark.parametrize(("target", "data"), [pytest.param(*bug[1:], id=bug[0]) for bug in BUGS])
def test_what_once_did_harm_does_none_any_more(target: str, data: bytes) -> None:
    """One input for each bug that the fuzzer found."""
    TARGETS[target](data)
