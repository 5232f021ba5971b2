"""Requests to Betfair's identity service, and the meaning of its answers."""
