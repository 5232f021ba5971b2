"""The shared login, part by part."""
