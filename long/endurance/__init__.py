"""Many calls in one process, and what it holds on to meanwhile."""
