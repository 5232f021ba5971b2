"""Fuzzing of everything that comes from outside; `benchmarks/fuzz.py` runs it for hours."""
