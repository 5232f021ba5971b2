"""One login for the whole fleet."""
