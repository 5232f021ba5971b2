"""Names for type checkers, apart from other code: importing `typing` slows a cold start down."""

from __future__ import annotations

from typing import Literal, TypeAlias

# fmt: off
JurisdictionName: TypeAlias = Literal[
    "international", "australia", "new_zealand", "italy", "spain", "romania", "sweden", "brazil",
    "com", "au", "nz", "new-zealand", "it", "es", "ro", "se", "br",
]
# fmt: on
"""The names of jurisdictions and their short forms, in upper or lower case."""
