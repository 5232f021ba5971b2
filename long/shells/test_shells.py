"""Completion in shells that have to be installed: zsh and fish."""

from pathlib import Path

import pytest
from test_cli_programs import VERSION, completed

SHELLS = {
    "zsh": (("zsh", "-f", "-i"), "autoload -Uz compinit; compinit -u; "),
    "fish": (("fish", "--no-config", "-i"), ""),
}


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_words(tmp_path: Path, name: str) -> None:
    shell, before = SHELLS[name]
    assert VERSION in completed(tmp_path, *shell, before=before)
