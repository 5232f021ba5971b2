"""Servers that only the long suite needs."""
