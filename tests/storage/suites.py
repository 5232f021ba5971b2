"""The contract, put together for the kinds of stores there are."""

from __future__ import annotations

from storage.contract import Basics, Concurrency, Names, Races, Whole
from storage.permissions import Buckets
from storage.surroundings import Forks, OwnFilesystem, Surroundings
from storage.wire_contract import OnTheWire


class TokenStoreContract(Basics, Names, Concurrency, Surroundings):
    """Every store, vouched for or not."""


class ObjectStoreContract(TokenStoreContract, Whole, Races, OnTheWire, Buckets):
    """An object store behind HTTP, atomic between processes."""


class FsspecObjectStoreContract(ObjectStoreContract, Forks, OwnFilesystem):
    """The same through an fsspec driver, which a caller may have opened already."""
