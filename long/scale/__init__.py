"""A fleet of ten thousand functions on one key, on a virtual clock."""
