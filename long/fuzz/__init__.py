"""Fuzzing of everything that comes from outside; `python3 dev.py long fuzz` runs it for hours."""
