"""The shared login among real processes on real servers."""
