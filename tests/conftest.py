"""Fixtures that every test may use."""

from __future__ import annotations

pytest_plugins = ["fixtures_sandbox", "servers.fixtures"]
