"""Stores on every server there is, and what takes long there."""
