"""Fixtures of the tests' own, for proofs that pytest runs."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("storage", "login.script")

pytest_plugins = ["fixtures_sandbox", "servers.fixtures", "fleet.fixtures", "storage.plain"]
