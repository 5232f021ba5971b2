"""What a type checker knows of names; to import `typing` would slow a cold start down."""

from __future__ import annotations

from typing import Literal, TypeAlias

# fmt: off
JurisdictionName: TypeAlias = Literal[
    "international", "australia", "new_zealand", "italy", "spain", "romania", "sweden", "brazil",
    "com", "au", "nz", "new-zealand", "it", "es", "ro", "se", "br",
]
# fmt: on
"""The names of jurisdictions, and their short ones; any case will do."""
