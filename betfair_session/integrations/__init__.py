"""Integrations with other packages; each package is imported only by its own module."""
