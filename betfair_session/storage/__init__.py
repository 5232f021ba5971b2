"""The places a token may be kept in, behind one contract."""

from .opening import Store, open_store

__all__ = ["Store", "open_store"]
