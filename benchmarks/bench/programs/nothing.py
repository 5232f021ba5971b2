"""Python's own start and end."""
