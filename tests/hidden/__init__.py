"""Secrets planted everywhere, and searched for in everything that comes out."""
