"""Calls of Betfair's betting and account APIs with a session token."""
