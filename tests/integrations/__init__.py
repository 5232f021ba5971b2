"""Tests of the integrations with other packages, against the real ones."""
