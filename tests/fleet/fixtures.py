"""Fixtures: scenes at places for tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from servers.objects import Bucket
from storage.places import LocalPlace, Place

from betfair_session.sandbox import Sandbox
from fleet.scene import Scene


@pytest.fixture
def scene_on(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket], tmp_path: Path
) -> Callable[[str], Scene]:
    """Set the scene at an empty place: local, on a server's kind, or on "obstore+" and one."""

    def place_on(kind: str) -> Place:
        if kind == "local":
            directory = tmp_path / "store"
            directory.mkdir(mode=0o700, exist_ok=True)
            return LocalPlace(directory)
        return bucket_on(kind)

    return lambda kind: Scene.at(sandbox, place_on(kind))
