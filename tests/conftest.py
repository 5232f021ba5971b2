"""Fixtures that every test may use."""

from __future__ import annotations

import pytest

# The modules that hold tests without being named so.
pytest.register_assert_rewrite("storage")

pytest_plugins = ["fixtures_sandbox", "servers.fixtures"]
